"""Measure what the terminal takes to open, search and compare sessions of very many events.

Run `python bench/long_sessions.py [--quick] [--json FILE]`. The sessions have 100,000 events that do not fold, a
written conversation of thousands of turns, and one without any turn. The screens run as in a terminal of 140 x 40,
without the drawing of the terminal itself; while they work, the longest time that no key could have been answered is
measured too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from textual.pilot import Pilot

from analyze.alignment import align
from analyze.tui.app import WiretapeApp
from analyze.tui.screens.diff import DiffScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.source import RootSource
from analyze.tui.widgets.event_view import EventView
from analyze.tui.widgets.search_bar import SearchBar
from bench.roots.long import Long, write_long
from capture.recording.root import Root

_TURNS = ("20260302T060000-00000001", "20260302T060000-00000002")
_NO_TURNS = ("20260302T060000-00000003", "20260302T060000-00000004")
_PATIENCE_S = 120.0
_BEAT_S = 0.002


@dataclass(frozen=True)
class Figure:
    """What one use took, and the longest time that the screen answered nothing meanwhile."""

    name: str
    ms: float
    stall_ms: float | None = None
    target_ms: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether its target was met."""
        return self.target_ms is None or self.ms <= self.target_ms


class Watch:
    """Notes the longest time between two turns of the event loop."""

    def __init__(self) -> None:
        self.stall_ms = 0.0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            started_s = time.perf_counter()
            await asyncio.sleep(_BEAT_S)
            self.stall_ms = max(self.stall_ms, (time.perf_counter() - started_s - _BEAT_S) * 1e3)


async def timed(
    name: str, begin: Callable[[], Awaitable[object] | object], is_there: Callable[[], bool], target_ms: float | None
) -> Figure:
    """Begin something and wait until it is there."""
    watch = Watch()
    beating = asyncio.create_task(watch.run())
    started_s = time.perf_counter()
    begun = begin()
    if isinstance(begun, Awaitable):
        await begun
    while not is_there():
        if time.perf_counter() - started_s > _PATIENCE_S:
            raise RuntimeError(f"{name}: not there after {_PATIENCE_S:.0f} s")
        await asyncio.sleep(_BEAT_S)
    took_ms = (time.perf_counter() - started_s) * 1e3
    beating.cancel()
    return Figure(name, took_ms, watch.stall_ms, target_ms)


def main() -> int:
    """Write the sessions, use the screens, print the table, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="20,000 events instead of 100,000")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    events = 20_000 if options.quick else 100_000
    figures = [measure_alignment()]
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        for ids, has_turns in ((_TURNS, True), (_NO_TURNS, False)):
            for variant, session_id in enumerate(ids):
                write_long(root, Long(session_id, events, has_turns, variant))
        for ids, kind in ((_TURNS, "turns"), (_NO_TURNS, "no turns")):
            figures += asyncio.run(use_session(root, ids[0], f"{events:,} events, {kind}"))
            figures += asyncio.run(use_diff(root, ids, f"{events:,} events, {kind}"))
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
    started_s = time.perf_counter()
    align(left, right)
    return Figure("align 20,000 x 20,000", (time.perf_counter() - started_s) * 1e3, None, 100)


async def use_session(root: Root, session_id: str, kind: str) -> list[Figure]:
    """Open a session, go about in it, search in it."""
    source = RootSource(root)
    app = WiretapeApp(source)
    async with app.run_test(size=(140, 40)) as pilot:
        await settled(pilot)
        screen = SessionScreen(source, session_id)
        figures = [
            await timed(
                f"{kind}: first rows",
                lambda: app.push_screen(screen),
                lambda: screen.is_mounted and bool(screen.query("Timeline")) and screen.timeline.row_count > 1,
                500,
            )
        ]
        figures.append(await timed(f"{kind}: all of it", lambda: None, lambda: is_idle(app), None))
        figures += await go_about(pilot, screen, kind)
    source.close()
    return figures


async def go_about(pilot: Pilot[None], screen: SessionScreen, kind: str) -> list[Figure]:
    """Press the keys of a session's screen."""
    app, timeline = pilot.app, screen.timeline
    bar = screen.query_one(SearchBar)
    figures = []
    for name, key in (("next error", "n"), ("last row", "end"), ("error before", "N"), ("zoom", "plus")):
        figures.append(await timed(f"{kind}: {name}", lambda key=key: pilot.press(key), lambda: is_idle(app), 100))
    app.screen.action_search()
    bar.fill("line 77" if "no turns" not in kind else "try again")
    await pilot.pause()
    found = await timed(
        f"{kind}: search", lambda: pilot.press("enter"), lambda: bool(bar.needle) and is_idle(app), 300
    )
    figures.append(found)
    figures.append(await timed(f"{kind}: next match", lambda: pilot.press("J"), lambda: is_idle(app), 100))
    figures.append(
        await timed(f"{kind}: open an event", lambda: pilot.press("enter"), lambda: bool(detail_of(screen)), 100)
    )
    del timeline
    return figures


def detail_of(screen: SessionScreen) -> Sequence[object]:
    """Give the lines of the event that is shown."""
    return screen.query_one("#detail", EventView).lines


async def use_diff(root: Root, ids: Sequence[str], kind: str) -> list[Figure]:
    """Compare two sessions and go from difference to difference."""
    source = RootSource(root)
    app = WiretapeApp(source)
    async with app.run_test(size=(140, 40)) as pilot:
        await settled(pilot)
        screen = DiffScreen(source, ids)
        figures = [
            await timed(
                f"{kind}: diff",
                lambda: app.push_screen(screen),
                lambda: screen.is_mounted and bool(screen.query("AlignedRows")) and screen.events.row_count > 1,
                2_000,
            )
        ]
        figures.append(await timed(f"{kind}: all of the diff", lambda: None, lambda: is_idle(app), None))
        for name, key in (("next difference", "n"), ("all events", "a"), ("last row", "end"), ("difference before", "N")):
            figures.append(await timed(f"{kind}: {name}", lambda key=key: pilot.press(key), lambda: is_idle(app), 150))
    source.close()
    return figures


async def settled(pilot: Pilot[None]) -> None:
    """Wait until the first screen has what it asked for."""
    while not is_idle(pilot.app):
        await asyncio.sleep(0.01)


def is_idle(app: object) -> bool:
    """Tell whether no question is being answered."""
    return not any(not worker.is_finished for worker in app.workers)


def report(figures: Sequence[Figure]) -> None:
    """Print the table."""
    print(f"{'use':50} {'ms':>9} {'stalled':>9} {'target':>9}")
    for figure in figures:
        target = "–" if figure.target_ms is None else f"{figure.target_ms:,.0f}"
        stall = "–" if figure.stall_ms is None else f"{figure.stall_ms:,.0f}"
        print(f"{figure.name:50} {figure.ms:9,.1f} {stall:>9} {target:>9}")


if __name__ == "__main__":
    sys.exit(main())
