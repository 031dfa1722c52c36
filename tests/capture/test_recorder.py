"""Recorder: what goes over the wire becomes a recording, and nothing that fails here reaches the call."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from concurrent.futures import Future

import pytest
from websockets.frames import Frame, Opcode

from capture.clock import NS_PER_S, SteppedClock
from capture.errors import UsageProblem
from capture.journal import read_journal
from capture.recorder import Recorder, SessionRecording
from capture.recording.facts import Divergence, HandshakeResponse, SessionEnd, decode_fact
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealing import SealedSession, Sealer, SealingFailed

CREATED = '{"type":"session.created","event_id":"event_1","session":{"id":"sess_1","type":"realtime"}}'
UPDATE = '{"type": "session.update", "session": {"type": "realtime"}}'


def frame(sender: str, text: str) -> bytes:
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=sender == "client")


def close_frame(code: int) -> bytes:
    return Frame(Opcode.CLOSE, code.to_bytes(2, "big")).serialize(mask=True)


def begin(recorder: Recorder) -> SessionRecording:
    """Start a session and let it be upgraded."""
    recording = recorder.start_session(recorder.new_facts(target="local", tags={"team": "voice"}))
    recording.fact(HandshakeResponse(offset_ns=recording.now_ns(), status=101, headers=[("x-request-id", "r1")]))
    return recording


def talk(recording: SessionRecording) -> None:
    recording.bytes("server", frame("server", CREATED))
    recording.bytes("client", frame("client", UPDATE))
    recording.bytes("client", close_frame(1000))


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_a_root_that_cannot_be_written_is_told_before_the_first_call(root: Root, inside: str) -> None:
    root.path.parent.mkdir(exist_ok=True)
    root.path.touch()
    with pytest.raises(UsageProblem, match=f"{root.path} is no folder; give another root"):
        Recorder(Root(root.path / inside))


def test_a_root_begins_with_the_first_session(root: Root) -> None:
    with Recorder(root):
        assert not root.path.exists()


def test_a_session_becomes_a_recording(recorder: Recorder, root: Root) -> None:
    recording = begin(recorder)
    talk(recording)
    sealed = recording.end().result(timeout=60)

    assert sealed.session_id == recording.session_id
    assert (sealed.outcome, sealed.complete, sealed.failure_keys) == ("ok", True, ())
    found = open_recording(root, recording.session_id)
    assert [message.content for message in found.messages() if message.kind == "event"] == [CREATED, UPDATE]
    assert found.session["target"] == "local"
    assert found.session["closed_by"] == "client"
    assert found.session["close_code"] == 1000
    assert dict(found.session["tags"]) == {"team": "voice"}
    assert not root.journal_of(recording.session_id).exists()


def test_each_message_has_the_time_its_bytes_came(recorder: Recorder, root: Root) -> None:
    recording = begin(recorder)
    recording.taker("server")(frame("server", CREATED), recording._started_ns + 5_000)
    before_ns = recording.now_ns()
    recording.bytes("client", frame("client", UPDATE))
    after_ns = recording.now_ns()
    recording.end().result(timeout=60)
    offsets = [message.offset_ns for message in open_recording(root, recording.session_id).messages()]
    assert offsets[0] == 5_000
    assert before_ns <= offsets[1] <= after_ns


def test_the_body_of_a_refused_upgrade_is_kept(recorder: Recorder, root: Root) -> None:
    recording = recorder.start_session(recorder.new_facts())
    recording.fact(HandshakeResponse(offset_ns=1, status=401, headers=[]))
    recording.http_body("client", b"")
    recording.http_body("server", b'{"error": {"code": "invalid_api_key", "message": "No."}}')
    sealed = recording.end().result(timeout=60)
    assert sealed.handshake_status == 401
    assert sealed.failure_keys == ("handshake|invalid_api_key|401|No.",)
    bodies = [(message.sender, message.kind) for message in open_recording(root, sealed.session_id).messages()]
    assert bodies == [("server", "http")]


def test_a_session_ends_once(recorder: Recorder, root: Root) -> None:
    recording = begin(recorder)
    assert not recording.ended
    first = recording.end(SessionEnd(offset_ns=7, closed_by="server", end_reason="first"))
    assert recording.ended
    assert recording.end(SessionEnd(offset_ns=8, end_reason="second")) is first
    first.result(timeout=60)
    assert open_recording(root, recording.session_id).session["end_reason"] == "first"


def test_the_recording_says_how_much_ever_waited_to_be_written(recorder: Recorder, root: Root) -> None:
    first = begin(recorder)
    talk(first)
    first.end().result(timeout=60)
    second = begin(recorder)
    second.end().result(timeout=60)
    high_water = open_recording(root, second.session_id).session["buffer_high_water"]
    assert 0 < high_water <= recorder.buffer_high_water

    told = begin(recorder)
    told.end(SessionEnd(offset_ns=1, buffer_high_water=5)).result(timeout=60)
    assert open_recording(root, told.session_id).session["buffer_high_water"] == 5


def test_what_comes_after_the_end_is_dropped_without_a_word(recorder: Recorder, root: Root) -> None:
    recording = begin(recorder)
    talk(recording)
    ended = recording.end()
    talk(recording)
    recording.fact(Divergence(offset_ns=1, step=1, kind="k", expected="e", seen="s", action="a"))
    ended.result(timeout=60)
    talk(recording)
    events = [message for message in open_recording(root, recording.session_id).messages() if message.kind == "event"]
    assert len(events) == 2


def test_sessions_side_by_side_are_kept_apart(recorder: Recorder, root: Root) -> None:
    recordings = [begin(recorder) for _ in range(5)]
    for number in range(10):
        for index, recording in enumerate(recordings):
            recording.bytes("server", frame("server", json.dumps({"type": "x", "from": index, "number": number})))
    for recording in recordings:
        recording.end()
    recorder.close()
    assert list_session_ids(root) == sorted(recording.session_id for recording in recordings)
    for index, recording in enumerate(recordings):
        told = [json.loads(message.content) for message in open_recording(root, recording.session_id).messages()]
        assert told == [{"type": "x", "from": index, "number": number} for number in range(10)]


def test_facts_that_quote_lone_surrogates_can_be_noted(recorder: Recorder) -> None:
    recording = begin(recorder)
    recording.fact(Divergence(offset_ns=1, step=1, kind="k", expected="\ud800", seen="s", action="a"))
    assert recording.end().result(timeout=60).complete


async def test_who_waits_may_give_up_and_the_session_is_sealed_all_the_same(recorder: Recorder, root: Root) -> None:
    recording = begin(recorder)
    talk(recording)
    waiting = asyncio.wrap_future(recording.end())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert recording.end().result(timeout=60).outcome == "ok"
    assert list_session_ids(root) == [recording.session_id]


def test_a_session_that_was_not_ended_stays_in_the_journal(root: Root) -> None:
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        recording = begin(recorder)
        talk(recording)
    assert list_session_ids(root) == []
    assert len(list(read_journal(root.journal_of(recording.session_id)))) == 5


def test_after_closing_nothing_is_recorded_and_nothing_raises(recorder: Recorder, root: Root) -> None:
    recording = begin(recorder)
    recorder.close()
    late = begin(recorder)
    for session in (recording, late):
        talk(session)
        with pytest.raises(SealingFailed, match="it was interrupted"):
            session.end().result(timeout=60)
    recorder.close()


def test_a_journal_folder_that_vanishes_breaks_no_call(recorder: Recorder, root: Root) -> None:
    recording = begin(recorder)
    while not root.journal_of(recording.session_id).exists():
        time.sleep(0.001)
    shutil.rmtree(root.path)
    talk(recording)
    lost: Future[SealedSession] = recording.end()
    with pytest.raises(SealingFailed, match=recording.session_id):
        lost.result(timeout=60)

    # The next session is recorded as if nothing had happened.
    following = begin(recorder)
    talk(following)
    assert following.end().result(timeout=60).complete


def test_a_root_that_can_no_longer_be_written_breaks_no_call(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = Root(tmp_path_factory.mktemp("blocked") / "root")
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        root.path.write_text("a file stands where the folder should be")
        recording = begin(recorder)
        talk(recording)
        with pytest.raises(SealingFailed):
            recording.end().result(timeout=60)


def test_new_facts_carry_an_id_and_the_same_moment_in_utc(recorder: Recorder) -> None:
    facts = recorder.new_facts(target="t", region="eastus2")
    assert (facts.target, facts.region, facts.role) == ("t", "eastus2", "captured")
    assert facts.recorder_id
    assert (facts.started_at_us or 0) > 1_700_000_000_000_000
    assert recorder.new_facts().session_id != facts.session_id


@pytest.mark.slow
def test_sealing_in_a_process_of_its_own(root: Root) -> None:
    with Recorder(root) as recorder:
        recording = begin(recorder)
        talk(recording)
        ended = recording.end()
    assert ended.done(), "closing waits until every ended session is sealed"
    assert ended.result().complete


def test_what_must_not_be_kept_stands_in_the_journal_twice_and_is_gone_from_its_heads(root: Root) -> None:
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        recording = recorder.start_session(recorder.new_facts(redact=["/Zoë/"], tags={"caller": "Zoë"}))
        recording.fact(HandshakeResponse(offset_ns=0, status=101, headers=[("X-Caller", "Zoë")]))
    facts = [decode_fact(record.content) for record in read_journal(root.journal_of(recording.session_id))]
    assert [getattr(one, "redact", None) for one in facts] == [["/Zoë/"], ["/Zoë/"]]
    journal = root.journal_of(recording.session_id).read_bytes()
    assert journal.count("Zoë".encode()) == 2
    assert b"xxx" in journal


def test_a_rule_that_cannot_be_applied_starts_no_journal(root: Root) -> None:
    with (
        Recorder(root, sealer=Sealer(root, in_process=True)) as recorder,
        pytest.raises(UsageProblem, match="--redact"),
    ):
        recorder.start_session(recorder.new_facts(redact=["of a newer version"]))
    assert not list(root.path.rglob("*.journal"))


def test_start_and_offsets_are_told_by_the_clock_that_is_given(root: Root) -> None:
    clock = SteppedClock(1_772_431_200 * NS_PER_S)
    with Recorder(root, sealer=Sealer(root, in_process=True), clock=clock) as recorder:
        recording = begin(recorder)
        clock.advance_s(3600)
        recording.bytes("server", frame("server", CREATED))
        sealed = recording.end().result(30)

    assert sealed.session_id.startswith("20260302T0600")
    assert 3_600_000 <= sealed.duration_ms < 3_660_000
    [message] = open_recording(root, sealed.session_id).messages()
    assert 3600 * NS_PER_S <= message.offset_ns < 3660 * NS_PER_S
