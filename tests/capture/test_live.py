"""Live sessions, watched through their journals: each look reads only what is new."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from capture.journal import Direction, Gap, Journal, JournalWriter
from capture.live import LiveJournals, LiveSession
from capture.recording.facts import Fact, HandshakeResponse, Sender, SessionEnd, SessionFacts, encode_fact
from capture.recording.root import Root
from capture.sealing import seal

SESSION_ID = "20260212T083055-4f3a9c12"
STARTED_AT_S = 1_770_885_055
CREATED = '{"type":"session.created","session":{"id":"sess_1"}}'
FAILED = {"type": "server_error", "code": "overloaded", "message": "Try again"}


@pytest.fixture
def journals(root: Root) -> LiveJournals:
    return LiveJournals(root, clock_s=lambda: STARTED_AT_S + 12.5)


class Session:
    """A session as a recorder writes it; `catch_up` waits until all of it is on disk."""

    def __init__(self, writer: JournalWriter, redact: Sequence[str] = ()) -> None:
        self.journal: Journal = writer.open(SESSION_ID)
        self._writer = writer
        started_at_us = STARTED_AT_S * 1_000_000
        facts = SessionFacts(session_id=SESSION_ID, started_at_us=started_at_us, target="eastus2", redact=list(redact))
        self.note(facts)
        self.note(HandshakeResponse(offset_ns=0, status=101, headers=[]))

    def note(self, fact: Fact) -> None:
        self.journal.append(Direction.FACT, 0, encode_fact(fact))

    def say(self, sender: Sender, text: str, at_ms: int = 0) -> int:
        """Append a message; give the bytes it takes on the wire."""
        frame = Frame(Opcode.TEXT, text.encode()).serialize(mask=sender == "client")
        self.journal.append(Direction.CLIENT if sender == "client" else Direction.SERVER, at_ms * 1_000_000, frame)
        return len(frame)

    def end(self) -> None:
        """Say that it is over, and let go of the journal."""
        self.note(SessionEnd(offset_ns=1_000_000_000, closed_by="client"))
        self.catch_up()
        over = threading.Event()
        self.journal.close(over.set)
        assert over.wait(30)

    def catch_up(self) -> None:
        caught_up = threading.Event()
        clock = self._writer.open("clock")
        clock.close(caught_up.set)
        assert caught_up.wait(30)
        clock.path.unlink()


def only(sessions: list[LiveSession]) -> LiveSession:
    [session] = sessions
    return session


def test_an_empty_root_has_no_live_sessions(journals: LiveJournals) -> None:
    assert journals.refresh() == []


def test_a_live_session_is_told_by_its_journal(writer: JournalWriter, journals: LiveJournals) -> None:
    session = Session(writer)
    wire_bytes = session.say("server", CREATED)
    session.catch_up()

    live = only(journals.refresh())

    assert (live.session_id, live.state, live.is_left_behind) == (SESSION_ID, "live", False)
    assert (live.target, live.age_s, live.events, live.bytes) == ("eastus2", 12.5, 1, wire_bytes)
    assert (live.lost_bytes, live.last_error) == (0, None)
    assert live.started_at is not None
    assert live.started_at.isoformat() == "2026-02-12T08:30:55+00:00"


@pytest.mark.parametrize("started_at_us", [2**62, -(2**62)])
def test_a_journal_from_elsewhere_that_began_beyond_the_calendar_has_no_time(
    started_at_us: int, writer: JournalWriter, journals: LiveJournals
) -> None:
    session = Session(writer)
    session.note(SessionFacts(session_id=SESSION_ID, started_at_us=started_at_us))
    session.catch_up()
    assert only(journals.refresh()).started_at is None


def test_each_refresh_reads_on_from_where_the_last_one_ended(writer: JournalWriter, journals: LiveJournals) -> None:
    session = Session(writer)
    session.say("server", CREATED)
    session.catch_up()
    journals.refresh()
    read = journals.positions[SESSION_ID]
    assert read == session.journal.path.stat().st_size

    session.say("client", '{"type":"response.create"}')
    session.catch_up()
    with session.journal.path.open("r+b") as file:
        # Whoever read this stretch again would find nothing but damage.
        file.write(b"\xff" * read)

    live = only(journals.refresh())
    assert (live.events, live.target, live.lost_bytes) == (2, "eastus2", 0)
    assert journals.positions[SESSION_ID] == session.journal.path.stat().st_size


def test_a_message_is_counted_when_its_last_byte_is_there(writer: JournalWriter, journals: LiveJournals) -> None:
    session = Session(writer)
    frame = Frame(Opcode.TEXT, CREATED.encode()).serialize(mask=False)
    session.journal.append(Direction.SERVER, 0, frame[:10])
    session.catch_up()
    assert only(journals.refresh()).events == 0
    session.journal.append(Direction.SERVER, 1, frame[10:])
    session.catch_up()
    assert only(journals.refresh()).events == 1


def test_a_record_that_is_half_written_is_left_to_the_next_look(
    root: Root, writer: JournalWriter, journals: LiveJournals
) -> None:
    session = Session(writer)
    session.say("server", CREATED)
    writer.close()
    whole = session.journal.path.read_bytes()
    for cut in range(len(whole) - 60, len(whole)):
        session.journal.path.write_bytes(whole[:cut])
        assert only(journals.refresh()).events == 0
    session.journal.path.write_bytes(whole)
    assert only(journals.refresh()).events == 1


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"type": "error", "error": FAILED}, "error: server_error overloaded Try again"),
        (
            {"type": "response.done", "response": {"status": "failed", "status_details": {"error": FAILED}}},
            "response.done: server_error overloaded Try again",
        ),
    ],
)
def test_the_last_error_is_told(writer: JournalWriter, journals: LiveJournals, event: object, said: str) -> None:
    session = Session(writer)
    session.say("server", '{"type":"error","error":{"message":"an earlier one"}}')
    session.say("server", json.dumps(event))
    session.say("server", CREATED)
    session.catch_up()
    assert only(journals.refresh()).last_error == said


@pytest.mark.parametrize(
    ("redact", "shown"), [([], "order 4711"), (["/order [0-9]+/"], "xxxxxxxxxx"), (["a-newer-rule"], "hidden")]
)
def test_what_sealing_takes_out_is_not_told(
    writer: JournalWriter, journals: LiveJournals, redact: list[str], shown: str
) -> None:
    session = Session(writer, redact=redact)
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    session.say("server", json.dumps({"type": "error", "error": {"message": f"no such key {key} for order 4711"}}))
    session.catch_up()
    last_error = only(journals.refresh()).last_error
    assert last_error is not None
    assert key not in last_error
    assert shown in last_error
    assert ("4711" in last_error) is not bool(redact)


def test_a_gap_is_counted(writer: JournalWriter, journals: LiveJournals) -> None:
    session = Session(writer)
    session.journal.append(*Gap("client", 0, 1, 500, "the disk was full").unwritten())
    session.catch_up()
    assert only(journals.refresh()).lost_bytes == 500


def test_a_session_that_ended_waits_to_be_sealed(writer: JournalWriter, journals: LiveJournals) -> None:
    session = Session(writer)
    session.note(SessionEnd(offset_ns=1))
    session.catch_up()
    assert only(journals.refresh()).state == "waiting"
    writer.close()
    live = only(journals.refresh())
    assert (live.state, live.is_left_behind) == ("waiting", False)


def test_a_session_that_ended_and_that_nobody_seals_is_left_behind(root: Root, writer: JournalWriter) -> None:
    session = Session(writer)
    session.note(SessionEnd(offset_ns=1))
    writer.close()
    journal = root.journal_of(SESSION_ID)
    ended_s = journal.stat().st_mtime
    assert not only(LiveJournals(root, clock_s=lambda: ended_s + 119).refresh()).is_left_behind
    late = LiveJournals(root, clock_s=lambda: ended_s + 121)
    assert only(late.refresh()).is_left_behind
    with journal.open("r+b") as file:
        # As who seals it does, however long that takes.
        fcntl.flock(file, fcntl.LOCK_EX)
        sealed = only(late.refresh())
    assert (sealed.state, sealed.is_left_behind) == ("waiting", False)


def test_a_session_without_an_end_that_nobody_writes_is_left_behind(
    writer: JournalWriter, journals: LiveJournals
) -> None:
    session = Session(writer)
    session.catch_up()
    assert not only(journals.refresh()).is_left_behind
    writer.close()
    live = only(journals.refresh())
    assert (live.state, live.is_left_behind) == ("waiting", True)


def test_a_sealed_session_is_live_no_more(
    root: Root, journals: LiveJournals, write_journal: Callable[..., str]
) -> None:
    session_id = write_journal([("server", CREATED)])
    assert only(journals.refresh()).session_id == session_id
    seal(root.path, session_id)
    assert journals.refresh() == []
    assert journals.positions == {}


def test_a_plain_exchange_has_bytes_and_no_events(
    root: Root, journals: LiveJournals, write_journal: Callable[..., str]
) -> None:
    write_journal([("server", b"busy")], status=503)
    live = only(journals.refresh())
    assert (live.bytes, live.events) == (4, 0)


def test_a_foreign_file_tells_nothing_and_hides_nothing(
    root: Root, journals: LiveJournals, write_journal: Callable[..., str]
) -> None:
    write_journal([("server", CREATED)])
    Path(root.journal / "20260101T000000-00000000.journal").write_bytes(b"this is no journal")
    foreign, known = journals.refresh()
    assert (foreign.started_at, foreign.age_s, foreign.bytes, foreign.is_left_behind) == (None, None, 0, True)
    assert known.events == 1
