from __future__ import annotations

import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from analyze.findings import Finding, find_all
from analyze.store import Store
from analyze.tui.screens.failures import DIMENSIONS
from analyze.tui.source import RootSource
from capture.errors import UsageProblem
from capture.recording.root import Root


def test_questions_from_many_threads_are_answered_one_at_a_time(
    root: Root, failed_session: str, ok_session: str
) -> None:
    source = RootSource(root)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: source.session((failed_session, ok_session)[n % 2]), range(32)))
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
    assert source.live_count() == 0
    source.close()


def test_a_reload_sees_what_was_recorded_since(root: Root, request: pytest.FixtureRequest) -> None:
    source = RootSource(root)
    assert source.session_count() == 0
    request.getfixturevalue("failed_session")
    source.reload()
    assert source.session_count() == 1
    assert len(source.findings()) == 1
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


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_failures_can_be_counted_and_filtered_by_every_dimension_of_the_screen(
    root: Root, failed_session: str, dimension: str
) -> None:
    source = RootSource(root)
    assert source.failures((dimension,)).total.failed == 1
    assert source.sessions(f"{dimension}:*") is not None
    source.close()


def test_an_unknown_session_is_a_sentence(root: Root, failed_session: str) -> None:
    source = RootSource(root)
    with pytest.raises(UsageProblem):
        source.session("20991231T000000-00000000")
    source.close()
