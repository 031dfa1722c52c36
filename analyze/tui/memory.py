"""What the screens remember over a restart: where one was in a root, and filters that were given a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analyze.tui.state_folder import StateFile, state_file
from capture.recording.root import Root
from capture.redaction import redact_text

KEPT_ROOTS = 50
"""Roots that are remembered, those looked at last."""


def default_path() -> Path:
    """Give the file that is shared by all roots."""
    return state_file("screens.json")


class Memory:
    """Remembers in a file, or without a path only as long as the program runs; a file that does not read is ignored."""

    def __init__(self, path: Path | None, root: Root) -> None:
        self._file = None if path is None else StateFile(path)
        self._root = str(root.path.resolve())
        self.filters: dict[str, str] = {}
        """Saved filters by name, of all roots."""
        self._roots: dict[str, Any] = {}
        self.look()

    def look(self) -> None:
        """Take in what another terminal or tab has written down since."""
        content = None if self._file is None else self._file.news()
        if content is not None:
            kept = _read(content)
            self.filters = _texts(kept.get("filters"))
            self._roots = kept["roots"] if isinstance(kept.get("roots"), dict) else {}

    def recall(self, screen: str) -> dict[str, str]:
        """Give what was remembered of a screen in this root; nothing where nothing was."""
        of_root = self._roots.get(self._root)
        return _texts(of_root.get(screen)) if isinstance(of_root, dict) else {}

    def remember(self, screen: str, **values: str) -> None:
        """Remember values of a screen beside those remembered before, and write them down."""
        self.look()
        of_root = self._roots.pop(self._root, None)
        known = of_root if isinstance(of_root, dict) else {}
        known[screen] = self._texts_of(known, screen) | values
        # Behind the others: the last is the one looked at last.
        self._roots[self._root] = known
        self._write()

    def save_filter(self, name: str, text: str) -> None:
        """Give a filter a name; one of that name gives way."""
        self.look()
        self.filters[name] = text
        self._write()

    def drop_filter(self, name: str) -> None:
        """Forget a saved filter."""
        self.look()
        self.filters.pop(name, None)
        self._write()

    @staticmethod
    def _texts_of(known: Mapping[str, Any], screen: str) -> dict[str, str]:
        return _texts(known.get(screen))

    def _write(self) -> None:
        if self._file is None:
            return
        roots = dict(list(self._roots.items())[-KEPT_ROOTS:])
        # What people search for may hold a key that they pasted.
        content = redact_text(json.dumps({"filters": self.filters, "roots": roots}, indent=1))
        self._file.write(content)


def _read(content: str) -> dict[str, Any]:
    try:
        kept = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _texts(kept: object) -> dict[str, str]:
    if not isinstance(kept, dict):
        return {}
    return {name: value for name, value in kept.items() if isinstance(name, str) and isinstance(value, str)}
