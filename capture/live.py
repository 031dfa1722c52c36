"""Watch sessions while they run: what their journals hold so far, read on from where the last look ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from capture.connection import SWITCHING_PROTOCOLS
from capture.errors import UsageProblem, WiretapeError
from capture.journal import Direction, JournalRecord, decode_gap, follow_journal, is_locked
from capture.masking import masks_of
from capture.realtime.events import EventHeader, read_header
from capture.recording.facts import HandshakeResponse, Sender, SessionEnd, SessionFacts, decode_fact
from capture.recording.root import Root
from capture.redaction import redact_text
from capture.regular_files import regular_files
from capture.wire import WireDecoder, WireMessage

_SENDERS: dict[Direction, Sender] = {Direction.CLIENT: "client", Direction.SERVER: "server"}


_SEALED_WITHIN_S = 120
"""A session that ended longer ago, and that nobody is sealing, has lost who would; should it wait in a long queue after
all, a recovery does it no harm."""


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that is not a recording yet."""

    session_id: str
    state: Literal["live", "waiting"]
    """`waiting`: over, and not sealed yet."""
    is_left_behind: bool
    """Whether only a recovery makes a recording of it: its recorder died before it ended, or before it was sealed."""
    started_at: datetime | None
    """UTC; None where the journal does not tell."""
    age_s: float | None
    """Since its start, by this machine's clock."""
    target: str | None
    bytes: int
    """In the journal so far, both senders."""
    sent_bytes: int
    """Of these, from the client."""
    lost_bytes: int
    """Known to be missing from the journal."""
    events: int
    """JSON messages so far, both senders."""
    last_error: str | None
    """Event type, error type, code and message of the last failure that was told."""


def ids_in_flight(root: Root) -> list[str]:
    """List the sessions that are no recordings yet, by the names of their journals, oldest first."""
    return [path.stem for path in regular_files(root.journal, ".journal")]


class LiveJournals:
    """The journals of a root; each refresh reads what has been added since the last one."""

    def __init__(self, root: Root, *, clock_s: Callable[[], float] = time.time) -> None:
        self._root = root
        self._clock_s = clock_s
        self._journals: dict[tuple[str, int], JournalSoFar] = {}
        """By session and inode: a journal that was written anew is another one."""

    def refresh(self, *, only: str | None = None) -> list[LiveSession]:
        """Read on, and give the sessions in the order of their ids; what is sealed by now is no longer there.

        `only` names one of them: no other journal is read.
        """
        found: dict[tuple[str, int], JournalSoFar] = {}
        sessions = []
        for path in map(self._root.journal_of, ids_in_flight(self._root) if only is None else [only]):
            try:
                key = (path.stem, path.stat().st_ino)
                found[key] = journal = self._journals.get(key) or JournalSoFar(path)
                sessions.append(journal.look(self._clock_s()))
            except OSError:
                # Sealed in this moment, or somebody else's.
                continue
        self._journals = found
        return sessions

    @property
    def positions(self) -> dict[str, int]:
        """How far each journal is read, in bytes of its file."""
        return {session_id: journal.position for (session_id, _), journal in self._journals.items()}


