"""Where the screens keep what outlives them, and how: private, and whole or not at all."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from capture.recording.root import make_private_folder

log = logging.getLogger(__name__)


def state_file(name: str) -> Path:
    """Give a file in `$XDG_STATE_HOME/wiretape`, else below `~/.local/state`."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "wiretape" / name


def write_state(path: Path, content: str) -> None:
    """Write a file that only its owner reads, in the place of the last; one that cannot be written is left."""
    # Another program of the same person may write it now, too.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    # What cannot be remembered is no reason to disturb anyone.
    try:
        make_private_folder(path.parent)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
        unfinished.replace(path)
    except OSError:
        log.debug("%s cannot be written", path.name, exc_info=True)
