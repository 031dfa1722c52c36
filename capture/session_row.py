"""Sum one session up in a row: with what configuration, how it went, what was lost; pure."""

from __future__ import annotations

from typing import Any

import msgspec

from capture import __version__
from capture.audio import PCM16_24K, AudioFormat
from capture.connection import NO_CLOSE_FRAME, ConnectionSummary
from capture.journal import UNKNOWN_BYTES, Gap
from capture.keeping import WHOLE, Decision, WindowFilter, decide
from capture.realtime.configuration import CONFIGURATION_EVENTS, ConfigurationTracker, get_path
from capture.realtime.dialects import DialectDetector
from capture.realtime.events import EventHeader, parse_event
from capture.realtime.honouring import list_not_honoured
from capture.realtime.outcomes import OutcomeTracker, session_outcome, trial_outcome
from capture.recording.facts import Sender, SessionEnd, SessionFacts
from capture.recording.root import started_at_by
from capture.recording.schema import FORMAT_VERSION
from capture.turn_latencies import TurnLatencies

Row = dict[str, Any]

_SHOWN_BODY_CHARACTERS = 300
# The row of a session must stay small, whatever file it came from.
_MOST_UNREADABLE = 100
# Nine messages in ten; they say nothing but audio.
_APPEND = "input_audio_buffer.append"
_NO_HEALTH = {"offset_ns", "closed_by", "end_reason", "close_code", "close_reason"}
# All others are summed up by their header alone; parsing every audio event would cost more than all the rest.
_READ_WHOLE = CONFIGURATION_EVENTS | {
    "conversation.item.create",
    "response.create",
    "response.created",
    "response.done",
}


