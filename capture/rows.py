"""Turn the records of one session's journal into the rows of a recording; pure: no files, no clock."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from capture.connection import SWITCHING_PROTOCOLS
from capture.content_encoding import decode_content, wide_text
from capture.journal import Direction, JournalRecord, decode_gap
from capture.keeping import Decision, Window, WindowFilter
from capture.literals import apply_edits, moved
from capture.masking import MASK, NO_MASKS, masks_of
from capture.message_reader import MessageReader, ReadText, read_text
from capture.realtime.audio_formats import Track
from capture.realtime.events import EventHeader
from capture.recording.facts import Divergence, Fact, HandshakeResponse, Rewrite, Sender, SessionFacts, decode_fact
from capture.recording.payload import AudioCut
from capture.redaction import redact_bytes, redact_text
from capture.session_audio import SessionAudio
from capture.session_row import SessionSummary
from capture.wire import WireDecoder, WireMessage

Row = dict[str, Any]
TableRow = tuple[str, Row]
"""A table's name and a row of it, without its session_id."""

_log = logging.getLogger(__name__)
_SENDERS: tuple[Sender, Sender] = ("client", "server")
"""By their direction; looked up for every message, and hashing an enum is slow."""
_CONTROL_KINDS = frozenset({"ping", "pong", "close"})


