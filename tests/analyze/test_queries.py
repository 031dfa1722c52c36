"""The questions, asked of recordings made by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analyze.queries import Queries
from analyze.store import open_store
from capture.errors import UsageProblem
from capture.recording.root import Root
from tests.analyze.conftest import FAILED_KEY, Trace, configure


def test_sessions_newest_first(failed_session: str, ok_session: str, queries: Queries) -> None:
    newest, oldest = queries.sessions()
    assert (newest.session_id, oldest.session_id) == (ok_session, failed_session)
    assert oldest.started_at == datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC)
    assert (oldest.outcome, oldest.errors, oldest.failure_keys) == ("failed", 1, (FAILED_KEY,))
    assert (oldest.turns, oldest.first_audio_ms, newest.first_audio_ms) == (1, 600.0, 722.0)
    assert oldest.tags == {}


def test_a_session_with_its_configuration_turns_and_audio(failed_session: str, queries: Queries) -> None:
    detail = queries.session(failed_session)
    asked = detail.configuration_asked["audio"]["input"]["transcription"]
    assert asked == detail.configuration_echoed["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe"}
    (turn,) = detail.turns
    assert (turn.transcription, turn.transcript, turn.answer) == ("failed", None, "Sunny, all day.")
    assert (turn.commit_ms, turn.first_audio_latency_ms, turn.transcription_latency_ms) == (10.0, 600.0, 600.0)
    assert [(track.track, track.duration_ms) for track in detail.audio] == [("client", 100.0), ("server", 40.0)]
    assert detail.row["handshake_status"] == 101


def test_the_sent_audio_of_a_session_is_judged(failed_session: str, queries: Queries) -> None:
    health = queries.audio_health(failed_session)
    assert health.sentence == "0.1 s of audio are too little to judge"
    assert queries.session(failed_session).audio_health == health
    with pytest.raises(UsageProblem):
        queries.audio_health("20260212T083055-ffffffff")


def test_a_session_without_a_single_event(root: Root) -> None:
    trace = Trace(columns={"handshake_status": 401, "outcome": "failed", "dialect": None, "turns": None})
    trace.write(root)
    with open_store(root) as store:
        detail = Queries(store).session(trace.session_id)
        assert (detail.turns, detail.audio, detail.summary.turns) == ((), (), 0)
        assert list(Queries(store).timeline(trace.session_id)) == []


def test_ids_prefixes_and_last(failed_session: str, ok_session: str, queries: Queries) -> None:
    assert queries.resolve("last") == ok_session
    assert queries.resolve("20260212T0830") == failed_session
    with pytest.raises(UsageProblem, match=f"begins 2 recordings: {failed_session}, {ok_session}"):
        queries.resolve("2026")
    with pytest.raises(UsageProblem, match=f"nearest: .*{failed_session}"):
        queries.resolve("20260212T083O55")


def test_unknown_ids_are_named(failed_session: str, queries: Queries) -> None:
    for question in (queries.session, queries.timeline):
        with pytest.raises(UsageProblem, match="there is no recording x in"):
            question("x")
    with pytest.raises(UsageProblem, match="there are no runs in"):
        queries.verdict("last")


def test_messages_nested_without_end_are_no_trap(root: Root) -> None:
    ids = []
    for number in range(2):
        trace = Trace(f"20260212T08300{number}-0000000a")
        configure(trace)
        nested = '{"a":' * 900 + str(number) + "}" * 900
        trace.text("server", 20, f'{{"type": "session.updated", "session": {nested}}}')
        trace.text("server", 30, f'{{"type": "x", "deep": {"[" * 50_000 + "]" * 50_000}}}')
        ids.append(trace.write(root))
    with open_store(root) as store:
        assert Queries(store).side_by_side(ids).diffs[0].rows
