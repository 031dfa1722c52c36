"""Measure what the terminal takes to open, search and compare sessions of very many events.

Run `python bench/long_sessions.py [--quick] [--json FILE]`. The sessions have 100,000 events that do not fold, a
written conversation of thousands of turns, and one without any turn. The screens run as in a terminal of 140 x 40,
without the drawing of the terminal itself; while they work, the longest time that no key could have been answered is
measured too. Each screen is opened three times, and the median counts. Whoever presses a key here waits 60 ms by
himself: of keys only that longest time has a target.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from textual.screen import Screen

from analyze.alignment import align
from analyze.tui.app import WiretapeApp, spare_the_screen
from analyze.tui.screens.diff import DiffScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.source import RootSource
from analyze.tui.widgets.aligned_rows import AlignedRows
from analyze.tui.widgets.row_list import RowList
from analyze.tui.widgets.search_bar import SearchBar
from analyze.tui.widgets.timeline import Timeline
from bench.roots.long import Long, write_long
from capture.recording.root import Root

_TURNS = ("20260302T060000-00000001", "20260302T060000-00000002")
_NO_TURNS = ("20260302T060000-00000003", "20260302T060000-00000004")
_SIZE = (140, 40)
_RUNS = 3
"""Of which the median counts."""
_STALL_TARGET_MS = 100.0
_PATIENCE_S = 120.0
_BEAT_S = 0.002


@dataclass(frozen=True)
class Figure:
    """What one use took, and the longest time that the screen answered nothing meanwhile."""

    name: str
    ms: float
    cpu_ms: float
    """Of the processor, by all threads."""
    stall_ms: float | None = None
    target_ms: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether its target was met."""
        in_time = self.target_ms is None or self.ms <= self.target_ms
        return in_time and (self.stall_ms is None or self.stall_ms <= _STALL_TARGET_MS)


class Watch:
    """Notes the longest time between two turns of the event loop, while it is entered."""

    def __init__(self) -> None:
        self.stall_ms = 0.0
        self._beating: asyncio.TimerHandle | None = None

    def __enter__(self) -> Watch:
        self._beat()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._beating is not None:
            self._beating.cancel()

    def _beat(self) -> None:
        due_s = time.perf_counter() + _BEAT_S
        self._beating = asyncio.get_running_loop().call_later(_BEAT_S, self._beaten, due_s, time.process_time())

    def _beaten(self, due_s: float, used_s: float) -> None:
        # Time that other programs took is none that the screen took.
        late_s = min(time.perf_counter() - due_s, time.process_time() - used_s)
        self.stall_ms = max(self.stall_ms, late_s * 1e3)
        self._beat()


async def timed(
    name: str, begin: Callable[[], Awaitable[object]], is_there: Callable[[], bool], target_ms: float | None = None
) -> Figure:
    """Begin something and wait until it is there."""
    started_s, used_s = time.perf_counter(), time.process_time()
    with Watch() as watch:
        await begin()
        await until(is_there)
    took_ms, cpu_ms = (time.perf_counter() - started_s) * 1e3, (time.process_time() - used_s) * 1e3
    return Figure(name, took_ms, cpu_ms, watch.stall_ms, target_ms)


async def until(is_there: Callable[[], bool]) -> None:
    """Wait for something to come about."""
    started_s = time.perf_counter()
    while not is_there():
        if time.perf_counter() - started_s > _PATIENCE_S:
            raise RuntimeError(f"not there after {_PATIENCE_S:.0f} s")
        await asyncio.sleep(_BEAT_S)