class JournalSoFar:
    """What one journal has told so far."""

    def __init__(self, path: Path) -> None:
        self.position = 0
        """How far it is read, in bytes of its file."""
        self._path = path
        self._facts: SessionFacts | None = None
        self._has_ended = False
        self._written_s = 0.0
        """When it was last written to, in seconds since 1970."""
        self._bytes = {Direction.CLIENT: 0, Direction.SERVER: 0}
        self._lost_bytes = self._events = 0
        self._last_error: str | None = None
        self._decoders: dict[Sender, WireDecoder] = {}
        self._early: list[JournalRecord] = []
        """What came before the 101: only that tells how to read it."""

    def look(self, now_s: float) -> LiveSession:
        """Take in all that is new, and sum up; raises `OSError`."""
        # Asked before reading: if nobody holds it any more, its end is there or will never be.
        is_held = self.is_held()
        for _ in self.records():
            pass
        return self.session(now_s, is_held=is_held)

    def is_held(self) -> bool:
        """Tell whether somebody writes it; raises `OSError`."""
        return is_locked(self._path)

    def records(self) -> Iterator[JournalRecord]:
        """Take in what is new, and give each record; raises `OSError`."""
        status = self._path.stat()
        self._written_s = status.st_mtime
        if status.st_size <= self.position:
            return
        try:
            for record, position in follow_journal(self._path, self.position):
                self._take(record)
                self.position = position
                yield record
        except WiretapeError:
            # A foreign file with a journal's name: `recover` says so, here nothing is known of it.
            return

    def session(self, now_s: float, *, is_held: bool) -> LiveSession:
        """Sum up what is known at this moment."""
        started_s = self._facts.started_at_us / 1e6 if self._facts and self._facts.started_at_us is not None else None
        return LiveSession(
            session_id=self._path.stem,
            state="live" if is_held and not self._has_ended else "waiting",
            is_left_behind=not is_held and (not self._has_ended or now_s - self._written_s > _SEALED_WITHIN_S),
            started_at=None if started_s is None else _time_of_day(started_s),
            # A clock that was set back must not make a session younger than nothing.
            age_s=None if started_s is None else max(0.0, now_s - started_s),
            target=self._facts.target if self._facts else None,
            bytes=sum(self._bytes.values()),
            sent_bytes=self._bytes[Direction.CLIENT],
            lost_bytes=self._lost_bytes,
            events=self._events,
            last_error=self._last_error,
        )

    def _take(self, record: JournalRecord) -> None:
        if record.direction is Direction.FACT:
            self._take_fact(record.content)
            return
        if record.direction is Direction.GAP:
            self._lost_bytes += max(decode_gap(record.content).bytes, 0)
        else:
            self._bytes[record.direction] += len(record.content)
        if self._decoders:
            self._take_wire(record)
        else:
            self._early.append(record)

    def _take_fact(self, content: bytes) -> None:
        try:
            fact = decode_fact(content)
        except msgspec.DecodeError:
            return
        if isinstance(fact, SessionFacts):
            self._facts = fact
        elif isinstance(fact, SessionEnd):
            self._has_ended = True
        elif isinstance(fact, HandshakeResponse):
            self._take_response(fact)

    def _take_response(self, response: HandshakeResponse) -> None:
        early, self._early = self._early, []
        if response.status == SWITCHING_PROTOCOLS and not self._decoders:
            headers = [value for name, value in response.headers if name.lower() == "sec-websocket-extensions"]
            self._decoders = {sender: WireDecoder(sender, ", ".join(headers) or None) for sender in _SENDERS.values()}
            for record in early:
                self._take_wire(record)

    def _take_wire(self, record: JournalRecord) -> None:
        if record.direction is Direction.GAP:
            gap = decode_gap(record.content)
            messages = self._decoders[gap.sender].gap(gap.bytes, record.offset_ns, ends_at_frame=gap.ends_at_frame)
        else:
            messages = self._decoders[_SENDERS[record.direction]].feed(record.content, record.offset_ns)
        for message in messages:
            self._take_message(message)

    def _take_message(self, message: WireMessage) -> None:
        text = message.content.decode("utf-8", "replace") if message.kind == "text" else ""
        header = read_header(text) if text else None
        if header is None:
            return
        self._events += 1
        if message.sender == "server" and _error_of(header):
            self._last_error = self._clean(f"{header.type}: {_error_of(header)}")

    def _clean(self, said: str) -> str:
        """Take out what sealing will take out: journals hold what stands inside messages as it came."""
        try:
            masks = masks_of(self._facts.redact if self._facts else ())
        except UsageProblem:
            # A rule of a newer version: what it hides is not for us to show.
            return "an error, hidden by --redact"
        return masks.plain(redact_text(said))


def _time_of_day(started_s: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(started_s, UTC)
    except (ValueError, OverflowError, OSError):
        # Beyond the calendar: a journal from elsewhere may say anything.
        return None


def _error_of(header: EventHeader) -> str:
    return " ".join(part for part in (header.error_type, header.error_code, header.error_message) if part)
