"""Let the experiment of `wiretape replay isolate` loose on 200 seeded incidents whose cause is known.

Run `python bench/isolate.py [--quick] [--incidents N] [--seed N] [--json FILE]`. Its decisions are the real ones, its
trials are simulated: nothing is sent. Counted are what was found, what stayed open, what was wrong, and the trials
against those of the full factorial: every combination of the axes, each as often as a fixed-size exact test needs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.incidents.exploring import explore
from bench.incidents.judging import FOUND_FREQUENT, FOUND_RARE, FREQUENT, Judged, judge
from bench.incidents.worlds import KINDS, World, make_worlds

INCIDENTS, QUICK_INCIDENTS = 200, 60
CAP, DEFAULT_CAP = 3000, 300
"""Trials at most: far beyond what a failure at 30 % takes, and what `replay isolate` does by default."""
WRONG_LESS_THAN, SHARE_AT_MOST = 0.02, 0.5


@dataclass(frozen=True)
class Met:
    """One target, and whether it is met."""

    name: str
    figure: float
    limit: str
    met: bool


def main() -> int:
    """Run all incidents, print the tables, and say whether the targets are met."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--quick", action="store_true", help=f"{QUICK_INCIDENTS} incidents instead of {INCIDENTS}")
    options.add_argument("--incidents", type=int, help="how many")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", type=Path, metavar="FILE")
    chosen = options.parse_args()
    count = chosen.incidents or (QUICK_INCIDENTS if chosen.quick else INCIDENTS)
    worlds = make_worlds(count, chosen.seed)
    begun_s = time.monotonic()
    uncapped, capped = run(worlds, CAP), run(worlds, DEFAULT_CAP)
    _print_table(f"at most {CAP:,} trials", uncapped)
    _print_table(f"at most {DEFAULT_CAP} trials, as `replay isolate` by default", capped)
    targets = judge_targets(uncapped)
    for target in targets:
        print(f"{'ok' if target.met else 'MISSED':8} {target.name}: {target.figure:.1%} ({target.limit})")
    missed = [target.name for target in targets if not target.met]
    print(
        f"{len(worlds)} incidents, seed {chosen.seed}, {time.monotonic() - begun_s:.0f} s: "
        + (f"MISSED: {', '.join(missed)}" if missed else "all targets met")
    )
    if chosen.json:
        rows = {"uncapped": [asdict(each) for each in uncapped], "default_cap": [asdict(each) for each in capped]}
        told = {"seed": chosen.seed, "cap": CAP, **rows, "targets": [asdict(target) for target in targets]}
        chosen.json.write_text(json.dumps({**told, "missed": missed}, indent=2) + "\n")
    return 1 if missed else 0


def run(worlds: Sequence[World], cap: int) -> list[Judged]:
    """Look for the cause of each."""
    return [judge(world, *explore(world, cap)) for world in worlds]


def judge_targets(judged: Sequence[Judged]) -> list[Met]:
    """Say which targets are met."""
    caused = [each for each in judged if each.has_cause]
    frequent = _found([each for each in caused if each.rate >= FREQUENT])
    rare = _found([each for each in caused if each.rate < FREQUENT])
    wrong = sum(each.result == "wrong" for each in judged) / len(judged)
    share = _share(judged)
    return [
        Met(
            f"found where {FREQUENT:.0%} fail or more",
            frequent,
            f"at least {FOUND_FREQUENT:.0%}",
            frequent >= FOUND_FREQUENT,
        ),
        Met("found where fewer fail", rare, f"at least {FOUND_RARE:.0%}", rare >= FOUND_RARE),
        Met("wrong", wrong, f"less than {WRONG_LESS_THAN:.0%}", wrong < WRONG_LESS_THAN),
        Met("trials of the full factorial", share, f"at most {SHARE_AT_MOST:.0%}", share <= SHARE_AT_MOST),
    ]


def _found(judged: Sequence[Judged]) -> float:
    return sum(each.result == "right" for each in judged) / max(1, len(judged))


def _share(judged: Sequence[Judged]) -> float:
    return sum(each.trials for each in judged) / max(1, sum(each.factorial for each in judged))


def _print_table(title: str, judged: Sequence[Judged]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    columns = (
        "incidents",
        "right",
        "open",
        "wrong",
        "falsely implicated",
        "falsely ruled out",
        "trials",
        "median",
        "full factorial",
        "share",
    )
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    kinds = [(kind.name, [each for each in judged if each.kind == kind.name]) for kind in KINDS]
    for name, rows in [*kinds, ("all", list(judged))]:
        table.add_row(name, *_cells(rows))
    Console(width=max(140, Console().width), highlight=False).print(table, "", markup=False)


def _cells(rows: Sequence[Judged]) -> list[str]:
    results = [sum(each.result == result for each in rows) for result in ("right", "open", "wrong")]
    falsely = [sum(each.false_implicated for each in rows), sum(each.false_ruled_out for each in rows)]
    trials = sorted(each.trials for each in rows)
    mean, factorial = sum(trials) / len(rows), sum(each.factorial for each in rows) / len(rows)
    counts = [f"{count}" for count in (len(rows), *results, *falsely)]
    return [*counts, f"{mean:,.0f}", f"{trials[len(trials) // 2]:,}", f"{factorial:,.0f}", f"{_share(rows):.0%}"]


if __name__ == "__main__":
    sys.exit(main())
