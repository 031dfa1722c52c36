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
    "session": ("enter", "n"),
    "diff": ("space", "end", "d"),
    "failures": ("f",),
}
"""Screens and the keys that lead to them."""
OTHERS = {
    "unfolded": ("enter", "down", "down", "down", "enter", "down"),
    "detail": ("enter", *["down"] * 8, "enter"),
    "configuration": ("enter", "c"),
    "latencies": ("space", "d", "3"),
    "transcripts": ("space", "d", "4"),
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


@pytest.mark.parametrize("screen", ["session", "failures"])
def test_light(snap_compare: Compare, source: Source, screen: str) -> None:
    app = WiretapeApp(source, light=True)
    assert snap_compare(app, terminal_size=(120, 40), run_before=after(*MAIN[screen]))


def test_wide(snap_compare: Compare, source: Source) -> None:
    assert snap_compare(WiretapeApp(source), terminal_size=(200, 50), run_before=after(*MAIN["session"]))


def test_empty_root(snap_compare: Compare, empty_source: Source) -> None:
    assert snap_compare(WiretapeApp(empty_source), terminal_size=(80, 24), run_before=after())
