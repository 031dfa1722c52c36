"""How late sends were: left in a file by the process that sends, read by the one that measures."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.traffic.loops import say
from capture.pacing import Pacing

EARLY_US = 200
"""Sent so long before its time or longer, a send counts as early (docs/performance.md)."""
_FILE, _LENGTHS = "deviations", "lengths.json"


@dataclass(frozen=True)
class Lateness:
    """Deviation of all sends of a measurement from their due times, in microseconds; late is positive."""

    sends: int
    p50_us: float
    """Of the absolute deviation, as are the other two."""
    p99_us: float
    most_us: float
    early: int
    """Sends that went too early."""
    drift_us: float
    """The median session's: how much later its last sends were than its first."""


def report(folder: str, sessions: Sequence[Sequence[float]], cpu_ns: int, problems: Sequence[str] = ()) -> None:
    """Leave the deviations of each session's sends in a folder, and tell the parent that all is over."""
    with (Path(folder) / _FILE).open("wb") as file:
        for deviations_us in sessions:
            array("d", deviations_us).tofile(file)
    (Path(folder) / _LENGTHS).write_text(json.dumps([len(deviations_us) for deviations_us in sessions]))
    say({"cpu_ns": cpu_ns, "problems": sorted(set(problems))})


def read(folder: Path) -> Lateness:
    """Sum up what was left in a folder."""
    deviations_us = np.fromfile(folder / _FILE)
    lengths = json.loads((folder / _LENGTHS).read_text())
    per_session = np.split(deviations_us, np.cumsum(lengths)[:-1])
    absolute = np.abs(deviations_us)
    return Lateness(
        sends=len(deviations_us),
        p50_us=float(np.quantile(absolute, 0.5)),
        p99_us=float(np.quantile(absolute, 0.99)),
        most_us=float(absolute.max()),
        early=int((deviations_us < -EARLY_US).sum()),
        drift_us=float(np.median([_drift_us(each) for each in per_session])),
    )


def _drift_us(deviations_us: Any) -> float:
    pacing = Pacing()
    for late_us in deviations_us:
        pacing.note(0, int(late_us * 1000))
    return pacing.summary().drift_us or 0.0
