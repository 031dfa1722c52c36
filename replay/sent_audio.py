"""Put other audio in the place of the recorded one, or the same audio in another format; pure.

The appends stay: their messages, their order, their times. What they carry is cut anew, at the recorded borders. Only
a clip that lasts longer than the turn it replaces takes more appends, at the recorded pace, and what follows them
moves by as much.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median_low
from typing import TYPE_CHECKING

import numpy as np

from capture.audio import PCM16_24K, AudioFormat
from capture.errors import UsageProblem
from capture.realtime.answering import UPDATES
from capture.realtime.audio_formats import parse_format
from capture.realtime.configuration import ConfigurationTracker, read_setting
from capture.realtime.events import parse_event, write_json
from replay.audio_choice import AudioChoice
from replay.mixing import Mixed, Stretch, find_speech, mix
from replay.plan import Plan, Step
from replay.rewrite import Change

if TYPE_CHECKING:
    from numpy.typing import NDArray


def speak(plan: Plan, choice: AudioChoice | None = None, *, seed: int = 0) -> Plan:
    """Give the appends of a plan the chosen audio, in the format that the plan's configuration asks for.

    `plan` has its cell's configuration already. The same seed makes the same noise. A plan that needs no change is
    given back as it is, to the byte. Raises `UsageProblem` for a clip that cannot be read, and where there is no
    recorded audio to replace.
    """
    choice = choice or AudioChoice()
    wanted = _asked_formats(plan)
    if not wanted and choice.kind != "recorded":
        raise UsageProblem("the recording holds no audio that was appended: there is none to replace")
    return _with_audio(plan, wanted, choice, seed)


def follow_echo(plan: Plan, configuration: ConfigurationTracker) -> Plan:
    """Convert a plan's audio to the format that the endpoint says it takes, if that is not the one asked for.

    An endpoint that takes one format only answers with it. Where the recorded one had done so too, its client's audio
    went on as it was: that is part of the recording.
    """
    told, recorded = _echoed_format(configuration), _echoed_format(plan.configuration)
    if not configuration.is_answered or told is None or recorded not in (None, plan.configuration.input_format):
        return plan
    wanted = {at: told for at, step in enumerate(plan.steps) if step.audio_format is not None}
    return _with_audio(plan, wanted, AudioChoice(), 0)


def _echoed_format(configuration: ConfigurationTracker) -> AudioFormat | None:
    return parse_format(read_setting(configuration.echoed, "audio.input.format"))


def _asked_formats(plan: Plan) -> dict[int, AudioFormat]:
    """Give the format that is in force at each append, by its place among the steps."""
    asked = ConfigurationTracker()
    asked.echoed = plan.configuration.created or plan.configuration.echoed
    in_force = asked.input_format
    found = {}
    for place, step in enumerate(plan.steps):
        if step.type in UPDATES and (event := parse_event(step.content)) is not None:
            asked.observe("client", event)
            in_force = asked.input_format
        elif step.audio_format is not None:
            found[place] = in_force
    return found


def _with_audio(plan: Plan, wanted: Mapping[int, AudioFormat], choice: AudioChoice, seed: int) -> Plan:
    if choice.kind == "recorded" and plan.is_muted:
        plan = replace(plan, steps=tuple(_loosely_anchored(plan, plan.steps, AudioChoice("silence"))))
    if choice.kind == "recorded" and all(plan.steps[at].audio_format == asked for at, asked in wanted.items()):
        return plan
    random = np.random.default_rng(seed)
    parts = list(_stretches(plan, wanted))
    turns = plan.spoken or [turn for _, stretch in parts if (turn := find_speech(stretch)) is not None][:1]
    carried: dict[int, _Carried] = {}
    clips = 0
    for places, stretch in parts:
        mixed = mix(stretch, choice, turns, random)
        clips += mixed.clips
        carried |= _cut(plan, places, stretch, mixed)
    changes = _changes(carried, str(choice))
    # Nobody hears a turn in silence; a clip is heard even where the recorded audio was not.
    expected = {"silence": 0, "clip": max(plan.turns, clips)}.get(choice.kind, plan.turns)
    steps = tuple(_written(plan, carried, changes))
    responses = plan.responses
    if choice.kind != "recorded":
        steps, responses = tuple(_loosely_anchored(plan, steps, choice)), None
    timed = [step.not_before_ns for step in steps if step.not_before_ns is not None]
    return replace(
        plan,
        steps=steps,
        turns=expected,
        responses=responses,
        duration_ns=max(timed, default=0),
        is_muted=plan.is_muted and choice.kind in ("recorded", "noise"),
    )


def _loosely_anchored(plan: Plan, steps: Iterable[Step], choice: AudioChoice) -> Iterator[Step]:
    """Expect no number of turns of other audio, and no answers to silence that a VAD listens to."""
    unheard = choice.kind == "silence" and plan.configuration.turn_detection not in (None, "none")
    for step in steps:
        anchor = None if step.anchor is None or unheard else replace(step.anchor, turns=None)
        yield step if anchor == step.anchor else replace(step, anchor=anchor)


@dataclass(frozen=True, slots=True)
class _Carried:
    """What one recorded append carries now."""

    recorded: AudioFormat
    recorded_ms: float
    audio_format: AudioFormat
    pieces: tuple[NDArray[np.int16], ...]
    """Its own samples, and those of appends added behind it."""
    pace_ns: int

    @property
    def audio_ms(self) -> float:
        return sum(map(len, self.pieces)) / self.audio_format.rate * 1000


def _stretches(plan: Plan, wanted: Mapping[int, AudioFormat]) -> Iterator[tuple[list[int], Stretch]]:
    from_ms = 0.0
    for (recorded, asked), group in groupby(wanted, lambda at: (plan.steps[at].audio_format or PCM16_24K, wanted[at])):
        places = list(group)
        chunks = [plan.steps[place].audio for place in places]
        # Joined before they are read: a client may cut a sample in two.
        samples = recorded.decode(b"".join(chunks))
        borders = np.cumsum([len(chunk) for chunk in chunks]) // recorded.bytes_per_sample
        yield places, Stretch(recorded, asked, samples, tuple(borders.tolist()), from_ms)
        from_ms += len(samples) / recorded.rate * 1000


def _cut(plan: Plan, places: list[int], stretch: Stretch, mixed: Mixed) -> Iterator[tuple[int, _Carried]]:
    pace_ns = _pace_ns(plan, places, stretch)
    at = 0
    lengths = zip(places, _lengths(stretch.ends), _lengths(list(stretch.borders)), strict=True)
    for number, (place, length, recorded) in enumerate(lengths):
        pieces = []
        for piece in (length, *mixed.added.get(number, ())):
            pieces.append(mixed.samples[at : at + piece])
            at += piece
        recorded_ms = recorded / stretch.recorded.rate * 1000
        yield place, _Carried(stretch.recorded, recorded_ms, stretch.wanted, tuple(pieces), pace_ns)


def _lengths(ends: list[int]) -> list[int]:
    return [stop - start for start, stop in pairwise([0, *ends])]


def _pace_ns(plan: Plan, places: list[int], stretch: Stretch) -> int:
    times = [at_ns for place in places if (at_ns := plan.steps[place].not_before_ns) is not None]
    if len(times) > 1:
        return median_low([later - earlier for earlier, later in pairwise(times)])
    return int(median_low(_lengths(list(stretch.borders))) / stretch.recorded.rate * 1e9)


def _changes(carried: Mapping[int, _Carried], name: str) -> dict[int, Change]:
    """Say what was changed, once for appends that nothing else was sent between."""
    changes = {}
    numbered = enumerate(carried)
    for _, group in groupby(numbered, lambda pair: (pair[1] - pair[0], carried[pair[1]].audio_format)):
        places = [place for _, place in group]
        run = [carried[place] for place in places]
        first = run[0]
        before = _described("recorded", first.recorded, sum(one.recorded_ms for one in run))
        after = _described(name, first.audio_format, sum(one.audio_ms for one in run))
        changes[places[0]] = Change("audio", "audio", before, after)
    return changes


def _described(name: str, audio_format: AudioFormat, duration_ms: float) -> str:
    return json.dumps(
        f"{name}, {audio_format.type} {audio_format.rate}, {duration_ms / 1000:.2f} s", ensure_ascii=False
    )


def _written(plan: Plan, carried: Mapping[int, _Carried], changes: Mapping[int, Change]) -> Iterator[Step]:
    moved_ns = 0
    for place, recorded in enumerate(plan.steps):
        at_ns = None if recorded.not_before_ns is None else recorded.not_before_ns + moved_ns
        step = replace(recorded, not_before_ns=at_ns)
        if place not in carried:
            yield step
            continue
        made = carried[place]
        said = (changes[place],) if place in changes else ()
        yield _filled(replace(step, changes=(*step.changes, *said)), made, 0)
        for piece in range(1, len(made.pieces)):
            moved_ns += made.pace_ns
            later_ns = None if at_ns is None else at_ns + piece * made.pace_ns
            # Under the number of the append that it goes on: numbers are those of recorded messages.
            more = replace(step, not_before_ns=later_ns, after=(), changes=(), anchor=None)
            yield _filled(more, made, piece)


def _filled(step: Step, made: _Carried, piece: int) -> Step:
    event = json.loads(step.content)
    event["audio"] = base64.b64encode(made.audio_format.encode(made.pieces[piece])).decode()
    if piece:
        # A client's own id names one event.
        event.pop("event_id", None)
    return replace(step, content=write_json(event), audio_format=made.audio_format)
