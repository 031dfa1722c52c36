"""Pictures of every screen; look at them before taking new ones: `pytest --snapshot-update`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from analyze.tui.app import WiretapeApp
from analyze.tui.screenshot import press, settle
from analyze.tui.source import Source

Compare = Callable[..., bool]

MAIN = {
    "sessions": (),
    "failures": ("f",),
}
"""Screens and the keys that lead to them."""
INSPECTING = {
    "session": ("enter", "n"),
    "diff": ("space", "end", "d"),
}
OTHERS = {
    "unfolded": ("enter", "down", "down", "down", "enter", "down"),
    "detail": ("enter", *["down"] * 8, "enter"),
    "configuration": ("enter", "c"),
    "latencies": ("space", "d", "3"),
    "transcripts": ("space", "end", "d", "4"),
    "outcomes": ("space", "end", "d", "5"),
    "messages": ("space", "end", "d", "n", "enter"),
    "waterfall": ("enter", "l"),
    "help": ("question_mark",),
    "replay": ("r",),
    "pick": ("enter", "d"),
}


def after(*keys: str) -> Callable[[Pilot[None]], Any]:
    async def walk(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *keys)

    return walk


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("screen", MAIN)
def test_main(snap_compare: Compare, source: Source, screen: str, size: tuple[int, int]) -> None:
    assert snap_compare(WiretapeApp(source), terminal_size=size, run_before=after(*MAIN[screen]))


@pytest.mark.parametrize("screen", OTHERS)
def test_other(snap_compare: Compare, source: Source, screen: str) -> None:
    assert snap_compare(WiretapeApp(source), terminal_size=(80, 24), run_before=after(*OTHERS[screen]))


@pytest.mark.parametrize("screen", ["failures"])
def test_light(snap_compare: Compare, source: Source, screen: str) -> None:
    app = WiretapeApp(source, light=True)
    assert snap_compare(app, terminal_size=(120, 40), run_before=after(*MAIN[screen]))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
@pytest.mark.parametrize("ground", ["dark", "light"])
@pytest.mark.parametrize("screen", INSPECTING)
def test_inspecting(snap_compare: Compare, source: Source, screen: str, ground: str, size: tuple[int, int]) -> None:
    app = WiretapeApp(source, light=ground == "light")
    assert snap_compare(app, terminal_size=size, run_before=after(*INSPECTING[screen]))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_many_beside_each_other(snap_compare: Compare, source: Any, size: tuple[int, int]) -> None:
    async def walk(pilot: Pilot[None]) -> None:
        await settle(pilot)
        app.open_diff([source.listed[at].session_id for at in (0, 5, 1, 6, 10)])
        await settle(pilot)
        await press(pilot, "n", "right")

    app = WiretapeApp(source)
    assert snap_compare(app, terminal_size=size, run_before=walk)


def test_empty_root(snap_compare: Compare, empty_source: Source) -> None:
    assert snap_compare(WiretapeApp(empty_source), terminal_size=(80, 24), run_before=after())
