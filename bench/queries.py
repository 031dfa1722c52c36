"""Measure the questions that the terminal and the command line ask, over a large root.

Run `python bench/queries.py [--quick] [--sessions N] [--json FILE]`. The root is made of copies of real sealed calls
(bench/roots): 10,000 sessions hold 14 million events. Each question is asked once cold (a store that was just opened;
the files are in the page cache) and five times warm, of which the median counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from analyze.findings import find_all
from analyze.queries import Queries
from analyze.signatures import load_signatures
from analyze.store import Store
from bench.roots.filling import fill
from capture.recording.root import Root

_RUNS = 5
_EVIDENCE = "shared evidence"
_SHOWN = 8
_LIKE = "SELECT COUNT(*) FROM errors WHERE error_message LIKE '%had an error while%'"
_LATENCIES = (
    "SELECT name, quantile_cont(latency_ms, [0.5, 0.95, 0.99]) FROM latencies WHERE name = 'first_audio' GROUP BY name"
)


@dataclass(frozen=True)
class Question:
    """What is asked, and what it may take."""

    name: str
    ask: Callable[[Queries], object]
    target_ms: float | None = None
    """Of a warm store; None: measured only."""


@dataclass
class Figures:
    """What one question took."""

    name: str
    cold_ms: float
    warm_ms: float
    target_ms: float | None

    @property
    def is_met(self) -> bool:
        """Whether its target was met."""
        return self.target_ms is None or self.warm_ms <= self.target_ms


QUESTIONS = (
    Question("list of 100", lambda queries: queries.sessions("", limit=100, latency=False), 15),
    Question(
        "matrix, region x transcription model", lambda queries: queries.failures(["region", "transcription_model"]), 15
    ),
    Question("error message LIKE", lambda queries: queries.store.console(_LIKE), 60),
    Question("percentiles of the first audio", lambda queries: queries.store.console(_LATENCIES), 170),
    Question("one session", lambda queries: queries.session(queries.resolve("last")), 200),
    Question("all signatures", lambda queries: find_all(queries.store), 3000),
)


class TimedStore(Store):
    """Notes how long each query took, by its text."""

    def __init__(self, root: Root) -> None:
        """Open the root."""
        self.took_ms: dict[str, float] = {}
        super().__init__(root)

    def rows(self, sql: str, params: Sequence[Any] = (), *, only: Collection[str] = ()) -> list[dict[str, Any]]:
        """Run one query."""
        started_ns = time.perf_counter_ns()
        rows = super().rows(sql, params, only=only)
        self.took_ms[sql] = (time.perf_counter_ns() - started_ns) / 1e6
        return rows


def main() -> int:
    """Make the root, ask, print the table, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="1,000 sessions instead of 10,000")
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    sessions = 1_000 if options.quick else options.sessions
    with tempfile.TemporaryDirectory() as folder:
        started_s = time.monotonic()
        events = fill(Path(folder), sessions)
        print(f"{sessions:,} sessions, {events:,} events, compacted; made in {time.monotonic() - started_s:.0f} s\n")
        figures = [measure(Path(folder), question) for question in QUESTIONS]
        signatures = measure_signatures(Path(folder))
    missed = report(figures)
    report_signatures(signatures)
    print(f"MISSED: {', '.join(missed)}" if missed else "all targets met")
    if options.json:
        found: dict[str, Any] = {
            "sessions": sessions,
            "events": events,
            "questions": [asdict(figure) for figure in figures],
        }
        found["signatures_ms"] = signatures
        options.json.write_text(json.dumps({**found, "missed": missed}, indent=2) + "\n")
    return 1 if missed else 0


def measure(path: Path, question: Question) -> Figures:
    """Ask one question of a store of its own."""
    with Store(Root(path)) as store:
        queries = Queries(store)
        cold_ms, *warm_ms = (_timed_ms(queries, question) for _ in range(1 + _RUNS))
    return Figures(question.name, cold_ms, median(warm_ms), question.target_ms)


def measure_signatures(path: Path) -> dict[str, float]:
    """Time what each signature adds to the evidence that all share, in milliseconds; warm."""
    store = TimedStore(Root(path))
    with store:
        find_all(store)
        started_ns = time.perf_counter_ns()
        find_all(store)
        whole_ms = (time.perf_counter_ns() - started_ns) / 1e6
        took_ms = {signature.name: store.took_ms[signature.sql] for signature in load_signatures()}
    return {_EVIDENCE: whole_ms - sum(took_ms.values()), **took_ms}


def _timed_ms(queries: Queries, question: Question) -> float:
    started_ns = time.perf_counter_ns()
    question.ask(queries)
    return (time.perf_counter_ns() - started_ns) / 1e6


def report(figures: list[Figures]) -> list[str]:
    """Print the table; give the questions that took longer than they may."""
    print(f"{'question':40} {'cold ms':>9} {'warm ms':>9} {'target':>7}")
    for figure in figures:
        target = f"{figure.target_ms:,.0f}" if figure.target_ms is not None else "–"
        print(f"{figure.name:40} {figure.cold_ms:9,.1f} {figure.warm_ms:9,.1f} {target:>7}")
    return [figure.name for figure in figures if not figure.is_met]


def report_signatures(took_ms: dict[str, float]) -> None:
    """Print what the pass spends on the shared evidence, and on the slowest signatures."""
    slowest = sorted(took_ms.items(), key=lambda each: -each[1])[:_SHOWN]
    print(f"\nof a pass over {len(took_ms) - 1} signatures, ms: ", end="")
    print(", ".join(f"{name} {ms:,.0f}" for name, ms in slowest))


if __name__ == "__main__":
    sys.exit(main())
