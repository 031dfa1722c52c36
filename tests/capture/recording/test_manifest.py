from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import UsageProblem
from capture.recording.manifest import (
    EMPTY,
    Manifest,
    Replaced,
    compacted_name,
    load_manifest,
    manifests_locked,
    may_hold,
    own_session,
    place_of,
    read_manifest,
    read_manifests,
    save_manifest,
)
from capture.recording.root import Root
from capture.regular_files import NO_FILE

DATE = "2026-02-12"
FIRST, SECOND, THIRD = "20260212T083055-0000000a", "20260212T083056-0000000b", "20260212T090000-0000000c"
OWN = f"events/date={DATE}/{FIRST}.parquet"
AT = datetime(2026, 2, 13, 1, 2, 3, tzinfo=UTC)
session_ids = st.from_regex(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}", fullmatch=True)


def test_a_manifest_comes_back_as_it_was_saved(root: Root) -> None:
    name = f"events/date={DATE}/{compacted_name(FIRST, SECOND)}"
    saved = Manifest(
        format_version=1,
        tables={"events": (name,)},
        session_ids=frozenset({SECOND, FIRST}),
        replaced=Replaced(at=AT, files=(OWN,)),
    )
    save_manifest(root, DATE, EMPTY)
    save_manifest(root, DATE, saved)
    assert load_manifest(root, DATE) == saved
    assert read_manifests(root) == {DATE: saved}
    assert [path.name for path in root.manifests.iterdir()] == [f"date={DATE}.json"]
    assert json.loads(root.manifest_file(DATE).read_bytes()) == {
        "format_version": 1,
        "tables": {"events": [name]},
        "session_ids": [FIRST, SECOND],
        "replaced": {"at": "2026-02-13T01:02:03Z", "files": [OWN]},
    }


def test_a_date_without_a_manifest(root: Root) -> None:
    assert load_manifest(root, DATE) is None
    assert read_manifests(root) == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"{", "is no readable manifest"), (b'{"format_version":2}', "version 2: a newer Wiretape wrote it")],
)
def test_a_manifest_that_cannot_be_understood_is_named(
    content: bytes, problem: str, root: Root, caplog: pytest.LogCaptureFixture
) -> None:
    root.manifests.mkdir(parents=True)
    root.manifest_file(DATE).write_bytes(content)
    with pytest.raises(UsageProblem, match=problem):
        load_manifest(root, DATE)
    assert read_manifest(root, DATE) is None
    assert problem in caplog.text


def test_nobody_waits_for_a_pipe_in_place_of_a_manifest(root: Root, caplog: pytest.LogCaptureFixture) -> None:
    root.manifests.mkdir(parents=True)
    os.mkfifo(root.manifest_file(DATE))
    assert read_manifests(root) == {}
    assert f"is no readable manifest: {NO_FILE}" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "../victim.parquet",
        "/etc/passwd",
        f"events/date={DATE}/../../../{FIRST}.parquet",
        f"../date={DATE}/{FIRST}.parquet",
        f"events/date=2026-02-13/{FIRST}.parquet",
        f"events/date={DATE}/x.parquet",
        f"events/date={DATE}/{FIRST}.parquet\n",
    ],
)
@pytest.mark.parametrize("place", ["tables", "replaced"])
def test_a_manifest_that_names_what_is_no_file_of_its_date_is_not_believed(root: Root, place: str, name: str) -> None:
    replaced = Replaced(at=AT, files=(name,)) if place == "replaced" else None
    tables: dict[str, tuple[str, ...]] = {"events": (name,)} if place == "tables" else {}
    save_manifest(root, DATE, Manifest(format_version=1, tables=tables, replaced=replaced))
    with pytest.raises(UsageProblem, match="which is no file of that date in this root"):
        load_manifest(root, DATE)
    assert read_manifests(root) == {}


def test_own_files_of_compacted_and_of_replaced_sessions_are_superseded() -> None:
    manifest = Manifest(
        format_version=1, session_ids=frozenset({SECOND}), replaced=Replaced(at=AT, files=(OWN, "events/x.parquet"))
    )
    assert manifest.superseded() == {FIRST, SECOND}


@given(session_ids, session_ids, session_ids)
def test_names_tell_what_a_file_is_and_what_it_may_hold(one: str, two: str, three: str) -> None:
    first, middle, last = sorted((one, two, three))
    name = compacted_name(first, last)
    assert place_of(name) == "compacted"
    assert own_session(name) is None
    assert place_of(f"{first}.parquet") == "own"
    assert own_session(f"{first}.parquet") == first
    assert place_of(f".{name}.tmp") == "foreign"
    assert may_hold(name, middle)
    assert may_hold(compacted_name(first, middle), last) == (last == middle)
    assert may_hold("foreign.parquet", middle)


def test_only_one_at_a_time_changes_manifests(root: Root) -> None:
    entered = threading.Event()

    def enter() -> None:
        with manifests_locked(root):
            entered.set()

    waiting = threading.Thread(target=enter)
    with manifests_locked(root):
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    waiting.join()
