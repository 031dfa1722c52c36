"""Where the screens keep what outlives them, and how: private, and whole or not at all."""

from __future__ import annotations

import logging
from pathlib import Path

from capture.private_files import make_private_folder, replacing, state_folder

log = logging.getLogger(__name__)


def state_file(name: str) -> Path:
    """Give a file in the folder for what outlives a command."""
    return state_folder() / name


def write_state(path: Path, content: str) -> None:
    """Write a file that only its owner reads, in the place of the last; one that cannot be written is left."""
    # What cannot be remembered is no reason to disturb anyone.
    try:
        make_private_folder(path.parent)
        with replacing(path) as stream:
            stream.write(content.encode())
    except OSError:
        log.debug("%s cannot be written", path.name, exc_info=True)
