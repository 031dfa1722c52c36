"""Where the screens keep what outlives them, and how: private, and whole or not at all."""

from __future__ import annotations

import logging
from pathlib import Path

from capture.private_files import make_private_folder, replacing, state_folder

log = logging.getLogger(__name__)


def state_file(name: str) -> Path:
    """Give a file in the folder for what outlives a command."""
    return state_folder() / name


class StateFile:
    """A file of that folder, which other terminals and tabs of a browser write, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: str | None = None
        """What was read or written last."""

    def news(self) -> str | None:
        """Give what stands in it; None where that is known already, or cannot be read."""
        try:
            content = self.path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        if content == self._known:
            return None
        self._known = content
        return content

    def write(self, content: str) -> None:
        """Write it, for its owner only, in the place of the last; one that cannot be written is left."""
        # What cannot be remembered is no reason to disturb anyone.
        try:
            make_private_folder(self.path.parent)
            with replacing(self.path) as stream:
                stream.write(content.encode())
            self._known = content
        except OSError:
            log.debug("%s cannot be written", self.path.name, exc_info=True)
