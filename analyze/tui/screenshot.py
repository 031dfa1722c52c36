"""Export a screen as an SVG picture, without a terminal: what the README shows is what the program draws."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textual.worker import WorkerCancelled

from analyze.answers import SessionSummary
from analyze.tui.app import WiretapeApp
from analyze.tui.source import RootSource
from capture.recording.root import Root

if TYPE_CHECKING:
    from textual.pilot import Pilot

ScreenName = Literal["sessions", "session", "diff", "failures", "sql", "replay"]
_KEYS: dict[ScreenName, Sequence[str]] = {
    "session": ("n",),
    "failures": ("f",),
    "sql": ("colon", "ctrl+r"),
    "replay": ("r",),
}
"""Pressed on the first screen, or on the session that was opened."""


async def screenshot(root: Root, screen: ScreenName, size: tuple[int, int], path: Path, *, light: bool = False) -> None:
    """Write one screen of a root to `path` as SVG, `size` columns by lines.

    The session is the newest that failed, on its first failure, and the replay is of it; the diff compares it with the
    newest that did not.
    """
    source = RootSource(root)
    try:
        sessions = await asyncio.to_thread(source.sessions)
        picture = await _draw(WiretapeApp(source, light=light), screen, sessions, size)
    finally:
        source.close()
    await asyncio.to_thread(path.write_text, picture, encoding="utf-8")


async def _draw(app: WiretapeApp, screen: ScreenName, sessions: Sequence[SessionSummary], size: tuple[int, int]) -> str:
    failed = [session.session_id for session in sessions if session.outcome == "failed"]
    others = [session.session_id for session in sessions if session.outcome != "failed"]
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        if screen in ("session", "replay"):
            app.open_session((failed or others)[0])
        elif screen == "diff":
            app.open_diff([(failed or others)[0], (others or failed)[0]])
        await settle(pilot)
        await press(pilot, *_KEYS.get(screen, ()))
        return app.export_screenshot(simplify=True)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys one after the other, each on a screen that has settled."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def settle(pilot: Pilot[None]) -> None:
    """Wait until every question of the current screen is answered and drawn."""
    await pilot.pause()
    # An answer may bring up the next question: the event under the cursor, or the sessions after the first page.
    while pilot.app.workers:
        # A question whose place was taken by a newer one is cancelled, which is as it should be.
        with suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()