def main() -> int:
    """Write the sessions, use the screens, print the table, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="20,000 events instead of 100,000")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    events, targets_ms = (20_000, (250.0, 250.0)) if options.quick else (100_000, (500.0, 2_000.0))
    figures = [measure_alignment()]
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        for ids, has_turns in ((_TURNS, True), (_NO_TURNS, False)):
            for variant, session_id in enumerate(ids):
                write_long(root, Long(session_id, events, has_turns, variant))
        for ids, kind, words in ((_TURNS, "turns", "line 77"), (_NO_TURNS, "no turns", "try again")):
            # As `analyze.tui.app.run` does.
            with spare_the_screen():
                runs = [use_screens(root, ids, words, targets_ms) for _ in range(_RUNS)]
            used = [median_of(of_one) for of_one in zip(*runs, strict=True)]
            figures += [replace(figure, name=f"{events:,} events, {kind}: {figure.name}") for figure in used]
    report(figures)
    missed = [figure.name for figure in figures if not figure.is_met]
    print(f"MISSED: {', '.join(missed)}" if missed else "all targets met")
    if options.json:
        options.json.write_text(json.dumps({"figures": [asdict(each) for each in figures], "missed": missed}) + "\n")
    return 1 if missed else 0


def measure_alignment() -> Figure:
    """Align 20,000 events with 20,000 in one stretch."""
    left = [("server", "event", f"type.{number * 7 % 31}") for number in range(20_000)]
    right = [token for number, token in enumerate(left) if number % 17] + left[:1_177]
    started_s, used_s = time.perf_counter(), time.process_time()
    align(left, right)
    took_ms, cpu_ms = (time.perf_counter() - started_s) * 1e3, (time.process_time() - used_s) * 1e3
    return Figure("align 20,000 x 20,000", took_ms, cpu_ms, None, 100)


def use_screens(root: Root, ids: Sequence[str], words: str, targets_ms: tuple[float, float]) -> list[Figure]:
    """Use both screens as a person does who has just started the program."""
    # What another run has left is not to be cleared away in this one.
    gc.collect()
    used = asyncio.run(use_session(root, ids[0], words, targets_ms[0]))
    return used + asyncio.run(use_diff(root, ids, targets_ms[1]))


def median_of(figures: Sequence[Figure]) -> Figure:
    """Give the figure between the others of one use; of the stalls the longest."""
    ranked = sorted(figures, key=lambda figure: figure.ms)
    return replace(ranked[len(ranked) // 2], stall_ms=max(figure.stall_ms or 0.0 for figure in figures))


async def use_session(root: Root, session_id: str, words: str, target_ms: float) -> list[Figure]:
    """Open a session, within a time until its first rows stand; go about in it, search in it."""
    source = RootSource(root)
    app = WiretapeApp(source)
    async with app.run_test(size=_SIZE) as pilot:
        await until(partial(is_idle, app))
        screen = SessionScreen(source, session_id)
        figures = [await timed("first rows", partial(opened, app, screen), lambda: stands(screen, Timeline), target_ms)]
        figures.append(await timed("all of the screen", pilot.pause, partial(is_idle, app)))
        for name, key in (("next error", "n"), ("last row", "end"), ("error before", "N"), ("zoom", "plus")):
            figures.append(await timed(name, partial(pilot.press, key), partial(is_idle, app)))
        bar = screen.query_one(SearchBar)
        screen.action_search()
        bar.fill(words)
        figures.append(await timed("search", partial(pilot.press, "enter"), lambda: bool(bar.needle) and is_idle(app)))
        figures.append(await timed("next match", partial(pilot.press, "J"), partial(is_idle, app)))
    source.close()
    return figures


async def use_diff(root: Root, ids: Sequence[str], target_ms: float) -> list[Figure]:
    """Compare two sessions, within a time; go from difference to difference."""
    source = RootSource(root)
    app = WiretapeApp(source)
    async with app.run_test(size=_SIZE) as pilot:
        await until(partial(is_idle, app))
        screen = DiffScreen(source, ids)
        figures = [await timed("diff", partial(opened, app, screen), lambda: stands(screen, AlignedRows), target_ms)]
        figures.append(await timed("all of the diff", pilot.pause, partial(is_idle, app)))
        keys = (("next difference", "n"), ("all events", "a"), ("last row", "end"), ("difference before", "N"))
        for name, key in (*keys, ("transcripts", "4"), ("latencies", "3")):
            figures.append(await timed(name, partial(pilot.press, key), partial(is_idle, app)))
    source.close()
    return figures


async def opened(app: WiretapeApp, screen: Screen[None]) -> None:
    """Open a screen without waiting for what it asks."""
    await app.push_screen(screen)


def stands(screen: Screen[None], widget: type[RowList]) -> bool:
    """Tell whether the rows of a screen are there."""
    return screen.is_mounted and any(rows.row_count > 1 for rows in screen.query(widget))


def is_idle(app: WiretapeApp) -> bool:
    """Tell whether no question is being answered."""
    return all(worker.is_finished for worker in app.workers)


def report(figures: Sequence[Figure]) -> None:
    """Print the table."""
    print(f"{'use':50} {'ms':>9} {'cpu ms':>9} {'stalled':>9} {'target':>9}")
    for figure in figures:
        target = "–" if figure.target_ms is None else f"{figure.target_ms:,.0f}"
        stall = "–" if figure.stall_ms is None else f"{figure.stall_ms:,.0f}"
        print(f"{figure.name:50} {figure.ms:9,.1f} {figure.cpu_ms:9,.1f} {stall:>9} {target:>9}")


if __name__ == "__main__":
    sys.exit(main())
