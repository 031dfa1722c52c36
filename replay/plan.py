"""Turn a recording into a plan: what the client sent, in its order, and what each send has to wait for.

A plan's clock begins with the first message after the opening session.updates (with a caller: the first append).
What only carries audio keeps its recorded time on that clock. What depends on the endpoint's doings (a
response.create, a truncation, a tool's output) waits in addition for its counterpart in the new session, for
where the client acted on something it had seen, the replay has to see it too.

Of a recording that was cut to windows the pinned configuration and items go first, as soon as they may; the clock
begins with the window, and does not wait through what was left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from capture.audio import AudioFormat
from capture.realtime.configuration import ConfigurationTracker, get_path
from capture.realtime.events import parse_event
from capture.realtime.progress import Progress
from replay.foreign import protocol_of_message
from replay.id_map import IdIndex
from replay.rewrite import Change, compose_update, name_deployment, override, strings, unset
from replay.spoken_turns import SpokenTurn, SpokenTurns
from replay.transposition import Spoken, transpose
from replay.window import WindowScope

Json = dict[str, Any]
WaitFor = Literal["session.created", "session.updated", "response.created", "response.done", "item", "response", "call"]

APPEND = "input_audio_buffer.append"
UPDATES = {"session.update", "transcription_session.update"}
_AFTER_ANSWERS = {"conversation.item.create", "response.create"}


class Message(Protocol):
    """What a plan reads of a recorded message (`capture.recording.reader.RecordedMessage`)."""

    @property
    def offset_ns(self) -> int:
        """Time since the session's start."""

    @property
    def sender(self) -> str:
        """`client` or `server`."""

    @property
    def kind(self) -> str:
        """`event`, `text`, `binary`, or a kind that is not replayed."""

    @property
    def type(self) -> str | None:
        """Event type."""

    @property
    def content(self) -> str | bytes:
        """The whole message."""

    @property
    def redacted(self) -> bool:
        """Whether secrets were taken out."""

    @property
    def is_pinned(self) -> bool:
        """Whether it lies outside the windows that were kept."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that must have come about in the new session before a step is sent."""

    kind: WaitFor
    count: int = 0
    """How often, for events that are counted."""
    recorded_id: str = ""
    """Whose counterpart must be known, for items, responses and calls."""

    def __str__(self) -> str:
        """Say what is waited for."""
        if self.recorded_id:
            return f"{self.kind} {self.recorded_id}"
        return f"{self.kind} #{self.count}" if self.count > 1 else self.kind


@dataclass(frozen=True, slots=True)
class Step:
    """One message to send."""

    number: int
    type: str | None
    content: str | bytes
    not_before_ns: int | None
    """Time on the plan's clock; None sends as soon as `after` is met."""
    after: tuple[Dependency, ...] = ()
    references: tuple[str, ...] = ()
    """Recorded ids in the message that the new session has others for."""
    changes: tuple[Change, ...] = ()
    """What was changed against the recording."""
    audio_format: AudioFormat | None = None
    """How an append's audio is encoded."""


