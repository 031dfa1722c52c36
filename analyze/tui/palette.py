"""The command palette: every command of the current screen by its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textual.command import DiscoveryHit, Hit, Hits, Provider

from analyze.tui.widgets.frame import key_name, screen_keys


class ScreenCommands(Provider):
    """The keys that work on the current screen, as commands."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        seen: set[str] = set()
        for binding, words in screen_keys(self.screen):
            if binding.action not in seen:
                seen.add(binding.action)
                yield words[:1].upper() + words[1:], key_name(binding), self._press(binding.key)

    def _press(self, key: str) -> Callable[[], None]:
        return lambda: self.app.simulate_key(key)

    async def discover(self) -> Hits:
        """Give all commands before anything is typed."""
        for words, key, press in self._commands():
            yield DiscoveryHit(words, press, help=f"key {key}")

    async def search(self, query: str) -> Hits:
        """Give the commands whose words match."""
        matcher = self.matcher(query)
        for words, key, press in self._commands():
            if (score := matcher.match(words)) > 0:
                yield Hit(score, matcher.highlight(words), press, help=f"key {key}")
