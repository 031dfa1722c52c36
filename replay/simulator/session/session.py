"""One Realtime session: client messages and the time in, server events out. It touches no socket and no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from capture.realtime.configuration import get_path, set_path
from replay.simulator.clock import NS_PER_S
from replay.simulator.faults.effects import Close as CloseEffect
from replay.simulator.faults.effects import ErrorEvent, IgnoreAudio, IgnoreSettings, RejectUpdate, TimedEffect
from replay.simulator.faults.faults import Faults
from replay.simulator.faults.interference import Interference
from replay.simulator.ids import IdSource
from replay.simulator.protocol.admission import Admitted
from replay.simulator.protocol.beta import BetaDialect
from replay.simulator.protocol.client_events import (
    CLIENT_EVENTS,
    TRANSCRIPTION_EVENTS,
    check_client_event,
    read_event_id,
)
from replay.simulator.protocol.configuration import default_session, default_transcription_session, update_session
from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.protocol.shapes import decode_audio
from replay.simulator.scenario import Server
from replay.simulator.session.conversation import Json
from replay.simulator.session.dialogue import Dialogue
from replay.simulator.session.items import make_item
from replay.simulator.session.runs import Event
from replay.simulator.session.turns import Turns, TurnStarted, TurnStopped


@dataclass(frozen=True, slots=True)
class Close:
    """The endpoint ends the session: a WebSocket close."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is lost, without a close."""


Output = Event | Close | Drop
"""What goes to the client: an event with its `event_id`, or the end."""