@dataclass(frozen=True)
class Plan:
    """Everything a player needs to know of a recording."""

    steps: tuple[Step, ...]
    ids: IdIndex
    """The recorded ids by what they belong to."""
    configuration: ConfigurationTracker
    """The recorded session's configuration, asked and echoed."""
    turns: int
    """Audio turns that the recorded endpoint committed."""
    duration_ns: int
    """Length of the plan's clock at recorded speed."""
    not_sent: tuple[str, ...] = ()
    """What the recording holds of the client and a replay cannot send."""
    spoken: tuple[SpokenTurn, ...] = ()
    """The caller's turns, by where they lie in the recorded audio."""
    due_ns: tuple[tuple[int, int], ...] = ()
    """From when to when, on the plan's clock, the recorded endpoint owed something."""
    protocol: str | None = None
    """The protocol of the recording, where it is none that can be replayed."""
    transposed_from: Spoken | None = None
    """The recording's dialect, where the steps are in the other one."""
    left_out: tuple[tuple[int, Change], ...] = ()
    """Messages that the target's dialect has nothing like, with their numbers."""

    @property
    def changes(self) -> list[Change]:
        """All changes that are known before anything is sent."""
        in_steps = [change for step in self.steps for change in step.changes]
        return [*in_steps, *(change for _, change in self.left_out)]

    @property
    def has_audio(self) -> bool:
        """Whether the client appends audio."""
        return any(step.type == APPEND for step in self.steps)

    @property
    def sent_format(self) -> AudioFormat | None:
        """Format of the last audio that is appended."""
        return next((step.audio_format for step in reversed(self.steps) if step.audio_format is not None), None)

    @property
    def configurations(self) -> list[Json]:
        """The recorded configuration as trees with `session` at their top: asked, echoed."""
        return [{"session": self.configuration.asked}, {"session": self.configuration.echoed}]

    def setting(self, path: str, missing: object = None) -> object:
        """Read the recorded value at a path such as `session.audio.input.transcription.model`; asked before echoed."""
        asked, echoed = self.configurations
        return get_path(asked, path, get_path(echoed, path, missing))


def make_plan(messages: Iterable[Message], gaps: Iterable[Mapping[str, Any]] = ()) -> Plan:
    """Plan the replay of a recorded session's messages; `gaps` is the column of its row."""
    planner = _Planner(gaps)
    for message in messages:
        planner.take(message)
    return planner.finish()


def adapt(
    plan: Plan,
    overrides: Mapping[str, Any],
    *,
    recorded_models: Mapping[str, str] | None = None,
    target_models: Mapping[str, str] | None = None,
    unset_paths: Iterable[str] = (),
    dialect: Spoken | None = None,
) -> Plan:
    """Change a plan for one cell: overrides, what is unset, the target's deployment names, and its dialect.

    Paths are those of the recording. `dialect` is the one to write everything in, where it is not the recording's.
    """
    unset_paths = tuple(unset_paths)
    updates = [step for step in plan.steps if step.type in UPDATES and isinstance(step.content, str)]
    rewritten: dict[int, Step] = {}
    texts = [str(step.content) for step in updates]
    for step, (text, changes) in zip(updates, override(texts, overrides), strict=True):
        kept, taken = unset(text, unset_paths)
        named, more = name_deployment(kept, recorded_models or {}, target_models or {})
        rewritten[step.number] = replace(step, content=named, changes=(*step.changes, *changes, *taken, *more))
    steps = tuple(rewritten.get(step.number, step) for step in plan.steps)
    if overrides and not updates:
        steps = (_inserted_update(plan, overrides), *(replace(step, number=step.number + 1) for step in steps))
    adapted = replace(plan, steps=steps)
    return adapted if dialect is None else _transpose(adapted, dialect)


def _transpose(plan: Plan, dialect: Spoken) -> Plan:
    steps: list[Step] = []
    left_out: list[tuple[int, Change]] = []
    for step in plan.steps:
        if step.type in (APPEND, None) or not isinstance(step.content, str):
            steps.append(step)
            continue
        content, changes = transpose(step.content, dialect)
        if content is None:
            left_out += ((step.number, change) for change in changes)
        elif changes:
            named = json.loads(content)["type"]
            steps.append(replace(step, type=named, content=content, changes=(*step.changes, *changes)))
        else:
            steps.append(step)
    recorded: Spoken = "beta" if dialect == "ga" else "ga"
    return replace(plan, steps=tuple(steps), transposed_from=recorded, left_out=tuple(left_out))


def _inserted_update(plan: Plan, overrides: Mapping[str, Any]) -> Step:
    session_type = plan.configuration.echoed.get("type")
    text, changes = compose_update(overrides, session_type if isinstance(session_type, str) else None)
    return Step(0, "session.update", text, None, (Dependency("session.created"),), changes=tuple(changes))