class SessionRows:
    """Takes a journal's records in their order; gives rows of events, audio, divergences and rewrites.

    With `windows` it gives only the messages inside them, and the pinned ones; the session is summed up whole.
    """

    def __init__(self, session_id: str, windows: Sequence[Window] | None = None) -> None:
        self._summary = SessionSummary(session_id)
        self._filter = None if windows is None else WindowFilter(windows)
        self._audio = SessionAudio()
        self._decoders: dict[Sender, WireDecoder] = {}
        self._readers = {sender: MessageReader(sender) for sender in _SENDERS}
        self._held: list[JournalRecord] = []
        self._ready: list[TableRow] = []
        self._seq = 0
        self._offset_ns = 0
        self._masks = NO_MASKS

    def feed(self, record: JournalRecord) -> list[TableRow]:
        """Take in one record; give the rows it completes."""
        if record.offset_ns > self._offset_ns:
            self._offset_ns = record.offset_ns
        if record.direction is Direction.FACT:
            self._take_fact(record.content)
        elif self._decoders:
            self._take_wire(record)
        else:
            # Until the 101 is known nothing says what the bytes are; without one they are bodies.
            self._held.append(record)
        return self._take_ready()

    def tell(self, fact: Fact) -> list[TableRow]:
        """Take in a fact that is in no journal: one of an imported session."""
        self._observe_fact(fact)
        return self._take_ready()

    def take(self, message: WireMessage, *, has_time: bool) -> list[TableRow]:
        """Take in a message that another tool recorded; its time is known perhaps."""
        self._offset_ns = message.offset_ns
        self._summary.connection.has_messages = True
        self._take_message(message)
        ready = self._take_ready()
        for table, row in ready:
            if table == "events":
                row["at"] = row["at"] if has_time else None
        return ready

    def pass_over(self, offset_ns: int, reason: str) -> None:
        """Take in that a message of an imported session could not be read; who sent it is not known."""
        self._summary.take_unreadable(offset_ns, reason)

    def finish(self) -> list[TableRow]:
        """Take in the end of the journal; give the last rows."""
        for decoder in self._decoders.values():
            undecodable_bytes = decoder.undecodable_bytes
            for message in decoder.finish(self._offset_ns):
                self._take_message(message)
            # A message that the recorder's own death cut in two is no fault of the stream: it is kept as it
            # is, and that the end is missing says enough.
            if self._summary.connection.end is not None:
                undecodable_bytes = decoder.undecodable_bytes
            self._summary.lost_bytes += decoder.lost_bytes
            self._summary.undecodable_bytes += undecodable_bytes
        if not self._decoders:
            self._take_bodies()
        self._ready += [("audio", block) for block in self._audio.finish()]
        return self._take_ready()

    def session_row(self) -> Row:
        """Sum the session up; call it after `finish`."""
        row = self._summary.row(last_offset_ns=self._offset_ns, left_out=self._filter)
        row |= self._audio.columns(has_times=row["duration_ms"] is not None)
        # Last of all: the outcome is judged by what was said, whatever is kept of it.
        return self._masks.columns(row)

    @property
    def decision(self) -> Decision:
        """What to keep of the session, by its rule; read it after `session_row`."""
        return self._summary.decision

    def _take_ready(self) -> list[TableRow]:
        ready, self._ready = self._ready, []
        return ready

    def _take_fact(self, content: bytes) -> None:
        try:
            fact: Fact = decode_fact(content)
        except msgspec.DecodeError as error:
            # A newer recorder's journal: what this version cannot read must not cost the session.
            _log.warning("a record of the journal is passed over: %s", error)
            return
        self._observe_fact(fact)

    def _observe_fact(self, fact: Fact) -> None:
        self._summary.connection.take_fact(fact)
        if isinstance(fact, SessionFacts):
            # From the journal, so that a recovery in another year takes the same things out.
            self._masks = masks_of(fact.redact)
        elif isinstance(fact, Divergence | Rewrite):
            table = "divergences" if isinstance(fact, Divergence) else "rewrites"
            self._ready.append((table, msgspec.structs.asdict(fact)))
        elif isinstance(fact, HandshakeResponse):
            self._masks = self._masks or masks_of(fact.redact)
            if fact.status == SWITCHING_PROTOCOLS and not self._decoders:
                self._upgrade(fact)

    def _upgrade(self, response: HandshakeResponse) -> None:
        headers = [value for name, value in response.headers if name.lower() == "sec-websocket-extensions"]
        extensions = ", ".join(headers) or None
        self._decoders = {sender: WireDecoder(sender, extensions) for sender in _SENDERS}
        held, self._held = self._held, []
        for record in held:
            self._take_wire(record)

    def _take_wire(self, record: JournalRecord) -> None:
        if record.direction is Direction.GAP:
            gap = decode_gap(record.content)
            self._summary.take_gap(gap)
            self._audio.lose(gap.sender)
            decoder = self._decoders[gap.sender]
            messages = decoder.gap(gap.bytes, record.offset_ns, ends_at_frame=gap.ends_at_frame)
        else:
            messages = self._decoders[_SENDERS[record.direction]].feed(record.content, record.offset_ns)
        for message in messages:
            self._take_message(message)

    def _take_bodies(self) -> None:
        for record in self._held:
            if record.direction is Direction.GAP:
                gap = decode_gap(record.content)
                self._summary.take_gap(gap)
                self._summary.lost_bytes += max(gap.bytes, 0)
        for direction, sender in enumerate(_SENDERS):
            pieces = [record for record in self._held if record.direction == direction]
            if pieces:
                body = b"".join(piece.content for piece in pieces)
                self._take_body(WireMessage(sender, "raw", body, len(body), pieces[-1].offset_ns))

    def _take_body(self, message: WireMessage) -> None:
        row = self._row(message) | {"kind": "http"}
        if message.sender == "client":
            row["http_method"] = self._summary.connection.http_method
        encodings = self._summary.connection.content_encodings(message.sender)
        content, is_whole = decode_content(message.content, encodings)
        wide = wide_text(content)
        text = wide or (_utf8(content) if is_whole else content.decode(errors="ignore"))
        if text is None:
            self._put_bytes(row, content if encodings and redact_bytes(content) else message.content)
        elif text or is_whole:
            came_as_text = not (encodings or wide)
            self._take_body_text(message, text, row, came_as_text=came_as_text, is_whole=is_whole)
        else:
            # Nobody can tell what is in it.
            row |= {"payload_bytes": bytes(len(message.content)), "redacted": True}
        self._ready.append(("events", row))

    def _take_body_text(self, message: WireMessage, text: str, row: Row, *, came_as_text: bool, is_whole: bool) -> None:
        """Keep a body's text; of one that came otherwise, with nothing to hide in it, the bytes as they came."""
        read = read_text(text)
        if message.sender == "server":
            self._summary.observe_answer(read.header, redact_text(text))
        if came_as_text:
            self._put_text(row, read)
        elif is_whole and not read.secrets and not self._masks:
            row |= read.columns | {"payload_bytes": message.content}
        else:
            self._put_text(row, read)
            row["redacted"] = True

    def _take_message(self, message: WireMessage) -> None:
        row = self._row(message)
        read = self._readers[message.sender].read(message.content) if message.kind == "text" else None
        if read is None:
            self._put_bytes(row, message.content)
            if message.kind == "close":
                self._summary.connection.observe_close(message.sender, row["payload_bytes"])
            elif message.kind in ("text", "binary"):
                self._summary.observe_no_event(message.sender)
        else:
            text, cut = read
            self._take_text(message, text, cut, row)
        if self._filter is None or self._keeps(row):
            self._ready.append(("events", row))
        else:
            self._filter.leave_out(row)

    def _keeps(self, row: Row) -> bool:
        """Tell whether a row is kept, and mark it where only its kind keeps it."""
        if self._filter is None or self._filter.is_inside(row):
            return True
        row["pinned"] = self._filter.is_pinned(row)
        return bool(row["pinned"])

    def _take_text(self, message: WireMessage, read: ReadText, cut: AudioCut | None, row: Row) -> None:
        if read.header is None:
            self._summary.observe_no_event(message.sender)
            self._put_text(row, read)
            return
        row["kind"] = "event"
        # Columns are read from what is said, ids and names too.
        text = apply_edits(read.text, read.secrets) if read.secrets else read.text
        self._summary.observe(message.sender, read.header, text, message.offset_ns)
        self._audio.observe(message.sender, read.header, row["seq"])
        if cut is None or read.track is None:
            self._put_text(row, read)
            return
        row["audio_at"] = self._put_text(row, read, at=cut.at)
        self._take_audio(message.sender, read.track, read.header, cut.audio, row)

    def _take_audio(self, sender: Sender, track: Track, header: EventHeader, audio: bytes, row: Row) -> None:
        """Move the audio of a message to its track."""
        self._audio.place(row, track, len(audio), silences=self._masks.audio)
        if self._masks.audio:
            row["redacted"] = True
        is_kept = self._keeps(row)
        blocks = self._audio.take(row, header, audio, self._summary.formats[sender], is_kept=is_kept)
        if blocks:
            self._ready += [("audio", block) for block in blocks]

    def _put_text(self, row: Row, read: ReadText, *, at: int = 0) -> int:
        """Put a text and its header into a row without what must not be kept; tell where `at` is now."""
        text, edits = read.text, read.secrets
        if edits:
            text, at, row["redacted"] = apply_edits(text, edits), moved(at, edits), True
        row |= read.columns
        if self._masks:
            text, at = self._mask(row, text, read.header, at)
        row["payload"] = text
        return at

    def _mask(self, row: Row, text: str, header: EventHeader | None, at: int) -> tuple[str, int]:
        masks, sender = self._masks, row["sender"]
        row |= masks.columns(row)
        if header is None:
            # An endpoint's refusal is evidence; any other text of unknown structure may be what somebody said.
            is_refusal = row["kind"] == "http" and sender == "server" and (self._summary.connection.status or 0) >= 400
            masked = masks.plain(text) if is_refusal or not masks.hides_unreadable else MASK * len(text)
        else:
            edits = masks.message_edits(text, header.type, self._summary.formats[sender])
            masked, at = apply_edits(text, edits), moved(at, edits)
        row["redacted"] |= masked != text
        return masked, at

    def _put_bytes(self, row: Row, content: bytes) -> None:
        is_control = row["kind"] in _CONTROL_KINDS
        kept = redact_bytes(content) or content
        kept = self._masks.matches_in(kept) if is_control else self._masks.content(kept)
        row["payload_bytes"] = kept
        row["redacted"] = kept != content

    def _row(self, message: WireMessage) -> Row:
        seq, self._seq = self._seq, self._seq + 1
        started_at_us = self._summary.connection.facts.started_at_us
        return {
            "seq": seq,
            "offset_ns": message.offset_ns,
            "at": None if started_at_us is None else started_at_us + message.offset_ns // 1000,
            "sender": message.sender,
            "kind": message.kind,
            "wire_bytes": message.wire_bytes,
            "pinned": False,
            "redacted": False,
        }


def _utf8(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
