"""The command palette: every command by its words, the saved questions, and every session by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from analyze.investigations import load_investigations
from analyze.tui.figures import mark, who
from analyze.tui.widgets.frame import TABS, key_name, screen_keys
from capture.errors import WiretapeError
from capture.plain_text import visible

if TYPE_CHECKING:
    from analyze.tui.app import WiretapeApp
    from analyze.tui.source import Source

_SESSIONS = 12
_LEAST_LETTERS = 3
"""Fewer do not tell sessions apart: their ids begin with the year."""


class ScreenCommands(Provider):
    """The keys that work on the current screen, the main screens, and the saved questions, as commands."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        seen: set[str] = set()
        for binding, words in screen_keys(self.screen):
            if binding.action not in seen:
                seen.add(binding.action)
                yield words[:1].upper() + words[1:], f"key {key_name(binding)}", self._press(binding.key)
        app = cast("WiretapeApp", self.app)
        for name, mode in TABS.items():
            if f"app.switch_mode('{mode}')" not in seen:
                yield f"Go to {name}", "main screen", lambda mode=mode: app.switch_mode(mode)  # type: ignore[misc]

    def _questions(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        app = cast("WiretapeApp", self.app)
        for saved in load_investigations():
            yield saved.title, "saved question, in SQL", lambda name=saved.name: app.investigate(name)  # type: ignore[misc]

    def _press(self, key: str) -> Callable[[], None]:
        return lambda: self.app.simulate_key(key)

    async def discover(self) -> Hits:
        """Give the screen's commands before anything is typed."""
        for words, about, run in self._commands():
            yield DiscoveryHit(words, run, help=about)

    async def search(self, query: str) -> Hits:
        """Give the commands and questions whose words match."""
        matcher = self.matcher(query)
        for words, about, run in (*self._commands(), *self._questions()):
            if (score := matcher.match(words)) > 0:
                yield Hit(score, matcher.highlight(words), run, help=about)


class Known(NamedTuple):
    """A session as it is offered."""

    session_id: str
    sign: str
    about: str
    is_live: bool = False


class SessionJump(Provider):
    """Sessions whose id begins or ends with what is typed, those in flight too."""

    async def search(self, query: str) -> Hits:
        """Give the sessions in flight and the newest recordings that match."""
        typed = query.strip().casefold()
        if len(typed) < _LEAST_LETTERS or not set(typed) <= set("0123456789abcdeft-"):
            return
        app = cast("WiretapeApp", self.app)
        found = await asyncio.to_thread(_sessions_like, app.source, typed)
        for rank, session in enumerate(found):
            name = visible(session.session_id)
            shown = Content(f"{session.sign} {name}")
            run = partial(app.follow_session if session.is_live else app.open_session, session.session_id)
            # Behind a command that matches in full, in the list's own order.
            yield Hit(0.9 - rank / 1000, shown, run, text=name, help=_no_markup(session.about))


def _no_markup(words: str) -> str:
    """Write recorded text for a place that Textual reads as markup; its own `escape` leaves some of it."""
    return visible(words).replace("[", "\\[")


def _sessions_like(source: Source, typed: str) -> list[Known]:
    found = [
        Known(each.session_id, mark("live").text, each.target or "", is_live=True)
        for each in reversed(source.live())
        if each.session_id.casefold().startswith(typed) or each.session_id.endswith(typed)
    ]
    # A root that cannot be read is told of on the screen beneath.
    with suppress(WiretapeError):
        sealed = source.sessions(f"session:{typed}*,*{typed}", limit=_SESSIONS)
        found += [Known(each.session_id, mark(each.outcome).text, who(each)) for each in sealed]
    return found[:_SESSIONS]
