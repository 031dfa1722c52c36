"""When each step of a plan is due in a new session: absolute deadlines, moved where an onset follows an answer; pure.

Between two onsets the recorded times hold. An onset comes as long after its answer as in the recording; where that is
sooner than the clock says, appends of the pause before it are left out, and where it is later, the clock waits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capture.narration import counted
from replay.actions import Diverged
from replay.anchors import Anchor, Answer, Answers, onset_ns
from replay.plan import APPEND, Step


@dataclass(frozen=True, slots=True)
class Hold:
    """An onset is not due yet."""

    until_ns: int
    """When it is due, or when to give up waiting for its answer."""


class PlanClock:
    """Times of one trial. `anchored` ties onsets to answers; else everything keeps its recorded time."""

    def __init__(self, steps: Sequence[Step], *, speed: float, timeout_ns: int, patience: int, anchored: bool) -> None:
        self.answers = Answers(speed)
        self.zero_ns: int | None = None
        self.moves_ms: list[float] = []
        """By how much each onset came later (below zero: sooner) than the clock had said."""
        self.extra_responses = 0
        """Responses that the recording does not have, less those of it that did not come."""
        self.drops_before_ns = 0
        """Appends of a pause that were due before this are left out."""
        self._steps = steps
        self._speed = speed
        self._timeout_ns = timeout_ns
        self._patience = patience
        self._onset_of_pause = dict(_onsets_of_pauses(steps)) if anchored else {}
        self._open = {at for at, step in enumerate(steps) if step.anchor is not None} if anchored else set()
        self._foreseen_ns = 0
        self._arrived_ns: int | None = None
        self._watched: list[tuple[int, Anchor, Answer]] = []

    def due_ns(self, step: Step) -> int | None:
        """Give a step's absolute time; None where it has none, or the clock has not begun."""
        if step.not_before_ns is None or self.zero_ns is None:
            return None
        return self.zero_ns + int(step.not_before_ns / self._speed)

    def begin(self, step: Step, now_ns: int) -> None:
        """Begin with the first step that has a time."""
        if self.zero_ns is None and step.not_before_ns is not None:
            self.zero_ns = now_ns - int(step.not_before_ns / self._speed)

    def delay(self, by_ns: int) -> None:
        """Move what follows; below zero, to an earlier time."""
        if self.zero_ns is not None:
            self.zero_ns += by_ns

    def foresee(self, at: int, now_ns: int) -> None:
        """Move the clock back in a pause as soon as it is known that the onset behind it comes sooner."""
        onset = self._onset_of_pause.get(at)
        anchor = None if onset is None else self._steps[onset].anchor
        due_ns = None if onset is None else self.due_ns(self._steps[onset])
        if anchor is None or due_ns is None:
            return
        wanted_ns, _ = self._resolve(anchor)
        if wanted_ns is not None and max(wanted_ns, now_ns) < due_ns:
            moved_ns = max(wanted_ns, now_ns) - due_ns
            self.delay(moved_ns)
            self._foreseen_ns += moved_ns
            self.drops_before_ns = now_ns

    def settle(self, at: int, now_ns: int, last_event_ns: int) -> Hold | list[Diverged] | None:
        """Fix the time of the step at a place, if it is an onset; afterwards `due_ns` gives it, and has come.

        Gives what came otherwise; None for a step that is no onset, or was settled before.
        """
        step = self._steps[at]
        due_ns = self.due_ns(step)
        if at not in self._open or step.anchor is None or due_ns is None:
            return None
        self._arrived_ns = now_ns if self._arrived_ns is None else self._arrived_ns
        wanted_ns, outlived = self._resolve(step.anchor)
        if wanted_ns is not None and now_ns < wanted_ns:
            return Hold(wanted_ns)
        diverged: list[Diverged] = []
        if wanted_ns is None:
            give_up_ns = max(due_ns, last_event_ns) + self._timeout_ns
            give_up_ns = min(give_up_ns, max(due_ns, self._arrived_ns) + self._patience * self._timeout_ns)
            if now_ns < give_up_ns:
                return Hold(give_up_ns)
            diverged.append(self._give_up(step, step.anchor))
            wanted_ns = now_ns
        else:
            diverged += self._compare(step, step.anchor, outlived=outlived)
        self._fix(at, max(wanted_ns, self._arrived_ns) - due_ns)
        return diverged

    def barge_ins(self, *, is_over: bool = False) -> Iterator[Diverged]:
        """List answers that were cut off in one session and not in the other, each once."""
        still = []
        for number, anchor, answer in self._watched:
            cancelled = answer.status == "cancelled"
            if answer.done_ns is None and not is_over:
                still.append((number, anchor, answer))
            elif cancelled != anchor.cancels:
                recorded = "cancelled" if anchor.cancels else "not cancelled"
                seen = "cancelled" if cancelled else answer.status.replace("_", " ")
                expected = f"response {anchor.response} {recorded} when it was cut into"
                yield Diverged(number, "barge_in_otherwise", expected, seen, "went on")
        self._watched = still

    def _fix(self, at: int, moved_ns: int) -> None:
        self.delay(moved_ns)
        if not math.isinf(self._speed):
            self.moves_ms.append((self._foreseen_ns + moved_ns) / 1e6)
        self._open.discard(at)
        self._arrived_ns, self._foreseen_ns = None, 0

    def _answer(self, anchor: Anchor) -> Answer | None:
        """Give the answer that an onset waits for: the last one, if there are as many as there were."""
        begun = self.answers.begun
        return begun[-1] if begun and len(begun) >= anchor.response + self.extra_responses else None

    def _resolve(self, anchor: Anchor) -> tuple[int | None, bool]:
        answer = self._answer(anchor)
        return (None, False) if answer is None else onset_ns(anchor, answer, self._speed)

    def _give_up(self, step: Step, anchor: Anchor) -> Diverged:
        begun = len(self.answers.begun)
        expected = f"response {anchor.response} before {step.type}"
        seen = f"not in {self._timeout_ns / 1e9:g} s"
        if begun >= anchor.response + self.extra_responses:
            expected, seen = f"the end of {expected}", f"none, {seen}"
        else:
            self.extra_responses = begun - anchor.response
        return Diverged(step.number, "anchor_missing", expected, seen, "sent")

    def _compare(self, step: Step, anchor: Anchor, *, outlived: bool) -> Iterator[Diverged]:
        begun = len(self.answers.begun)
        if begun > anchor.response + self.extra_responses:
            expected = f"{counted(anchor.response + self.extra_responses, 'response')} before {step.type}"
            self.extra_responses = begun - anchor.response
            yield Diverged(step.number, "responses_otherwise", expected, str(begun), "waited for the last one")
        answer = self.answers.begun[-1]
        if anchor.kind == "into":
            self._watched.append((step.number, anchor, answer))
        if outlived:
            expected = f"{step.type} {anchor.offset_ns / 1e9:.2f} s into response {anchor.response}"
            started_ns = answer.begun_ns if answer.first_audio_ns is None else answer.first_audio_ns
            seen = f"it was over after {((answer.end_ns or 0) - started_ns) * self._speed / 1e9:.2f} s"
            yield Diverged(step.number, "barge_in_outlived", expected, seen, "sent at its end")


def _onsets_of_pauses(steps: Sequence[Step]) -> Iterator[tuple[int, int]]:
    onset: int | None = None
    for at in range(len(steps) - 1, -1, -1):
        step = steps[at]
        if step.anchor is not None:
            onset = at
        elif step.type == APPEND and not step.is_pause:
            onset = None
        if step.is_pause and step.anchor is None and onset is not None:
            yield at, onset