class _Planner:
    def __init__(self, gaps: Iterable[Mapping[str, Any]]) -> None:
        self._steps: list[Step] = []
        self._ids = IdIndex()
        self._seen = Progress()
        self._input_format = self._seen.configuration.input_format
        self._scope = WindowScope(gaps, self._ids)
        self._spoken = SpokenTurns(is_cut=self._scope.is_cut)
        self._not_sent = list(self._scope.not_sent)
        self._pinned: list[tuple[Message, Json | None]] = []
        self._clock_zero_ns: int | None = None
        self._is_resuming = False
        self._protocol: str | None = None

    def take(self, message: Message) -> None:
        if self._protocol is None and message.kind in ("event", "text", "binary"):
            self._protocol = protocol_of_message(message.type, message.content)
        # Audio and text deltas make up nearly all of a recording and hold nothing that a send depends on.
        bulk = message.kind != "event" or message.type is None or message.type.endswith((".append", ".delta"))
        event = None if bulk else parse_event(message.content)
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
        if message.sender == "client":
            self._plan(message, event, pinned=pinned)
        if event is not None:
            self._ids.observe(message.sender, event)
            self._seen.observe(message.sender, event)
            self._input_format = self._seen.configuration.input_format
            self._spoken.observe(message.sender, event, len(self._steps))
            self._spoken.note_due(self._seen, self._scope.elapsed_ns(message.offset_ns))

    def finish(self) -> Plan:
        timed = [step.not_before_ns for step in self._steps if step.not_before_ns is not None]
        return Plan(
            steps=tuple(self._steps),
            ids=self._ids,
            configuration=self._seen.configuration,
            turns=len(self._seen.commits),
            duration_ns=max(timed, default=0),
            not_sent=tuple(self._not_sent),
            spoken=self._spoken.turns(),
            due_ns=self._spoken.due_spans(self._clock_zero_ns or 0),
            protocol=self._protocol,
        )

    def _plan(self, message: Message, event: Json | None, *, pinned: bool) -> None:
        if message.kind not in ("event", "text", "binary"):
            # Pings, pongs and the close belong to the connection; what could not be decoded cannot be sent.
            if message.kind == "raw":
                self._not_sent.append(f"{len(message.content)} undecodable bytes at {message.offset_ns} ns")
            return
        if message.redacted:
            self._not_sent.append(f"the secrets redacted from {message.type or message.kind}")
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
        references = self._references(event) if event is not None and message.type not in UPDATES else ()
        self._steps.append(
            Step(
                number=len(self._steps),
                type=message.type,
                content=message.content,
                not_before_ns=None if untimed else at_ns - (self._clock_zero_ns or 0),
                after=tuple(self._dependencies(message.type, event or {}, references, begins_clock=begins_clock)),
                references=references,
                audio_format=self._input_format if is_audio else None,
            )
        )

    def _references(self, event: Json) -> tuple[str, ...]:
        found = (text for _, text in strings(event) if text in self._ids.keys)
        return tuple(dict.fromkeys(found))

    def _dependencies(
        self, event_type: str | None, event: Json, references: tuple[str, ...], *, begins_clock: bool
    ) -> Iterable[Dependency]:
        seen = self._seen
        if not self._steps:
            yield Dependency("session.created")
        if seen.updates_answered and (begins_clock or event_type == "response.create"):
            yield Dependency("session.updated", count=seen.updates_answered)
        for recorded_id in references:
            yield Dependency(_wait_for(self._ids.keys[recorded_id].kind), recorded_id=recorded_id)
        if event_type in _AFTER_ANSWERS and not _is_out_of_band(event) and seen.responses_done and seen.is_idle:
            yield Dependency("response.done", count=seen.responses_done)
        if event_type == "response.cancel" and not references and seen.active_responses:
            yield Dependency("response.created", count=seen.responses_begun)


def _wait_for(kind: str) -> WaitFor:
    return "response" if kind == "response" else "call" if kind == "call" else "item"


def _is_out_of_band(event: Json) -> bool:
    return get_path(event, "response.conversation") == "none"
