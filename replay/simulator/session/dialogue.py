"""What goes on in a session's conversation: user turns, their transcriptions, and the answers to them."""

from __future__ import annotations

from functools import partial

from replay.simulator.faults.conditions import Circumstance
from replay.simulator.faults.effects import (
    AudioEffect,
    ResponseEffect,
    ResponseWithheld,
    TranscriptionEffect,
    TranscriptionWithheld,
)
from replay.simulator.faults.faults import Faults
from replay.simulator.ids import IdSource
from replay.simulator.protocol.configuration import response_settings
from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.scenario import Server
from replay.simulator.session.conversation import Conversation, Item, Json
from replay.simulator.session.items import make_item
from replay.simulator.session.rate_limits import TokenBudget
from replay.simulator.session.responses import Answer, ResponseRun
from replay.simulator.session.runs import Event, Run
from replay.simulator.session.tool_calls import ToolCallRun, choose_call
from replay.simulator.session.transcriptions import TranscriptionRun
from replay.simulator.session.turns import TurnCommitted, TurnStopped
from replay.simulator.session.usage import count_input


class Dialogue:
    """Holds the conversation and everything that is being said in it; `settings` is the session's object.

    Its methods return the events to send; mistakes of the client raise `ClientMistake`.
    """

    def __init__(self, server: Server, faults: Faults, region: str, ids: IdSource, settings: Json) -> None:
        self.settings = settings
        self.conversation = Conversation()
        self.assistant_spoke = False
        """Whether any audio of the assistant was sent: from then on the voice is fixed."""
        self._server = server
        self._faults = faults
        self._region = region
        self._ids = ids
        self.conversation_id = ids.make("conv")
        self._budget = TokenBudget(server.tokens_per_minute)
        self._turn_count = 0
        self._response_count = 0
        self._runs: list[Run] = []
        self._active: ResponseRun | None = None
        """The one response that the default conversation may have at a time."""
        self._answer_owed = False
        """A turn ended while a response was still going on: it is answered after that."""

    @property
    def due_ns(self) -> int | None:
        """When something happens next by itself; None when nothing is going on."""
        return min((run.due_ns for run in self._runs if run.due_ns is not None), default=None)

    def here(self, now_ns: int) -> Circumstance:
        """Tell where the session stands, as faults ask for it."""
        transcription = self.settings["audio"]["input"]["transcription"] or {}
        return Circumstance(
            self._region,
            now_ns,
            self.settings.get("model"),
            transcription.get("model"),
            self._turn_count,
            self._response_count,
        )

    def step(self) -> list[Event]:
        """Live through the moment that is due next."""
        due_ns = self.due_ns
        run = next((run for run in self._runs if run.due_ns == due_ns), None)
        if run is None or due_ns is None:
            return []
        events = run.step()
        if run.due_ns is None:
            self._runs.remove(run)
        if isinstance(run, ResponseRun):
            self.assistant_spoke = self.assistant_spoke or run.spoke
            if run is self._active and not run.active:
                self._active = None
                events += self._pay_answer(due_ns)
        return events

    def add_item(self, item: Item, previous_item_id: str | None = None) -> list[Event]:
        """Put a finished item into the conversation."""
        if item.content["type"] == "function_call_output":
            self.conversation.check_tool_output(item.content["call_id"])
        previous = self.conversation.add(item, previous_item_id)
        return [
            {"type": f"conversation.item.{outcome}", "previous_item_id": previous, "item": item.content}
            for outcome in ("added", "done")
        ]

    def add_turn(self, turn: TurnStopped | TurnCommitted, now_ns: int) -> list[Event]:
        """Make an item of a user's turn, and transcribe it where the session asks for that."""
        self._turn_count += 1
        committed = {
            "type": "input_audio_buffer.committed",
            "previous_item_id": self.conversation.last_id,
            "item_id": turn.item_id,
        }
        content = {
            "id": turn.item_id,
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        item = Item(content, bytearray(turn.audio), turn.audio_format)
        self._transcribe(item, now_ns)
        return [committed, *self.add_item(item)]

    def answer_turn(self, now_ns: int) -> list[Event]:
        """Answer a turn that voice activity ended: now, or when the response in progress is over."""
        self._answer_owed = True
        return self._pay_answer(now_ns) if self._active is None else []

    def create_response(self, asked: Json | None, now_ns: int) -> list[Event]:
        """Start a response as the client asks for it."""
        settings = response_settings(self.settings, asked)
        if settings["conversation"] == "auto" and self._active is not None:
            raise ClientMistake(
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress: "
                f"{self._active.response_id}. Wait until the response is finished before creating a new one.",
            )
        return self._respond(settings, now_ns)

    def cancel_response(self, response_id: str | None, now_ns: int) -> list[Event]:
        """Cancel the response of that id, or the one of the default conversation."""
        running = [run for run in self._runs if isinstance(run, ResponseRun) and run.active]
        named = next((run for run in running if run.response_id == response_id), None)
        run = self._active if response_id is None else named
        if run is None:
            raise ClientMistake("response_cancel_not_active", "Cancellation failed: no active response found")
        return self._cancel(run, "client_cancelled", now_ns)

    def interrupt(self, now_ns: int) -> list[Event]:
        """Cut the answer in progress off, because the user speaks."""
        return self._cancel(self._active, "turn_detected", now_ns) if self._active is not None else []

    def _transcribe(self, item: Item, now_ns: int) -> None:
        asked = self.settings["audio"]["input"]["transcription"]
        if asked is None:
            return
        spoilt = self._faults.find_effect(TranscriptionEffect, self.here(now_ns), self._ids.chance)
        if isinstance(spoilt, TranscriptionWithheld):
            return
        run = TranscriptionRun(
            item,
            asked["model"],
            self._server.transcript_text,
            started_ns=now_ns,
            delay_ms=self._server.transcription_delay_ms,
            spoilt=spoilt,
        )
        self._runs.append(run)

    def _pay_answer(self, now_ns: int) -> list[Event]:
        if not self._answer_owed:
            return []
        self._answer_owed = False
        return self._respond(response_settings(self.settings, None), now_ns)

    def _respond(self, settings: Json, now_ns: int) -> list[Event]:
        self._response_count += 1
        here, draw = self.here(now_ns), self._ids.chance
        spoilt = self._faults.find_effect(ResponseEffect, here, draw)
        if isinstance(spoilt, ResponseWithheld):
            return []
        if self._budget.is_spent(now_ns):
            spoilt = self._budget.refuse(now_ns)
        run = self._make_run(settings, now_ns, spoilt, self._faults.find_effect(AudioEffect, here, draw))
        self._runs.append(run)
        if settings["conversation"] == "auto":
            self._active = run
        return run.step()

    def _make_run(
        self, settings: Json, now_ns: int, spoilt: ResponseEffect | None, audio_spoilt: AudioEffect | None
    ) -> ResponseRun:
        context = self._read_context(settings)
        call = choose_call(self._server.tool_call, settings, self.settings, context)
        make = ResponseRun if call is None else partial(ToolCallRun, call=call, call_id=self._ids.make("call"))
        return make(
            self._ids.make("resp"),
            self._ids.make("item"),
            settings,
            Answer(self._server.answer, self._server.answer_speed, self._server.first_delta_ms),
            conversation=self.conversation if settings["conversation"] == "auto" else None,
            conversation_id=self.conversation_id,
            heard=count_input(settings["instructions"], context),
            budget=self._budget,
            started_ns=now_ns,
            spoilt=spoilt,
            audio_spoilt=audio_spoilt,
        )

    def _cancel(self, run: ResponseRun, reason: str, now_ns: int) -> list[Event]:
        events = run.cancel(reason, now_ns)
        if run is self._active:
            self._active = None
            events += self._pay_answer(now_ns)
        return events

    def _read_context(self, settings: Json) -> list[Item]:
        if "input" not in settings:
            return list(self.conversation.items)
        return [self._resolve(item, index) for index, item in enumerate(settings["input"])]

    def _resolve(self, item: Json, index: int) -> Item:
        if item["type"] != "item_reference":
            return make_item(item, self._ids, self.settings)
        found = self.conversation.find(item["id"])
        if found is None:
            raise ClientMistake(
                "invalid_value", f"Item with id '{item['id']}' not found.", f"response.input[{index}].id"
            )
        return found
