from __future__ import annotations

import json
import shutil
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from analyze.findings import Finding, find_all
from analyze.store import Store
from analyze.store.tables import StoredTables
from analyze.tui.failure_lines import cell_filter
from analyze.tui.screens.failures import DIMENSIONS, MORE_DIMENSIONS
from analyze.tui.source import RootSource
from capture.compaction import compact_date
from capture.dropping import drop_sessions
from capture.errors import UsageProblem
from capture.journal import JournalWriter
from capture.recording.root import Root
from tests.analyze.conftest import FAILED_KEY, Trace, configure, spoken_turn
from tests.capture.test_live import FAILED, Session


def test_questions_from_many_threads_are_answered_one_at_a_time(
    root: Root, failed_session: str, ok_session: str
) -> None:
    source = RootSource(root)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: source.session((failed_session, ok_session)[n % 2]), range(16)))
    source.close()
    assert [answer.summary.session_id for answer in answers[:2]] == [failed_session, ok_session]
    assert {answer.summary.outcome for answer in answers} == {"failed", "ok"}


def test_every_question_of_the_screens_is_answered(root: Root, failed_session: str, ok_session: str) -> None:
    source = RootSource(root)
    assert source.root is root
    assert source.session_count() == 2
    assert [row.session_id for row in source.sessions("outcome:failed")] == [failed_session]
    assert source.timeline(failed_session)
    assert source.events(failed_session, 0, 1)[0].type == "session.created"
    assert len(source.levels(failed_session, "client", 10)) == 10
    assert source.side_by_side([failed_session, ok_session]).diffs[0].transcripts
    assert source.failures(("transcription_model", "region")).total.failed == 1
    assert [finding.session_id for finding in source.findings()] == [failed_session]
    assert len(source.session_findings(failed_session)) == 1
    assert source.session_findings(ok_session) == ()
    assert source.unknown_failures() == []
    assert [row.session_id for row in source.sessions("finding:transcription*")] == [failed_session]
    assert source.runs() == []
    assert source.live() == []
    assert source.failures(("region",), filter="region:sw*").total.trials == 1
    assert [finding.session_id for finding in source.findings("region:sw*")] == []
    assert source.unknown_failures("region:sw*") == []
    assert source.failures_over_time("region")[0].failed == 1
    assert [facet.value for facet in source.facets("finding:transcription*") if facet.field == "region"] == ["eastus2"]
    source.close()


def test_what_is_said_of_a_session_is_seen_without_another_pass(
    root: Root, failed_session: str, ok_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = RootSource(root)
    assert len(source.findings()) == 1
    monkeypatch.setattr("analyze.findings.find_all", None)
    source.annotate([failed_session, ok_session], {"cause": "network"}, ["heard an echo"])
    assert len(source.sessions("tag:cause=network note:echo")) == 2
    source.annotate([ok_session], {"cause": None}, [])
    (session,) = source.sessions("tag:cause=network finding:transcription*")
    assert (session.session_id, session.notes) == (failed_session, ("heard an echo",))
    source.close()


def test_a_session_in_flight_grows_under_the_eyes(root: Root) -> None:
    source = RootSource(root)
    writer = JournalWriter(root.journal, tick_s=0.001)
    try:
        call = Session(writer)
        call.say("client", '{"type":"session.update"}')
        call.catch_up()
        (live,) = source.live()
        assert (live.target, live.state, live.events, live.last_error) == ("eastus2", "live", 1, None)
        call.say("server", json.dumps({"type": "error", "error": FAILED}))
        call.catch_up()
        (grown,) = source.live()
        assert (grown.events, grown.last_error) == (2, "error: server_error overloaded Try again")
        look = source.follow(grown.session_id).look()
        assert [row["type"] for row in look.rows] == ["session.update", "error"]
    finally:
        writer.close()
    source.close()


def test_a_reload_sees_what_was_recorded_since(root: Root, request: pytest.FixtureRequest) -> None:
    source = RootSource(root)
    assert source.session_count() == 0
    request.getfixturevalue("failed_session")
    source.reload()
    assert source.session_count() == 1
    assert len(source.findings()) == 1
    source.close()


def test_a_root_is_behind_once_sessions_came_or_went_until_it_is_looked_at(root: Root, failed_session: str) -> None:
    source = RootSource(root)
    assert not source.is_behind()
    assert source.session_count() == 1
    assert not source.is_behind()
    for session_id in ("20260212T100000-0000000c", "20260213T100000-0000000c"):
        Trace(session_id).write(root)
        assert source.is_behind()
        source.reload()
        source.session_count()
        assert not source.is_behind()
    drop_sessions(root, "2026-02-13", ["20260213T100000-0000000c"])
    assert source.is_behind()
    source.reload()
    assert source.session_count() == 2
    shutil.rmtree(root.table("sessions"))
    assert source.is_behind()
    source.close()


def test_what_stands_in_the_place_of_the_sessions_hinders_no_look_at_the_root(root: Root) -> None:
    root.path.mkdir()
    root.table("sessions").write_text("no folder")
    source = RootSource(root)
    assert source.session_count() == 0
    assert not source.is_behind()
    source.close()


def test_typed_sql_is_asked_of_what_the_list_shows(root: Root, request: pytest.FixtureRequest) -> None:
    source = RootSource(root)
    asked = "SELECT session_id, tags FROM sessions"
    assert source.console.run(asked).rows == []
    failed_session = request.getfixturevalue("failed_session")
    # Broken off before: the next question reads all the same.
    source.console.interrupt()
    source.reload()
    assert source.session_count() == 1
    assert source.console.run(asked).rows == [(failed_session, {})]
    source.annotate([failed_session], {"cause": "network"}, [])
    assert source.console.run(asked).rows == [(failed_session, {"cause": "network"})]
    source.close()


def test_no_question_waits_for_the_pass_of_the_signatures(
    root: Root, failed_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = Event(), Event()

    def slowly(store: Store) -> tuple[Finding, ...]:
        begun.set()
        assert may_end.wait(30)
        return find_all(store)

    monkeypatch.setattr("analyze.findings.find_all", slowly)
    source = RootSource(root)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(source.findings)
        assert begun.wait(30)
        assert source.session_count() == 1
        assert source.timeline(failed_session)
        may_end.set()
        assert len(answer.result()) == 1
    source.close()


def test_both_tracks_are_written_as_wav(root: Root, failed_session: str, tmp_path: Path) -> None:
    written = RootSource(root).write_wav(failed_session, tmp_path)
    assert [path.name for path in written] == [f"{failed_session}-client.wav", f"{failed_session}-server.wav"]
    with wave.open(str(written[0])) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (24_000, 2400)


def test_a_file_that_cannot_be_read_is_named(root: Root, ok_session: str) -> None:
    foreign = root.table_file("sessions", "20260212T090000-00000001")
    foreign.write_bytes(b"no Parquet at all")
    source = RootSource(root)
    assert [row.session_id for row in source.sessions()] == [ok_session]
    assert list(source.unreadable()) == [foreign]
    source.close()


@pytest.fixture(scope="module")
def one_failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RootSource, str]]:
    """Open a root of one session that failed, and give its id, for tests that only ask."""
    root = Root(tmp_path_factory.mktemp("source") / "recordings")
    trace = Trace(columns={"outcome": "failed", "errors": 1, "failure_keys": [FAILED_KEY]})
    configure(trace)
    spoken_turn(trace, 20, transcript=None)
    source = RootSource(root)
    yield source, trace.write(root)
    source.close()


