"""Worlds to experiment on: what can be changed of a recording, what it fails for, and how often."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from replay.arms import Changes

OTHER_TARGETS = ("azure-swedencentral", "azure-westus3")
_OPTIONS = ("noise_reduction", "language", "prompt", "voice")
_WHOLE = 1.0


@dataclass(frozen=True)
class Kind:
    """One kind of incident, and how many of 200 there are."""

    name: str
    count: int
    make: Callable[[random.Random, tuple[tuple[str, tuple[str, ...]], ...]], Fault]


@dataclass(frozen=True)
class Fault:
    """What a recording fails for."""

    rate: float
    """Share of trials that fail while nothing is changed and, with a window, the window lasts."""
    chance: Callable[[frozenset[str], int], float]
    """The chance that a trial fails: the axes it changes, and how many trials went before."""
    guilty: frozenset[str] = frozenset()
    """Axes that have to do with it; empty where none has."""
    takes_a_pair: bool = False
    """Only changing both guilty axes clears it: two causes, each enough."""
    until: int | None = None
    """The trial with which it goes away by itself."""


@dataclass(frozen=True)
class World:
    """One incident."""

    kind: str
    axes: tuple[tuple[str, tuple[str, ...]], ...]
    """What can be changed: axis and its other values."""
    fault: Fault
    seed: int

    @property
    def singles(self) -> list[Changes]:
        """Every change of one axis."""
        return [((axis, value),) for axis, values in self.axes for value in values]

    @property
    def combinations(self) -> int:
        """Cells of the full factorial."""
        return prod(1 + len(values) for _, values in self.axes)

    def chance(self, changes: Changes, trials_before: int) -> float:
        """Give the chance that a trial fails."""
        return self.fault.chance(frozenset(axis for axis, _ in changes), trials_before)


def make_worlds(count: int, seed: int) -> list[World]:
    """Make so many incidents, of each kind its share."""
    whole = sum(kind.count for kind in KINDS)
    worlds = []
    for kind in KINDS:
        for number in range(max(1, round(kind.count * count / whole))):
            draw = random.Random(f"{seed}:{kind.name}:{number}")
            axes = _draw_axes(draw)
            worlds.append(World(kind.name, axes, kind.make(draw, axes), draw.randrange(1 << 30)))
    return worlds


def _draw_axes(draw: random.Random) -> tuple[tuple[str, tuple[str, ...]], ...]:
    # What an isolate run has with one or two other targets and three or four options that were set.
    targets = OTHER_TARGETS[: draw.randint(1, 2)]
    options = draw.sample(_OPTIONS, draw.randint(3, 4))
    return (("target", targets), ("transcription_model", ("whisper-1",)), *((name, ("none",)) for name in options))


def _one(low: float, high: float) -> Callable[[random.Random, tuple[tuple[str, tuple[str, ...]], ...]], Fault]:
    def make(draw: random.Random, axes: tuple[tuple[str, tuple[str, ...]], ...]) -> Fault:
        [(guilty, _)], rate = draw.sample(axes, 1), draw.uniform(low, high)
        return Fault(rate, lambda changed, _: 0.0 if guilty in changed else rate, frozenset([guilty]))

    return make


def _both(low: float, high: float) -> Callable[[random.Random, tuple[tuple[str, tuple[str, ...]], ...]], Fault]:
    """Make a fault that takes both: changing either of them clears it."""

    def make(draw: random.Random, axes: tuple[tuple[str, tuple[str, ...]], ...]) -> Fault:
        guilty, rate = frozenset(axis for axis, _ in draw.sample(axes, 2)), draw.uniform(low, high)
        return Fault(rate, lambda changed, _: 0.0 if guilty & changed else rate, guilty)

    return make


def _either(draw: random.Random, axes: tuple[tuple[str, tuple[str, ...]], ...]) -> Fault:
    guilty = frozenset(axis for axis, _ in draw.sample(axes, 2))
    return Fault(_WHOLE, lambda changed, _: 0.0 if guilty <= changed else _WHOLE, guilty, takes_a_pair=True)


def _window(draw: random.Random, _: tuple[tuple[str, tuple[str, ...]], ...]) -> Fault:
    rate, until = draw.uniform(0.5, 1.0), draw.randint(3, 150)
    return Fault(rate, lambda _, trials_before: rate if trials_before < until else 0.0, until=until)


def _none(draw: random.Random, _: tuple[tuple[str, tuple[str, ...]], ...]) -> Fault:
    rate = draw.choice([_WHOLE, draw.uniform(0.3, 0.9)])
    return Fault(rate, lambda _changed, _before: rate)


KINDS = (
    Kind("one axis, certain", 40, _one(1, 1)),
    Kind("one axis, at 70 to 90 %", 30, _one(0.7, 0.9)),
    Kind("one axis, at 30 to 70 %", 30, _one(0.3, 0.7)),
    Kind("a pair together, certain", 25, _both(1, 1)),
    Kind("a pair together, at 70 to 90 %", 10, _both(0.7, 0.9)),
    Kind("a pair together, at 30 to 70 %", 10, _both(0.3, 0.7)),
    Kind("two causes, each enough", 15, _either),
    Kind("a window in time", 20, _window),
    Kind("nothing that was varied", 20, _none),
)
