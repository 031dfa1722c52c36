"""Make a plan shorter: end it after a turn, or skip what a caller waits through while nothing is due; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from capture.errors import UsageProblem
from capture.recording.audio_measures import dbfs
from replay.anchors import Anchor
from replay.plan import APPEND, Plan, Step
from replay.rewrite import Change

_QUIET_DBFS = -50.0
"""Appends below it hold no speech that a VAD at its defaults hears."""
_ONSET_NS = 300_000_000
"""So much before speech is kept: endpoints put it before the turn (protocol section 4)."""

Span = tuple[int, int]


def shorten(plan: Plan, *, until_turn: int | None = None, longest_idle_s: float | None = None) -> Plan:
    """Leave out what comes after a turn, and what is longer than a pause may be; `plan` is as it was made.

    Raises `UsageProblem` for a turn that the recording does not have.
    """
    if until_turn is not None:
        plan = _end_after(plan, until_turn)
    return plan if longest_idle_s is None else _skip_idle(plan, int(longest_idle_s * 1e9))


def _end_after(plan: Plan, turn: int) -> Plan:
    committed = [at for at, spoken in enumerate(plan.spoken) if spoken.committed_step is not None]
    if not 1 <= turn <= len(committed):
        raise UsageProblem(f"the recording has no spoken turn {turn}: it has {len(committed)}, counted from 1")
    last = committed[turn - 1]
    if last + 1 == len(plan.spoken):
        return plan
    kept = list(plan.steps[: plan.spoken[last + 1].first_step])
    # Audio behind the turn's end belongs to the next one; what the client still sent for this one stays.
    while kept and kept[-1].type == APPEND and kept[-1].number >= (plan.spoken[last].committed_step or 0):
        kept.pop()
    before, after = f"{len(plan.steps)} messages", f"{len(kept)} messages, until turn {turn}"
    kept[-1] = _changed(kept[-1], Change("until", "", json.dumps(before), json.dumps(after)))
    shortened = replace(plan, turns=turn, spoken=plan.spoken[: last + 1], responses=None, late_failure=None)
    return _with_steps(shortened, kept)


def _skip_idle(plan: Plan, longest_ns: int) -> Plan:
    skipped = _idle_spans(plan, longest_ns)
    kept: list[Step] = []
    told = 0
    for step in plan.steps:
        at_ns = step.not_before_ns
        if at_ns is None:
            kept.append(step)
        elif step.type != APPEND or not _is_within(at_ns, skipped):
            gone = [span for span in skipped if span[1] <= at_ns]
            moved_ns = sum(end - start for start, end in gone)
            said = [_idle_change(span, longest_ns) for span in gone[told:]]
            told = len(gone)
            moved = replace(step, not_before_ns=at_ns - moved_ns, anchor=_shortened(step, skipped))
            kept.append(_changed(moved, *said))
    if told < len(skipped) and kept:
        kept[-1] = _changed(kept[-1], *(_idle_change(span, longest_ns) for span in skipped[told:]))
    late = plan.late_failure
    if late is not None and late.after_ns > longest_ns and kept:
        kept[-1] = _changed(kept[-1], _idle_change((longest_ns, late.after_ns), longest_ns))
        plan = replace(plan, late_failure=replace(late, after_ns=longest_ns))
    return _with_steps(_with_turns_moved(plan, {step.number for step in kept}), kept)


def _idle_spans(plan: Plan, longest_ns: int) -> list[Span]:
    """List from when to when time is to be skipped: nothing is due, said, or sent but silence."""
    # Behind the last message, so that silence at the end is skipped too.
    end_ns = plan.duration_ns + 1
    spans, free_from_ns = [], 0
    for start, end in sorted([*plan.due_ns, *_doings(plan), (end_ns, end_ns)]):
        if start - free_from_ns > longest_ns:
            spans.append((free_from_ns + longest_ns, start))
        free_from_ns = max(free_from_ns, end)
    return spans


def _doings(plan: Plan) -> Iterable[Span]:
    manual = plan.configuration.turn_detection in (None, "none")
    for step in plan.steps:
        at_ns = step.not_before_ns
        if at_ns is None:
            continue
        if step.type != APPEND or step.audio_format is None:
            yield at_ns, at_ns
        elif manual or not _is_quiet(step):
            # Without a VAD all audio is part of a turn.
            yield at_ns - _ONSET_NS, at_ns


def _is_quiet(step: Step) -> bool:
    samples = step.audio_format.decode(step.audio) if step.audio_format else ()
    power = float((samples.astype("f8") ** 2).mean()) / 32768**2 if len(samples) else 0.0  # type: ignore[union-attr]
    return dbfs(power) < _QUIET_DBFS


def _is_within(at_ns: int, spans: Sequence[Span]) -> bool:
    return any(start <= at_ns < end for start, end in spans)


def _shortened(step: Step, skipped: Sequence[Span]) -> Anchor | None:
    """Let the caller speak as much sooner after the answer they heard as was skipped since."""
    anchor, at_ns = step.anchor, step.not_before_ns
    if anchor is None or at_ns is None:
        return anchor
    done_ns = at_ns - anchor.since_done_ns
    gone_ns = sum(max(0, min(end, at_ns) - max(start, done_ns)) for start, end in skipped)
    return anchor.shortened(gone_ns) if gone_ns else anchor


def _idle_change(span: Span, longest_ns: int) -> Change:
    was_s, is_s = (span[1] - span[0] + longest_ns) / 1e9, longest_ns / 1e9
    return Change("idle", "", json.dumps(f"{was_s:.2f} s"), json.dumps(f"{is_s:g} s"))


def _with_turns_moved(plan: Plan, kept: set[int]) -> Plan:
    """Move the turns to where they lie in the audio that is left."""
    sent_ms = 0.0
    gone: list[tuple[float, float]] = []
    for step in plan.steps:
        if step.audio_format is not None:
            length_ms = step.audio_ms
            if step.number not in kept:
                gone.append((sent_ms, length_ms))
            sent_ms += length_ms

    def moved(at_ms: float) -> float:
        return at_ms - sum(length_ms for start_ms, length_ms in gone if start_ms < at_ms)

    spoken = (replace(turn, start_ms=moved(turn.start_ms), end_ms=moved(turn.end_ms)) for turn in plan.spoken)
    return replace(plan, spoken=tuple(spoken))


def _changed(step: Step, *changes: Change) -> Step:
    return replace(step, changes=(*step.changes, *changes)) if changes else step


def _with_steps(plan: Plan, steps: Sequence[Step]) -> Plan:
    numbered = tuple(replace(step, number=number) for number, step in enumerate(steps))
    timed = [step.not_before_ns for step in numbered if step.not_before_ns is not None]
    return replace(plan, steps=numbered, duration_ns=max(timed, default=0))