@pytest.mark.parametrize("dimension", [*DIMENSIONS, *MORE_DIMENSIONS])
def test_failures_can_be_counted_and_filtered_by_every_dimension_of_the_screen(
    one_failed: tuple[RootSource, str], dimension: str
) -> None:
    source, failed_session = one_failed
    assert source.failures((dimension,)).total.failed == 1
    (cell,) = source.failures((dimension,)).cells.values()
    words = cell_filter({dimension: cell.row})
    assert words is None or [each.session_id for each in source.sessions(words)] == [failed_session]


def test_an_unknown_session_is_a_sentence(root: Root, failed_session: str) -> None:
    source = RootSource(root)
    with pytest.raises(UsageProblem):
        source.session("20991231T000000-00000000")
    source.close()


def test_a_glance_gives_the_newest_before_the_root_is_open(root: Root, failed_session: str, ok_session: str) -> None:
    source = RootSource(root)
    glance = source.glance(1)
    assert glance is not None
    assert ([row.session_id for row in glance[0]], glance[1]) == ([ok_session], 2)
    assert source.glance(1) is None
    assert source.sessions_in_order().session_ids == [ok_session, failed_session]
    assert source.timeline(failed_session)
    source.close()


def test_a_glance_at_thousands_of_small_files_says_what_makes_it_quick(
    root: Root, failed_session: str, ok_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = RootSource(root)
    source.glance(1)
    assert source.slow == ""
    source.close()
    monkeypatch.setattr("analyze.store.small_files._MANY", 1)
    source.glance(1)
    assert source.slow == (
        "reading 2 sessions, each from a file of its own, takes long:"
        f" `wiretape capture compact --recordings {root.path}` merges them"
    )
    source.close()


def test_who_leaves_while_thousands_of_files_are_read_waits_for_a_few_of_them(
    root: Root, failed_session: str, ok_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyze.store.tables._OWN_AT_ONCE", 1)
    source, read = RootSource(root), StoredTables._load_sessions

    def leave_then_read(tables: StoredTables, fresh: list[str]) -> None:
        files.extend(fresh)
        source.leave()
        read(tables, fresh)

    files: list[str] = []
    monkeypatch.setattr(StoredTables, "_load_sessions", leave_then_read)
    with pytest.raises(UsageProblem, match="broken off: not all of the root was read"):
        source.session_count()
    with pytest.raises(UsageProblem, match="broken off"):
        source.findings()
    assert len(files) == 1
    source.close()


def test_a_small_root_needs_no_glance(root: Root, failed_session: str) -> None:
    source = RootSource(root)
    assert source.glance(1) is None
    assert source.session_count() == 1
    source.close()


def test_nothing_is_named_again_where_a_reload_finds_nothing_new(
    root: Root, failed_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[Store] = []

    def noted(store: Store) -> tuple[Finding, ...]:
        passes.append(store)
        return find_all(store)

    monkeypatch.setattr("analyze.findings.find_all", noted)
    source = RootSource(root)
    source.findings()
    source.reload()
    assert (len(source.findings()), len(passes)) == (1, 1)
    Trace("20260212T100000-0000000c").write(root)
    source.reload()
    assert (len(source.findings()), len(passes)) == (1, 2)
    source.close()


def test_a_reload_follows_what_is_compacted_and_removed_while_the_root_is_open(
    root: Root, failed_session: str, ok_session: str
) -> None:
    source = RootSource(root)
    rows = source.sessions_in_order().session_ids
    assert source.session(ok_session).turns
    compact_date(root, "2026-02-12", grace_s=0)
    source.reload()
    assert source.sessions_in_order().session_ids == rows
    assert source.session(failed_session).turns
    drop_sessions(root, "2026-02-12", [ok_session])
    source.reload()
    assert source.sessions_in_order().session_ids == [failed_session]
    source.close()
