"""A plan of what to send: the steps in their order, and what each has to wait for. `replay/planning.py` makes it.

A plan's clock begins with the first message after the opening session.updates (with a caller: the first append).
What only carries audio keeps its recorded time on that clock. What depends on the endpoint's doings (a
response.create, a truncation, a tool's output) waits in addition for its counterpart in the new session, for
where the client acted on something it had seen, the replay has to see it too.

Of a recording that was cut to windows the pinned configuration and items go first, as soon as they may; the clock
begins with the window, and does not wait through what was left out.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol

from capture.audio import AudioFormat
from capture.realtime.answering import UPDATES
from capture.realtime.configuration import ConfigurationTracker, get_path
from capture.realtime.events import parse_event
from replay.anchors import Anchor
from replay.id_map import IdIndex
from replay.late_failure import LateFailure
from replay.rewrite import Change, compose_update, name_deployment, override, unset
from replay.spoken_turns import SpokenTurn
from replay.tools import ToolCalls
from replay.transposition import Spoken, transpose

Json = dict[str, Any]
WaitFor = Literal[
    "session.created",
    "session.updated",
    "response.created",
    "response.done",
    "announcement",
    "item",
    "response",
    "call",
]
"""An `announcement` is of an item's id, before there is the item."""

COMMIT_LEAST_MS = 100.0
"""Endpoints refuse to commit less audio (protocol section 4)."""
APPEND = "input_audio_buffer.append"


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
    is_binary: bool = False
    """Whether it came in a binary frame; bytes in a text frame are no UTF-8, and go as they were."""
    audio_format: AudioFormat | None = None
    """How an append's audio is encoded."""
    anchor: Anchor | None = None
    """What the caller had heard when they began here to speak or to write, or cut in."""
    is_pause: bool = False
    """Whether it appends what an open microphone hears between two turns."""
    stops_response: bool = False
    """Whether it cancelled a response that was going on."""
    commits_speech: bool = False
    """Whether it commits audio that server VAD had not committed before."""
    was_refused: bool = False
    """Of a truncation, whether the recorded endpoint refused it."""
    answers_calls: tuple[str, ...] = ()
    """Of a response.create, the recorded calls whose outputs it goes on from."""

    @property
    def audio(self) -> bytes:
        """The audio that an append carries, decoded whenever it is asked for; what cannot be read is none."""
        event = parse_event(self.content)
        try:
            return base64.b64decode(str((event or {}).get("audio", "")), validate=True)
        except (binascii.Error, ValueError):
            return b""

    @property
    def audio_ms(self) -> float:
        """Length of that audio."""
        return 0.0 if self.audio_format is None else self.audio_format.milliseconds(len(self.audio))


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
    tools: ToolCalls = field(default_factory=ToolCalls)
    """The recorded function calls, with what the client answered."""
    responses: int | None = None
    """Responses of the recorded conversation; None where that is not to be compared."""
    is_muted: bool = False
    """Whether the caller's audio is not in the recording, for it was redacted: silence stands in its place."""
    late_failure: LateFailure | None = None
    """What is to be stayed for when all was sent and answered."""
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

    @cached_property
    def audio_ms(self) -> float:
        """Length of all audio that is appended; reads it once, 10 ms for a minute of it."""
        return sum(step.audio_ms for step in self.steps)

    @property
    def sent_format(self) -> AudioFormat | None:
        """Format of the last audio that is appended."""
        return next((step.audio_format for step in reversed(self.steps) if step.audio_format is not None), None)

    @property
    def configurations(self) -> list[Json]:
        """The recorded configuration as trees with `session` at their top: asked, echoed."""
        return [{"session": self.configuration.asked}, {"session": self.configuration.echoed}]

    @property
    def updates(self) -> list[Step]:
        """The steps that ask for a configuration."""
        return [step for step in self.steps if step.type in UPDATES and isinstance(step.content, str)]

    def setting(self, path: str, missing: object = None) -> object:
        """Read the recorded value at a path such as `session.audio.input.transcription.model`; asked before echoed."""
        asked, echoed = self.configurations
        return get_path(asked, path, get_path(echoed, path, missing))


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
    updates = plan.updates
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
