"""Turn a recording into a plan: what the client sent, in its order, and what each send has to wait for; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from capture.narration import counted
from capture.realtime.answering import UPDATES
from capture.realtime.events import asks_out_of_band, is_repeat, parse_event
from capture.realtime.progress import Progress
from replay.foreign import protocol_of_message
from replay.id_map import IdIndex
from replay.late_failure import LateFailures
from replay.onsets import Heard, anchor_steps
from replay.plan import APPEND, COMMIT_LEAST_MS, Dependency, Message, Plan, Step, WaitFor
from replay.rewrite import id_fields
from replay.spoken_turns import SpokenTurns
from replay.tools import ToolCalls
from replay.window import WindowScope

Json = dict[str, Any]

_SENT = ("event", "text", "binary")
"""Pings, pongs and the close belong to the connection."""
_AFTER_ANSWERS = {"conversation.item.create", "response.create"}
_CUTS_IN = {"response.cancel", "conversation.item.truncate"}
_AUDIO_DELTAS = {"response.output_audio.delta", "response.audio.delta"}


def make_plan(
    messages: Iterable[Message], gaps: Iterable[Mapping[str, Any]] = (), closed_ns: int | None = None
) -> Plan:
    """Plan the replay of a recorded session's messages; `gaps` is the column of its row.

    `closed_ns` is when the endpoint ended the session, from its start, where that was a failure.
    """
    planner = _Planner(gaps)
    for message in messages:
        planner.take(message)
    return planner.finish(closed_ns)


class _Planner:
    def __init__(self, gaps: Iterable[Mapping[str, Any]]) -> None:
        self._steps: list[Step] = []
        self._ids = IdIndex()
        self._seen = Progress()
        self._input_format = self._seen.configuration.input_format
        self._output_format = self._seen.configuration.output_format
        self._scope = WindowScope(gaps, self._ids)
        self._spoken = SpokenTurns(is_cut=self._scope.is_cut)
        self._not_sent = list(self._scope.not_sent)
        self._pinned: list[tuple[Message, Json | None]] = []
        self._clock_zero_ns: int | None = None
        self._is_resuming = False
        self._protocol: str | None = None
        self._heard = Heard()
        self._tools = ToolCalls()
        self._told_before: Json = {}
        self._late = LateFailures(self._seen)
        self._outputs: list[str] = []
        """Calls that were answered since the last response.create."""
        self._redacted: Counter[str] = Counter()
        """Messages that something was taken out of, by their types."""
        self._is_audible = False
        """Whether anything that was appended is not digital silence."""
        self._truncations: list[tuple[int, Json]] = []
        """Step -> its message."""

    def take(self, message: Message) -> None:
        if self._protocol is None and message.kind in _SENT:
            self._protocol = protocol_of_message(message.type, message.content)
        # Audio and text deltas make up nearly all of a recording and hold nothing that a send depends on.
        bulk = message.kind != "event" or message.type is None or message.type.endswith((".append", ".delta"))
        event = None if bulk else parse_event(message.content)
        if event is not None and message.sender == "server":
            if is_repeat(event, self._told_before):
                # Counted, it would be waited for at endpoints that say it once.
                return
            self._told_before = event
        if not self._scope.is_cut:
            self._follow(message, event)
        elif message.is_pinned:
            # Held until a window comes: what is pinned behind the last one, nothing that is sent depends on.
            self._pinned.append((message, event))
        else:
            self._flush_pinned()
            self._take_cut(message, event, pinned=False)

    def _flush_pinned(self) -> None:
        pinned, self._pinned = self._pinned, []
        for message, event in pinned:
            self._take_cut(message, event, pinned=True)

    def _take_cut(self, message: Message, event: Json | None, *, pinned: bool) -> None:
        if event is None:
            self._follow(message, event, pinned=pinned)
        elif message.sender == "server":
            if self._scope.will_happen(event, pinned=pinned):
                self._follow(message, event)
        elif (missing := self._scope.missing(event)) is not None:
            # Sent all the same it would be refused, and the refusal would look like the endpoint's failure.
            at_s = message.offset_ns / 1e9
            self._not_sent.append(f"{message.type} at {at_s:.1f} s: {missing} is outside the window")
        else:
            if pinned:
                self._scope.note_create(event)
            self._follow(message, event, pinned=pinned)

    def _follow(self, message: Message, event: Json | None, *, pinned: bool = False) -> None:
        at_ns = self._scope.elapsed_ns(message.offset_ns)
        if message.sender == "client":
            self._plan(message, event, pinned=pinned)
        elif event is None and message.type in _AUDIO_DELTAS:
            self._heard.answers.observe_audio(at_ns, message.content, self._output_format)
        if event is not None:
            self._ids.observe(message.sender, event)
            self._seen.observe(message.sender, event)
            self._tools.observe(message.sender, event)
            self._input_format = self._seen.configuration.input_format
            self._output_format = self._seen.configuration.output_format
            self._spoken.observe(message.sender, event, len(self._steps))
            self._spoken.note_due(self._seen, at_ns)
            self._heard.observe(at_ns, message.sender, event, self._output_format)
        if event is not None or (message.sender == "client" and message.kind in _SENT):
            self._late.observe(at_ns, message.sender)

    def finish(self, closed_ns: int | None) -> Plan:
        for number, truncation in self._truncations:
            was_refused = any(each is truncation for each in self._seen.refused)
            self._steps[number] = replace(self._steps[number], was_refused=was_refused)
        timed = [step.not_before_ns for step in self._steps if step.not_before_ns is not None]
        # Who hung up before an answer came says nothing of whether it would have come.
        owed = self._seen.speech_is_open or self._seen.missing()
        turns, zero_ns = self._spoken.turns(), self._clock_zero_ns or 0
        commits = len(self._seen.commits)
        if commits and not self._spoken.appends and not self._scope.is_cut:
            spoken = counted(commits, "spoken turn")
            self._not_sent.append(
                f"the audio of {spoken}, which is not in the recording: it went over WebRTC or SIP, or was not logged"
            )
        is_muted = self._redacted[APPEND] > 0 and not self._is_audible
        if is_muted:
            muted = counted(self._redacted.pop(APPEND), "append")
            self._not_sent.append(f"the audio of {muted}, which was redacted")
        self._not_sent += (f"what was redacted from {count} {kind}" for kind, count in self._redacted.items())
        return Plan(
            steps=anchor_steps(self._steps, turns, self._spoken, self._heard, zero_ns),
            ids=self._ids,
            configuration=self._seen.configuration,
            turns=commits,
            duration_ns=max(timed, default=0),
            not_sent=tuple(self._not_sent),
            spoken=turns,
            due_ns=self._spoken.due_spans(zero_ns),
            protocol=self._protocol,
            tools=self._tools,
            responses=None if owed else len(self._heard.answers.begun),
            is_muted=is_muted,
            late_failure=self._late.last(None if closed_ns is None else self._scope.elapsed_ns(closed_ns)),
        )

    def _plan(self, message: Message, event: Json | None, *, pinned: bool) -> None:
        if message.kind not in _SENT:
            # What could not be decoded cannot be sent.
            if message.kind == "raw":
                self._not_sent.append(f"{len(message.content)} undecodable bytes at {message.offset_ns / 1e9:.1f} s")
            return
        if message.redacted:
            self._redacted[message.type or message.kind] += 1
        at_ns = self._scope.elapsed_ns(message.offset_ns)
        untimed = pinned or (message.type in UPDATES and self._clock_zero_ns is None)
        # What was pinned has to be in force before a window begins, as the opening configuration has.
        begins_clock = not untimed and (self._clock_zero_ns is None or self._is_resuming)
        self._is_resuming = pinned
        if self._clock_zero_ns is None and not untimed:
            self._clock_zero_ns = at_ns
        is_audio = message.type == APPEND and isinstance(message.content, str)
        if is_audio:
            self._spoken.append(message.content, self._input_format, len(self._steps))
            self._listen(message.content)
        if _is_act(event or {}):
            self._heard.acts.append(len(self._steps))
        if event is not None and message.type == "conversation.item.truncate":
            self._truncations.append((len(self._steps), event))
        references = self._references(event) if event is not None and message.type not in UPDATES else ()
        self._steps.append(
            Step(
                number=len(self._steps),
                type=message.type,
                content=message.content,
                not_before_ns=None if untimed else at_ns - (self._clock_zero_ns or 0),
                after=tuple(self._dependencies(message.type, event or {}, references, begins_clock=begins_clock)),
                references=references,
                is_binary=message.kind == "binary",
                audio_format=self._input_format if is_audio else None,
                commits_speech=self._commits_speech(message.type),
                answers_calls=self._note_outputs(event or {}),
                stops_response=message.type == "response.cancel" and bool(self._seen.active_responses),
            )
        )

    def _listen(self, append: str | bytes) -> None:
        if not self._is_audible:
            step = Step(len(self._steps), APPEND, append, None)
            self._is_audible = bool(step.audio.strip(self._input_format.silence(1)[:1]))

    def _commits_speech(self, event_type: str | None) -> bool:
        manual = self._seen.configuration.turn_detection in (None, "none")
        return event_type == "input_audio_buffer.commit" and not manual and self._spoken.open_ms >= COMMIT_LEAST_MS

    def _note_outputs(self, event: Json) -> tuple[str, ...]:
        """Follow which outputs a response.create goes on from; what somebody writes it would go on from as well."""
        item = event.get("item")
        if isinstance(item, dict) and item.get("type") == "function_call_output":
            self._outputs.append(str(item.get("call_id")))
        elif isinstance(item, dict):
            self._outputs.clear()
        if event.get("type") != "response.create" or asks_out_of_band(event):
            return ()
        outputs, self._outputs = tuple(self._outputs), []
        return outputs

    def _references(self, event: Json) -> tuple[str, ...]:
        found = (text for _, text in id_fields(event) if text in self._ids.keys)
        return tuple(dict.fromkeys(found))

    def _kind_of(self, recorded_id: str) -> WaitFor:
        kind = self._ids.keys[recorded_id].kind
        if kind in ("response", "call"):
            return "response" if kind == "response" else "call"
        # Who named it before it was there did not wait for it.
        return "item" if self._ids.exists(recorded_id) else "announcement"

    def _dependencies(
        self, event_type: str | None, event: Json, references: tuple[str, ...], *, begins_clock: bool
    ) -> Iterable[Dependency]:
        seen = self._seen
        if not self._steps:
            yield Dependency("session.created")
        if seen.updates_answered and (begins_clock or event_type == "response.create"):
            yield Dependency("session.updated", count=seen.updates_answered)
        for recorded_id in references:
            kind = self._kind_of(recorded_id)
            # By the end of so many responses a call that does not come never will.
            count = seen.responses_begun if kind == "call" else 0
            yield Dependency(kind, count=count, recorded_id=recorded_id)
        if event_type in _AFTER_ANSWERS and not asks_out_of_band(event) and seen.responses_done and seen.is_idle:
            yield Dependency("response.done", count=seen.responses_done)
        if event_type == "response.cancel" and not references and seen.active_responses:
            yield Dependency("response.created", count=seen.responses_begun)


def _is_act(event: Json) -> bool:
    """Tell whether somebody does something by a message: writes, or cuts an answer off."""
    if event.get("type") in _CUTS_IN:
        return True
    item = event.get("item")
    return event.get("type") == "conversation.item.create" and isinstance(item, dict) and item.get("role") == "user"
