from __future__ import annotations

from analyze.annotating import annotate
from analyze.store import Store, open_store
from capture.recording.root import Root
from tests.analyze.conftest import Trace

SAID = "SELECT tags, notes FROM sessions"


def test_what_is_said_later_stands_with_what_was_recorded(root: Root) -> None:
    session_id = Trace(columns={"tags": [("team", "voice"), ("env", "prod")]}).write(root)
    with open_store(root) as store:
        assert store.rows(SAID) == [{"tags": {"team": "voice", "env": "prod"}, "notes": None}]
        annotate(root, [session_id], tags={"env": None, "cause": "network"}, notes=["heard an echo"])
        store.refresh()
        assert store.rows(SAID) == [{"tags": {"team": "voice", "cause": "network"}, "notes": ["heard an echo"]}]
        annotate(root, [session_id], tags={"cause": "model"}, notes=["no echo after all"])
        store.refresh()
        (row,) = store.rows(SAID)
        assert row == {
            "tags": {"team": "voice", "cause": "model"},
            "notes": ["heard an echo", "no echo after all"],
        }
        assert store.console('SELECT tag, value FROM annotations ORDER BY "at", tag').rows[:2] == [
            ("cause", "network"),
            ("env", None),
        ]
        # The last tag of a name goes, and with its file what it said.
        for path in sorted(root.annotations.glob("*.parquet")):
            path.unlink()
        store.refresh()
        assert store.rows(SAID)[0]["notes"] is None


def test_a_damaged_file_takes_no_other_with_it(root: Root, failed_session: str, store: Store) -> None:
    annotate(root, [failed_session], tags={}, notes=["still here"])
    damaged = root.annotations / f"{failed_session}.00000000.parquet"
    damaged.write_bytes(b"no Parquet")
    store.refresh()
    assert store.rows(SAID)[0]["notes"] == ["still here"]
    assert [path.name for path in store.unreadable] == [damaged.name]


def test_annotations_of_unknown_sessions_add_no_session(root: Root, failed_session: str, store: Store) -> None:
    annotate(root, ["20260212T090000-00000009"], tags={"a": "b"})
    store.refresh()
    assert len(store.rows(SAID)) == 1