class SessionSummary:
    """Takes in everything that is known of one session; gives its row."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self.connection = ConnectionSummary(SessionFacts(session_id=session_id, started_at_us=_start_by_id(session_id)))
        self.configuration = ConfigurationTracker()
        self.formats: dict[Sender, AudioFormat] = {"client": PCM16_24K, "server": PCM16_24K}
        """Format of each sender's audio, as the session stands."""
        self.lost_bytes = 0
        self.undecodable_bytes = 0
        self.decision: Decision = WHOLE
        """What its rule keeps of the session; known once its row was asked for."""
        self._outcomes = OutcomeTracker(self.configuration)
        self._dialects = DialectDetector()
        self._gaps: list[Gap] = []
        self._unreadable: list[Row] = []
        """Gaps of an imported session, as rows."""
        self._refusal: tuple[str | None, str] = (None, "")
        self._events = {"client": 0, "server": 0}
        self._turns = 0
        self._latencies = TurnLatencies()
        self._tokens: dict[str, int] = {}

    def take_gap(self, gap: Gap) -> None:
        """Take in bytes that did not reach the journal."""
        self._gaps.append(gap)

    def take_unreadable(self, offset_ns: int, reason: str) -> None:
        """Take in that a message of an imported session could not be read: whose it was is not known."""
        if len(self._unreadable) < _MOST_UNREADABLE:
            gap = {"sender": None, "from_ns": offset_ns, "to_ns": offset_ns, "bytes": None, "reason": reason}
            self._unreadable.append(gap)

    def observe(self, sender: Sender, header: EventHeader, text: str, offset_ns: int) -> None:
        """Take in an event."""
        self._events[sender] += 1
        event_type = header.type or ""
        if event_type == _APPEND:
            return
        event = parse_event(text) if event_type in _READ_WHOLE else None
        self._latencies.observe(header, offset_ns, event)
        if event is not None:
            self._configure(sender, event)
        self._dialects.observe(event_type, event)
        # What crosses the endpoint's goodbye on its way can have no answer: none is due.
        if not (sender == "client" and self.connection.has_server_closed):
            self._outcomes.observe(sender, header, event, offset_ns)
        self._count_turn(sender, event_type, event or {})
        if event_type == "response.done":
            self._count_tokens(event or {})

    def observe_no_event(self, sender: Sender) -> None:
        """Take in a message that is no event: binary, or text that is no JSON."""
        if sender == "server":
            self._outcomes.observe_no_event()

    def observe_answer(self, header: EventHeader | None, text: str) -> None:
        """Take in the body that came back from a plain exchange or a refused upgrade."""
        found = header or EventHeader()
        said = found.error_message or text.strip()[:_SHOWN_BODY_CHARACTERS]
        self._refusal = (found.error_type or found.error_code, said)

    def row(self, *, last_offset_ns: int, left_out: WindowFilter | None = None) -> Row:
        """Give the row of the sessions table, without its session_id and audio; `left_out` was not kept by windows."""
        end = self.connection.end
        ended_ns = end.offset_ns if end else last_offset_ns
        close = self.connection.close()
        self._judge_end(ended_ns, close)
        row = self._identity(ended_ns) | self.connection.peer() | self.connection.handshake() | close
        row |= self._configured() | self._trial() | self._health() | self._outcome()
        row |= {
            "events_sent": self._events["client"],
            "events_received": self._events["server"],
            "turns": self._turns,
            "input_tokens": self._tokens.get("input_tokens"),
            "output_tokens": self._tokens.get("output_tokens"),
            "turn_latencies": self._latencies.rows(),
        }
        self.decision = self._decide(row["outcome"], ended_ns)
        row["kept"] = self.decision.kept
        if left_out is not None:
            # Nothing of it is lost: neither `complete` nor `lost_bytes` nor the outcome knows of these gaps.
            row["gaps"] += [_gap_row(gap) for gap in left_out.gaps(ended_ns)]
        elif self.decision.kept == "window":
            row["kept"] = "whole"
        return {name: _storable(value) for name, value in row.items()}

    def _configure(self, sender: Sender, event: Row) -> None:
        configuration = self.configuration
        configuration.observe(sender, event)
        # Kept, and not asked for with every audio event: reading them from the configuration is slow.
        self.formats = {"client": configuration.input_format, "server": configuration.output_format}

    def _count_turn(self, sender: Sender, event_type: str, event: Row) -> None:
        if sender == "server" and event_type == "input_audio_buffer.committed":
            self._turns += 1
        elif sender == "client" and event_type == "conversation.item.create":
            # A typed turn; one that only seeds the conversation looks the same and counts alike.
            is_user_message = get_path(event, "item.type") == "message" and get_path(event, "item.role") == "user"
            self._turns += is_user_message

    def _count_tokens(self, event: Row) -> None:
        for name in ("input_tokens", "output_tokens"):
            used = get_path(event, f"response.usage.{name}")
            if type(used) is int and 0 <= used < 2**31:
                self._tokens[name] = self._tokens.get(name, 0) + used

    def _judge_end(self, ended_ns: int, close: Row) -> None:
        end, flaw = self.connection.end, self.connection.flaw
        if flaw is not None and not self._events["client"]:
            # The client left because of it. Who does not look at it goes on, and nothing has failed.
            self._outcomes.refuse(self.connection.status, None, flaw)
        elif self.connection.is_upgraded:
            if close["close_code"] == NO_CLOSE_FRAME and close["closed_by"] != "network" and not self._is_whole:
                # Nobody knows that there was no close frame: it may be among what is lost.
                close["close_code"] = None
            self._outcomes.finish(
                ended_ns,
                closed_by=close["closed_by"],
                close_code=close["close_code"],
                close_reason=close["close_reason"],
                bytes_lost=not self._is_whole,
                is_side_channel=self.connection.is_side_channel,
            )
        elif end is not None and not self.connection.is_answered_exchange:
            error_type, said = self._refusal
            self._outcomes.refuse(self.connection.status, error_type, said or end.end_reason or "")

    def _decide(self, outcome: str, ended_ns: int) -> Decision:
        facts = self.connection.facts
        return decide(
            facts.keep_rule,
            session_id=self._session_id,
            role=facts.role,
            outcome=outcome,
            failure_offsets_ns=self._outcomes.failure_offsets_ns,
            duration_ns=ended_ns,
        )

    @property
    def _is_whole(self) -> bool:
        return not (self._gaps or self._unreadable or self.lost_bytes or self.undecodable_bytes)

    def _identity(self, ended_ns: int) -> Row:
        facts = self.connection.facts
        started_at_us = facts.started_at_us
        return {
            "format_version": FORMAT_VERSION,
            "tool_version": __version__,
            "recorder_id": facts.recorder_id or None,
            "role": facts.role,
            "started_at": started_at_us,
            # Below zero offsets keep an order and are no times.
            "ended_at": started_at_us + ended_ns // 1000 if started_at_us is not None and ended_ns >= 0 else None,
            "duration_ms": ended_ns / 1e6 if ended_ns >= 0 else None,
            "conversation_key": facts.conversation_key,
            "tags": facts.tags,
        }

    def _configured(self) -> Row:
        told = self.configuration
        self._dialects.observe_handshake(self.connection.url, self.connection.sent_headers)
        # A session that never stood had no formats, whatever the defaults are.
        has_formats = self.connection.is_upgraded
        return {
            "dialect": self._dialects.dialect,
            "model": self.connection.asked_model or told.model,
            "model_echoed": told.model_echoed,
            "transcription_model": told.transcription_model,
            "transcription_model_echoed": told.transcription_model_echoed,
            "voice": told.voice,
            "turn_detection": told.turn_detection,
            "input_format": told.input_format.type if has_formats else None,
            "output_format": told.output_format.type if has_formats else None,
            "server_session_id": told.server_session_id,
            "expires_at": None if told.expires_at_s is None else told.expires_at_s * 1_000_000,
            "not_honoured": _not_honoured(told),
        }

    def _trial(self) -> Row:
        replay = self.connection.facts.replay
        if replay is None:
            return {}
        row = msgspec.structs.asdict(replay)
        expected = row.pop("expected_failure_keys")
        end = self.connection.end
        end_reason = end.end_reason if end else None
        outcome = trial_outcome(self._outcomes.failure_keys, expected, self.connection.status, end_reason)
        return row | {"trial_outcome": outcome}

    def _health(self) -> Row:
        """Give what the recorder told of itself; its fields are named as the columns are."""
        end = self.connection.end
        names = [name for name in SessionEnd.__struct_fields__ if name not in _NO_HEALTH]
        return {name: getattr(end, name, None) for name in names}

    def _outcome(self) -> Row:
        end_told = self.connection.end is not None
        # A log of another tool often tells no end: one that stops where nothing is due is taken to be whole.
        end_seen = end_told or (self.connection.is_imported and not self._outcomes.is_owed)
        # A gap of unknown size is a loss all the same.
        lost_bytes = self.lost_bytes + self.undecodable_bytes + len(self._gaps) + len(self._unreadable)
        failure_keys = self._outcomes.failure_keys
        return {
            "errors": self._outcomes.errors,
            "first_error": self._outcomes.first_error,
            "failure_keys": failure_keys,
            "outcome": session_outcome(failure_keys, lost_bytes=lost_bytes, end_seen=end_seen),
            "complete": None if end_seen and not end_told and self._is_whole else self._is_whole and end_seen,
            "gaps": [*(_gap_row(gap) for gap in self._gaps), *self._unreadable],
            "lost_bytes": self.lost_bytes,
            "undecodable_bytes": self.undecodable_bytes,
        }


def _not_honoured(told: ConfigurationTracker) -> list[str] | None:
    # After a refusal nobody knows which of the updates an echo answers.
    return list_not_honoured(told.asked, told.echoed, told.created) if told.is_answered else None


def _start_by_id(session_id: str) -> int:
    # The best that is known where the journal lost its first record.
    started_at = started_at_by(session_id)
    return 0 if started_at is None else int(started_at.timestamp()) * 1_000_000


def _gap_row(gap: Gap) -> Row:
    row = msgspec.structs.asdict(gap)
    del row["ends_at_frame"]
    return row | {"bytes": None if gap.bytes == UNKNOWN_BYTES else gap.bytes}


def _storable(value: Any) -> Any:
    """Make a value fit its column: a lone surrogate has no UTF-8."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value