class Session:
    """Everything that happens on one connection after its handshake.

    `faults` are those of the whole simulator; left out, the session is alone and its faults begin with it.
    """

    def __init__(
        self, server: Server, admitted: Admitted, ids: IdSource, now_ns: int, faults: Faults | None = None
    ) -> None:
        self.closed = False
        self._server = server
        self._ids = ids
        self._now_ns = self._heard_ns = now_ns
        self._expires_ns = now_ns + round(server.session_max_duration_s * NS_PER_S)
        self._answers = admitted.session_type == "realtime"
        self._beta = BetaDialect() if admitted.dialect == "beta" else None
        make_settings = default_session if self._answers else default_transcription_session
        settings = make_settings(ids.make("sess"), admitted.model, self._expires_ns // NS_PER_S)
        self._turns = Turns(settings, lambda: ids.make("item"))
        self._faults = faults or Faults(server.faults, now_ns)
        self._dialogue = Dialogue(server, self._faults, admitted.region, ids, settings)
        self._interference = Interference(self._faults, ids.chance)
        self._deafness = self._faults.find_effect(IgnoreAudio, self._dialogue.here(now_ns), ids.chance)
        self._listen()
        self._outbox: list[Output] = []
        self._handlers: dict[str, Callable[[Json], Iterable[Event]]] = {
            "session.update": self._update_session,
            "input_audio_buffer.append": self._append_audio,
            "input_audio_buffer.commit": self._commit_audio,
            "input_audio_buffer.clear": self._clear_audio,
            "conversation.item.create": self._create_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.retrieve": self._retrieve_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    @property
    def next_due_ns(self) -> int:
        """When something happens next by itself: at the latest, the session ends."""
        coming = (self._dialogue.due_ns, self._interference.due_ns, self._ends_ns)
        return min(due_ns for due_ns in coming if due_ns is not None)

    @property
    def _ends_ns(self) -> int:
        """When the session ends at the latest: of old age, or because the client has long been silent."""
        idle_s = self._server.session_max_idle_s
        return self._expires_ns if idle_s is None else min(self._expires_ns, self._heard_ns + round(idle_s * NS_PER_S))

    def open(self) -> list[Output]:
        """Greet the client."""
        self._emit([{"type": "session.created", "session": self._dialogue.settings}])
        if self._beta is not None and self._answers:
            conversation = {"id": self._dialogue.conversation_id, "object": "realtime.conversation"}
            self._emit([{"type": "conversation.created", "conversation": conversation}])
        return self._flush()

    def receive(self, message: str | bytes, now_ns: int) -> list[Output]:
        """Take a message of the client in. Whatever is wrong with it, the session goes on."""
        self._live_until(now_ns)
        if not self.closed:
            self._heard_ns = now_ns
            event = None
            try:
                event = _parse(message)
                translated: Any = event if self._beta is None else self._beta.read(event)
                taken = CLIENT_EVENTS if self._answers else TRANSCRIPTION_EVENTS
                self._emit(self._handlers[check_client_event(translated, taken)](translated))
            except ClientMistake as mistake:
                self._refuse(mistake, read_event_id(event))
        return self._flush()

    def tick(self, now_ns: int) -> list[Output]:
        """Let happen what is due by now."""
        self._live_until(now_ns)
        return self._flush()

    def _live_until(self, now_ns: int) -> None:
        while not self.closed and self.next_due_ns <= now_ns:
            self._now_ns = self.next_due_ns
            if self._now_ns == self._ends_ns:
                self._expire()
            elif self._now_ns == self._interference.due_ns:
                self._suffer()
            else:
                self._emit(self._dialogue.step())
        self._now_ns = now_ns

    def _expire(self) -> None:
        if self._ends_ns == self._expires_ns:
            minutes = f"{self._server.session_max_duration_s / 60:g}"
            message = f"Your session hit the maximum duration of {minutes} minutes."
            self._refuse(ClientMistake("session_expired", message), None)
        else:
            message = f"Nothing came from the client for {self._server.session_max_idle_s:g} seconds."
        self._end(Close(1001, message))

    def _update_session(self, event: Json) -> list[Event]:
        dialogue = self._dialogue
        rejected = self._faults.find_effect(RejectUpdate, dialogue.here(self._now_ns), self._ids.chance)
        if rejected is not None:
            raise ClientMistake(rejected.code, rejected.message, rejected.param)
        before = dialogue.settings
        dialogue.settings = update_session(before, event["session"], assistant_spoke=dialogue.assistant_spoke)
        ignored = self._faults.find_effect(IgnoreSettings, dialogue.here(self._now_ns), self._ids.chance)
        for path in ignored.paths if ignored is not None else ():
            dialogue.settings = set_path(dialogue.settings, path, get_path(before, path))
        self._listen()
        return [{"type": "session.updated", "session": dialogue.settings}]

    def _listen(self) -> None:
        self._turns.configure(self._dialogue.settings)
        if self._deafness is not None and self._detection is not None:
            self._turns.deaf = self._deafness.turn_detection in (None, self._detection["type"])

    def _append_audio(self, event: Json) -> Iterable[Event]:
        for turn in self._turns.append(decode_audio(event["audio"], "audio")):
            yield from self._hear_start(turn) if isinstance(turn, TurnStarted) else self._hear_stop(turn)

    def _commit_audio(self, _event: Json) -> list[Event]:
        return self._dialogue.add_turn(self._turns.commit(), self._now_ns)

    def _clear_audio(self, _event: Json) -> list[Event]:
        self._turns.clear()
        return [{"type": "input_audio_buffer.cleared"}]

    def _create_item(self, event: Json) -> list[Event]:
        item = make_item(event["item"], self._ids, self._dialogue.settings)
        return self._dialogue.add_item(item, event.get("previous_item_id"))

    def _truncate_item(self, event: Json) -> list[Event]:
        fields = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        self._dialogue.conversation.truncate(**fields)
        return [{"type": "conversation.item.truncated", **fields}]

    def _delete_item(self, event: Json) -> list[Event]:
        self._dialogue.conversation.delete(event["item_id"])
        return [{"type": "conversation.item.deleted", "item_id": event["item_id"]}]

    def _retrieve_item(self, event: Json) -> list[Event]:
        item = self._dialogue.conversation.retrieve(event["item_id"])
        return [{"type": "conversation.item.retrieved", "item": item}]

    def _create_response(self, event: Json) -> list[Event]:
        return self._dialogue.create_response(event.get("response"), self._now_ns)

    def _cancel_response(self, event: Json) -> list[Event]:
        return self._dialogue.cancel_response(event.get("response_id"), self._now_ns)

    def _hear_start(self, turn: TurnStarted) -> Iterable[Event]:
        yield {
            "type": "input_audio_buffer.speech_started",
            "audio_start_ms": turn.audio_start_ms,
            "item_id": turn.item_id,
        }
        if self._answers and self._detection["interrupt_response"]:
            yield from self._dialogue.interrupt(self._now_ns)

    def _hear_stop(self, turn: TurnStopped) -> Iterable[Event]:
        yield {
            "type": "input_audio_buffer.speech_stopped",
            "audio_end_ms": turn.audio_end_ms,
            "item_id": turn.item_id,
        }
        yield from self._dialogue.add_turn(turn, self._now_ns)
        if self._answers and self._detection["create_response"]:
            yield from self._dialogue.answer_turn(self._now_ns)

    @property
    def _detection(self) -> Json:
        detection: Json = self._dialogue.settings["audio"]["input"]["turn_detection"]
        return detection

    def _refuse(self, mistake: ClientMistake, event_id: str | None) -> None:
        error = {
            "type": "invalid_request_error",
            "code": mistake.code,
            "message": mistake.message,
            "param": mistake.param,
            "event_id": event_id,
        }
        self._emit([{"type": "error", "error": error}])

    def _suffer(self) -> None:
        """Let the interference that is due by now strike."""
        while not self.closed and (effect := self._interference.take(self._now_ns)) is not None:
            self._strike(effect)

    def _strike(self, effect: TimedEffect) -> None:
        if isinstance(effect, ErrorEvent):
            self._send({"type": "error", "error": _show_error(effect)})
            if effect.then_close is not None:
                named = ".".join(name for name in (effect.type, effect.code) if name is not None)
                reason = "" if effect.then_close == 1000 else named
                self._end(Close(effect.then_close, reason))
        elif isinstance(effect, CloseEffect):
            self._end(Close(effect.code, effect.reason))
        else:
            self._end(Drop())

    def _end(self, end: Close | Drop) -> None:
        if not self.closed:
            self._outbox.append(end)
            self.closed = True

    def _emit(self, events: Iterable[Event]) -> None:
        for event in events:
            if self.closed:
                return
            self._send(event)
            self._interference.follow(event["type"], self._dialogue.here(self._now_ns))
            self._suffer()

    def _send(self, event: Event) -> None:
        for said in (event,) if self._beta is None else self._beta.write(event):
            self._outbox.append({"type": said["type"], "event_id": self._ids.make("event"), **said})

    def _flush(self) -> list[Output]:
        outputs, self._outbox = self._outbox, []
        return outputs


def _parse(message: str | bytes) -> Any:
    if isinstance(message, bytes):
        raise ClientMistake("invalid_event", "Expected a text WebSocket message; binary frames are not supported.")
    try:
        return msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ClientMistake("invalid_json", "Invalid event: failed to parse JSON value.") from error


def _show_error(effect: ErrorEvent) -> Json:
    return {
        "type": effect.type,
        "code": effect.code,
        "message": effect.message,
        "param": effect.param,
        "event_id": None,
    }
