"""Play a plan against a new session: pure, (event | time) in, what to do next out.

Steps go out in their order, none before its time. A step that waits for something holds all that follow; when
a wait ran past the step's time, the clock of what follows moves by as much, so that held audio keeps its
spacing instead of arriving in a burst. After the last step silence is sent until server VAD has closed the last
turn, and the player waits until the endpoint owes nothing more.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from capture.realtime.events import parse_event
from capture.realtime.outcomes import ABSENT_AFTER_NS
from capture.realtime.progress import Progress
from replay.id_map import IdMap
from replay.plan import APPEND, Dependency, Plan, Step
from replay.rewrite import Change, clamp_truncation, substitute_ids
from replay.sent_audio import follow_echo
from replay.transposition import transpose_server_event

Json = dict[str, Any]

WAIT_TIMEOUT_NS = 15_000_000_000
SILENCE_CHUNK_MS = 20
SILENCE_LIMIT_MS = 10_000
"""Longer than any VAD waits: semantic VAD at low eagerness takes 8 s (protocol section 4)."""
SETTLE_NS = 250_000_000
"""Stay so long after the last terminal event: rate limits and repeats come behind it."""
TERMINAL_TIMEOUT_NS = ABSENT_AFTER_NS + 1_000_000_000
"""Wait at least so long for what is owed: only then does sealing count it as absent."""
_PATIENCE = 8
_ECHOES = {"session.updated", "transcription_session.updated"}


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message now."""

    step: int
    content: str | bytes
    due_ns: int | None
    """When it was due; None where it was not due at a time."""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Call `tick` at this time, or `receive` as soon as an event is there."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Diverged:
    """The new session went another way than the recording."""

    step: int
    kind: str
    expected: str
    seen: str
    action: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to do."""

    reason: str
    """`completed` (all was sent, nothing is owed), or what ended it early."""


Action = Send | WaitUntil | Diverged | Finished


class Player:
    """Plays one trial. Each call gives actions in order; the last one is `WaitUntil` or `Finished`.

    `as_recorded` changes nothing but the endpoint's ids: no truncation is clamped, no silence is added, no audio is
    converted.
    """

    def __init__(
        self, plan: Plan, *, speed: float = 1.0, timeout_ns: int = WAIT_TIMEOUT_NS, as_recorded: bool = False
    ) -> None:
        self.progress = Progress()
        self.ids = IdMap(plan.ids)
        self._plan = plan
        self._speed = speed
        self._timeout_ns = timeout_ns
        self._as_recorded = as_recorded
        self._next = 0
        self._clock_zero_ns: int | None = None
        self._blocked_since_ns: int | None = None
        self._last_event_ns = 0
        self._tail_began_ns: int | None = None
        self._silence_due_ns = 0
        self._silence_sent_ms = 0
        self._quiet_since_ns: int | None = None
        self._finished: Finished | None = None

    def receive(self, now_ns: int, event: Json) -> list[Action]:
        """Take in an event of the endpoint."""
        self._last_event_ns = now_ns
        if self._plan.transposed_from is not None:
            # Compared with a recording of the other dialect.
            heard = transpose_server_event(event, self._plan.transposed_from)
            if heard is None:
                return self.tick(now_ns)
            event = heard
        self.progress.observe("server", event)
        self.ids.session.observe("server", event)
        if event.get("type") in _ECHOES and not self._as_recorded:
            self._plan = follow_echo(self._plan, self.progress.configuration)
        return self.tick(now_ns)

    def tick(self, now_ns: int) -> list[Action]:
        """Take in that time has passed."""
        actions: list[Action] = []
        while self._finished is None and self._next < len(self._plan.steps):
            wait_until_ns = self._play_step(self._plan.steps[self._next], now_ns, actions)
            if wait_until_ns is not None:
                return [*actions, WaitUntil(wait_until_ns)]
        while self._finished is None:
            wait_until_ns = self._wind_down(now_ns, actions)
            if wait_until_ns is not None:
                return [*actions, WaitUntil(wait_until_ns)]
        return [*actions, self._finished]

    def disconnect(self) -> list[Action]:
        """Take in that the endpoint is gone."""
        if self._finished is not None:
            return [self._finished]
        seen = "the endpoint closed the connection"
        left = len(self._plan.steps) - self._next
        missing = [f"{left} more messages to send"] if left else self._missing()
        self._finished = Finished("closed_by_endpoint" if missing else "completed")
        diverged = [Diverged(self._next, "closed_early", expected, seen, "ended") for expected in missing]
        return [*diverged, self._finished]

    def _play_step(self, step: Step, now_ns: int, actions: list[Action]) -> int | None:
        due_ns = self._due_ns(step)
        if due_ns is not None and now_ns < due_ns:
            return due_ns
        missing = next((wait for wait in step.after if not self._is_met(wait)), None)
        if missing is None:
            self._send(step, now_ns, actions)
            return None
        if self._blocked_since_ns is None:
            self._blocked_since_ns = now_ns
        give_up_ns = self._blocked_since_ns + self._timeout_ns
        if now_ns < give_up_ns:
            return give_up_ns
        self._give_up(step, missing, now_ns, actions)
        return None

    def _due_ns(self, step: Step) -> int | None:
        if step.not_before_ns is None or self._clock_zero_ns is None:
            return None
        return self._clock_zero_ns + int(step.not_before_ns / self._speed)

    def _is_met(self, wait: Dependency) -> bool:
        progress = self.progress
        if wait.recorded_id:
            return self.ids.find(wait.recorded_id) is not None
        if wait.kind == "session.created":
            return progress.is_open
        if wait.kind == "session.updated":
            return progress.updates_answered >= wait.count
        if wait.kind == "response.created":
            return progress.responses_begun >= wait.count
        return progress.responses_done >= wait.count and progress.is_idle

    def _give_up(self, step: Step, missing: Dependency, now_ns: int, actions: list[Action]) -> None:
        expected = f"{missing} before {step.type}"
        seen = f"not in {self._timeout_ns / 1e9:g} s"
        if missing.kind == "session.created":
            actions.append(Diverged(step.number, "dependency_missing", expected, seen, "ended"))
            self._finished = Finished("session_never_opened")
        elif missing.recorded_id:
            # A stale id would be refused, and the refusal would look like the endpoint's failure.
            expected = f"{self.ids.describe(missing.recorded_id)} before {step.type}"
            actions.append(Diverged(step.number, "dependency_missing", expected, seen, "skipped"))
            self._move_on(step, now_ns)
        else:
            actions.append(Diverged(step.number, "dependency_missing", expected, seen, "sent"))
            self._send(step, now_ns, actions)

    def _send(self, step: Step, now_ns: int, actions: list[Action]) -> None:
        due_ns = self._due_ns(step) if self._blocked_since_ns is None else None
        self._move_on(step, now_ns)
        content, changes = self._content(step)
        event = None if step.type in (APPEND, None) else parse_event(content)
        if event is not None:
            self.progress.observe("client", event)
            self.ids.session.observe("client", event)
        actions.append(Send(step.number, content, due_ns, changes))

    def _move_on(self, step: Step, now_ns: int) -> None:
        if self._clock_zero_ns is None and step.not_before_ns is not None:
            self._clock_zero_ns = now_ns - int(step.not_before_ns / self._speed)
        elif self._clock_zero_ns is not None and self._blocked_since_ns is not None:
            self._clock_zero_ns += now_ns - self._blocked_since_ns
        self._blocked_since_ns = None
        self._next += 1

    def _content(self, step: Step) -> tuple[str | bytes, tuple[Change, ...]]:
        content, changes = step.content, list(step.changes)
        if isinstance(content, bytes):
            return content, step.changes
        if step.references:
            ids = {old: self.ids.find(old) or old for old in step.references}
            content, substituted = substitute_ids(content, ids)
            changes += substituted
        if step.type == "conversation.item.truncate" and not self._as_recorded:
            content, clamped = clamp_truncation(content, self._received_ms(content))
            changes += clamped
        return content, tuple(changes)

    def _received_ms(self, truncation: str) -> float:
        item_id = json.loads(truncation).get("item_id")
        received = self.progress.audio_bytes.get(str(item_id), 0)
        return self.progress.configuration.output_format.milliseconds(received)

    def _wind_down(self, now_ns: int, actions: list[Action]) -> int | None:
        if self._tail_began_ns is None:
            self._tail_began_ns = now_ns
            self._silence_due_ns = now_ns + self._chunk_ns
        if self._turn_is_open() and self._silence_sent_ms < SILENCE_LIMIT_MS and not self._as_recorded:
            self._quiet_since_ns = None
            return self._send_silence(now_ns, actions)
        missing = self._missing()
        if missing:
            self._quiet_since_ns = None
            return self._await(missing, now_ns, self._tail_began_ns, actions)
        if self._quiet_since_ns is None:
            self._quiet_since_ns = now_ns
        if now_ns < self._quiet_since_ns + SETTLE_NS:
            return self._quiet_since_ns + SETTLE_NS
        self._finished = Finished("completed")
        return None

    @property
    def _chunk_ns(self) -> int:
        return int(SILENCE_CHUNK_MS * 1_000_000 / self._speed)

    def _turn_is_open(self) -> bool:
        if not self._plan.has_audio or self.progress.configuration.turn_detection in (None, "none"):
            return False
        return self.progress.speech_is_open or len(self.progress.commits) < self._plan.turns

    def _send_silence(self, now_ns: int, actions: list[Action]) -> int | None:
        if now_ns < self._silence_due_ns:
            return self._silence_due_ns
        audio_format = self._plan.sent_format or self.progress.configuration.input_format
        silence = audio_format.silence(SILENCE_CHUNK_MS)
        event = {"type": APPEND, "audio": base64.b64encode(silence).decode()}
        reason = Change("trailing_silence", "", "", json.dumps("silence until the last turn is committed"))
        changes = () if self._silence_sent_ms else (reason,)
        actions.append(Send(len(self._plan.steps), json.dumps(event), self._silence_due_ns, changes))
        self._silence_sent_ms += SILENCE_CHUNK_MS
        self._silence_due_ns += self._chunk_ns
        return None

    def _missing(self) -> list[str]:
        missing = self.progress.missing()
        turns = len(self.progress.commits)
        if self._turn_is_open():
            missing.insert(
                0, f"audio turn {turns + 1}" + (f" of {self._plan.turns}" if turns < self._plan.turns else "")
            )
        return missing

    def _await(self, missing: list[str], now_ns: int, began_ns: int, actions: list[Action]) -> int | None:
        # An endpoint that keeps sending is given more time, but not for ever.
        timeout_ns = max(self._timeout_ns, TERMINAL_TIMEOUT_NS)
        give_up_ns = min(max(self._last_event_ns, began_ns) + timeout_ns, began_ns + _PATIENCE * timeout_ns)
        if now_ns < give_up_ns:
            return give_up_ns
        seen = f"not in {timeout_ns / 1e9:g} s"
        number = len(self._plan.steps)
        actions.extend(Diverged(number, "terminal_missing", expected, seen, "ended") for expected in missing)
        self._finished = Finished("timed_out: missing " + ", ".join(missing))
        return None
