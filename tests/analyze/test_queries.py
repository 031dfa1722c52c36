"""The questions, asked of recordings made by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analyze.queries import Queries
from analyze.store import open_store
from capture.errors import UsageProblem
from capture.recording.root import Root
from tests.analyze.conftest import FAILED_KEY, Trace, configure, spoken_turn


def test_sessions_newest_first(failed_session: str, ok_session: str, queries: Queries) -> None:
    newest, oldest = queries.sessions()
    assert (newest.session_id, oldest.session_id) == (ok_session, failed_session)
    assert oldest.started_at == datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC)
    assert (oldest.outcome, oldest.errors, oldest.failure_keys) == ("failed", 1, (FAILED_KEY,))
    assert (oldest.turns, oldest.first_audio_ms, newest.first_audio_ms) == (1, 600.0, 722.0)
    assert oldest.tags == {}


def test_sessions_within_a_limit_and_without_their_events(
    failed_session: str, ok_session: str, queries: Queries
) -> None:
    (newest,) = queries.sessions(limit=1, latency=False)
    assert (newest.session_id, newest.first_audio_ms) == (ok_session, None)
    assert queries.session_count() == 2


def test_first_audio_is_the_median_over_the_turns(root: Root) -> None:
    trace = Trace()
    for number, answer_after_ms in enumerate((300.0, 500.0, 1000.0)):
        spoken_turn(
            trace, 3000.0 * number, item=f"item_{number}", response=f"resp_{number}", answer_after_ms=answer_after_ms
        )
    trace.write(root)
    with open_store(root) as store:
        queries = Queries(store)
        assert queries.sessions()[0].first_audio_ms == 500.0
        assert queries.session(trace.session_id).summary.first_audio_ms == 500.0


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
        assert Queries(store).timeline(trace.session_id) == []


def test_the_timeline_has_errors_in_their_place(failed_session: str, queries: Queries) -> None:
    rows = queries.timeline(failed_session)
    assert len(rows) == 15
    (error,) = [row for row in rows if row.error]
    assert error.offset_ms == 730.0
    assert error.error == "server_error · Input transcription failed for item 'item_u1'."
    appends = rows[3]
    assert (appends.type, appends.count, appends.audio_ms) == ("input_audio_buffer.append", 5, 100.0)
    assert len(queries.timeline(failed_session, fold=False)) == 20


def test_the_messages_behind_a_row(failed_session: str, queries: Queries) -> None:
    audio = next(row for row in queries.timeline(failed_session) if row.type == "response.output_audio.delta")
    everything = queries.events(failed_session, audio.first_seq, audio.last_seq)
    assert [event.type for event in everything].count("response.output_audio_transcript.delta") == 1
    first, second = queries.events(failed_session, audio.first_seq, audio.last_seq, type=audio.type)
    assert "«0.02 s of audio»" in first.payload
    assert second.at == datetime(2026, 2, 12, 8, 30, 55, 722_000, tzinfo=UTC)


def test_levels_over_the_session(failed_session: str, queries: Queries) -> None:
    levels = queries.levels(failed_session, "client", 10)
    assert levels == pytest.approx([0.5, 0.5, *[0.0] * 8], abs=0.01)


def test_runs_are_read_off_their_sessions(root: Root) -> None:
    for number, outcome in enumerate(("failed", "ok", "throttled")):
        replayed = {"role": "replayed", "run_id": "r1", "replay_of": "x", "cell": f"c{number % 2}"}
        Trace(f"20260212T08300{number}-0000000a", replayed | {"trial_outcome": outcome}).write(root)
    Trace("20260213T083000-0000000a", {"run_id": "r2", "replay_of": "x", "trial_outcome": "ok"}).write(root)
    with open_store(root) as store:
        newest, oldest = Queries(store).runs()
    assert (newest.run_id, newest.trials) == ("r2", 1)
    assert (oldest.cells, oldest.trials, oldest.failed, oldest.ok, oldest.not_counted) == (2, 3, 1, 1, 1)
    assert oldest.replay_of == ("x",)


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
        assert Queries(store).diff(*ids).rows
