"""The tap: whatever it meets, the connection never hears of it."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from capture.recorder import Recorder, SessionRecording
from capture.recording.reader import Recording, open_recording
from capture.sealing import SealedSession
from capture.tap import Tap

pytestmark = pytest.mark.codec

REQUEST = b"GET /v1/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
PEER = ("192.0.2.7", 443)


class Line:
    """A tap and what came of it."""

    def __init__(self, recorder: Recorder) -> None:
        self.sealed: list[Future[SealedSession]] = []
        self.recording = recorder.start_session(recorder.new_facts(target="endpoint"))
        self.tap = Tap(lambda: self.recording, self.sealed.append)
        self.tap.connected(PEER)

    def open(self) -> Tap:
        self.tap.sent(REQUEST)
        self.tap.received(ANSWER)
        return self.tap

    def recorded(self, recorder: Recorder) -> Recording:
        self.sealed[0].result()
        return open_recording(recorder.root, self.recording.session_id)


def text(sender: str, content: str) -> bytes:
    return Frame(Opcode.TEXT, content.encode()).serialize(mask=sender == "client")


def test_heads_are_facts_and_what_follows_is_bytes(recorder: Recorder) -> None:
    line = Line(recorder)
    tap = line.open()
    tap.sent(text("client", "a"))
    tap.received(text("server", "b"))
    tap.lost()
    recording = line.recorded(recorder)
    assert [(message.sender, message.content) for message in recording.messages()] == [("client", "a"), ("server", "b")]
    assert (recording.session["handshake_status"], recording.session["remote_ip"]) == (101, "192.0.2.7")


@given(cuts=st.lists(st.integers(0, 400), max_size=6))
def test_an_answer_may_come_in_any_pieces(cuts: list[int]) -> None:
    seen: list[bytes] = []

    class Noting:
        def now_ns(self) -> int:
            return 0

        def fact(self, _: object) -> None: ...

        def bytes(self, _: str, chunk: bytes) -> None:
            seen.append(chunk)

    tap = Tap(lambda: Noting())  # type: ignore[arg-type,return-value]
    tap.connected(PEER)
    stream = ANSWER + b"first" * 20
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    for start, end in pairwise(places):
        tap.received(stream[start:end])
    assert b"".join(seen) == b"first" * 20


def test_an_answer_that_overtakes_its_request_is_no_message(recorder: Recorder) -> None:
    line = Line(recorder)
    line.tap.received(ANSWER)
    line.tap.sent(REQUEST)
    line.tap.sent(text("client", "a"))
    line.tap.lost()
    assert [message.content for message in line.recorded(recorder).messages()] == ["a"]


def test_who_let_go_without_a_close_frame_is_said(recorder: Recorder) -> None:
    line = Line(recorder)
    line.open().lost(ConnectionResetError("reset by peer"))
    session = line.recorded(recorder).session
    assert (session["closed_by"], session["close_code"]) == ("network", 1006)
    assert session["end_reason"] == "connection to the server lost: reset by peer"


def test_a_program_that_lets_go_is_no_endpoint_that_failed(recorder: Recorder) -> None:
    line = Line(recorder)
    line.open().lost()
    session = line.recorded(recorder).session
    assert (session["closed_by"], session["close_code"], session["outcome"]) == ("client", 1006, "ok")
    assert session["end_reason"] == "the program let go of the connection"


def test_a_program_that_waits_no_longer_for_an_answer_is_said(recorder: Recorder) -> None:
    line = Line(recorder)
    line.tap.sent(REQUEST)
    line.tap.lost()
    session = line.recorded(recorder).session
    assert (session["handshake_status"], session["closed_by"]) == (None, "client")
    assert session["end_reason"] == "the program gave up before the connection was a WebSocket"


def test_it_ends_once(recorder: Recorder) -> None:
    line = Line(recorder)
    tap = line.open()
    for _ in range(3):
        tap.lost()
    assert len(line.sealed) == 1


def test_a_recording_that_cannot_begin_costs_the_call_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def begin() -> SessionRecording:
        raise OSError("no disk today")

    tap = Tap(begin, lambda _: None)
    tap.connected(PEER)
    tap.sent(REQUEST)
    tap.received(ANSWER)
    tap.lost()
    assert [entry.message for entry in caplog.records if entry.levelno == logging.ERROR] == [
        "a session is not recorded: no disk today"
    ]


def test_a_fault_while_copying_is_told_once_and_leaves_a_gap(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(recorder)
    tap = line.open()
    tap.sent(text("client", "before"))
    with monkeypatch.context() as broken:
        broken.setattr(line.recording, "bytes", None)
        tap.sent(text("client", "lost"))
    tap.sent(text("client", "lost as well"))
    tap.lost()
    recording = line.recorded(recorder)
    [fault] = [entry.message for entry in caplog.records if "could not be recorded whole" in entry.message]
    assert fault.startswith("a session could not be recorded whole: TypeError at tap.py:")
    assert {gap["reason"].partition(":")[0] for gap in recording.session["gaps"]} == {"the tap failed"}
    assert [message.content for message in recording.messages()] == ["before"]
    assert (recording.session["complete"], len(recording.session["gaps"])) == (False, 2)
