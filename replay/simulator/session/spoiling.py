"""Spoil an answer: take its moments as they would come, give them as a fault has them come. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from math import ceil
from typing import Literal, NamedTuple

from replay.simulator.faults.effects import AudioCut, AudioEffect, AudioGaps, AudioWithheld
from replay.simulator.session.runs import Event

Part = Literal["created", "opened", "words", "audio", "closed", "done", "limits"]


class Moment(NamedTuple):
    """One step of an answer."""

    at_ms: float
    """From the start of the response."""
    part: Part
    live: Callable[[], list[Event]]


def spoil_audio(moments: Sequence[Moment], effect: AudioEffect | None) -> list[Moment]:
    """Have the audio of an answer come late, end early, or not come."""
    match effect:
        case AudioGaps():
            return _open_gaps(moments, effect)
        case AudioCut():
            return _keep_audio(moments, effect.keep_share)
        case AudioWithheld():
            return _keep_audio(moments, 0)
    return list(moments)


def end_early(moments: Sequence[Moment], after_deltas: int, end: Callable[[], list[Event]]) -> list[Moment]:
    """Let so many deltas come, and then `end` instead of the rest; the rate limits are told after it."""
    in_order = sorted(moments, key=lambda moment: moment.at_ms)
    before: list[Moment] = []
    deltas_left = after_deltas
    for moment in in_order:
        is_delta = moment.part in ("words", "audio")
        if moment.part == "closed" or (moment.part == "opened" and not after_deltas) or (is_delta and not deltas_left):
            break
        deltas_left -= is_delta
        before.append(moment)
    ends_ms = in_order[len(before)].at_ms
    done_ms = next(moment.at_ms for moment in in_order if moment.part == "done")
    limits = [moment._replace(at_ms=moment.at_ms - done_ms + ends_ms) for moment in moments if moment.part == "limits"]
    return [*before, Moment(ends_ms, "done", end), *limits]


def leave_undone(moments: Sequence[Moment]) -> list[Moment]:
    """Let everything come but the end of the response."""
    return [moment for moment in moments if moment.part not in ("done", "limits")]


def _open_gaps(moments: Sequence[Moment], gaps: AudioGaps) -> list[Moment]:
    audio_ms = [moment.at_ms for moment in moments if moment.part == "audio"]
    starts_ms = list(islice(audio_ms[gaps.after_deltas :: gaps.after_deltas], gaps.times))

    def delay(moment: Moment) -> Moment:
        if moment.part == "words":
            return moment
        gaps_before = sum(start_ms <= moment.at_ms for start_ms in starts_ms)
        return moment._replace(at_ms=moment.at_ms + gaps_before * gaps.gap_ms)

    return [delay(moment) for moment in moments]


def _keep_audio(moments: Sequence[Moment], share: float) -> list[Moment]:
    audio = [moment for moment in moments if moment.part == "audio"]
    lost = audio[ceil(len(audio) * share) :]
    return [moment for moment in moments if moment not in lost]
