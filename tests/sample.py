"""The committed sample of recordings, without what whoever works here has recorded beside it.

`make demo` records into the same folder, and the README has it typed before `make test`.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from capture.recording.root import Root

COMMITTED = Path(__file__).parents[1] / "recordings"
MADE_AT = "20261123T0245"
"""How the ids of its sessions begin."""
RUN = "r20261123T024533-ef60"
CALL = "20261123T024525-f605d237"
"""Its captured call: the transcription failed at eastus2."""


def copy_sample(folder: Path) -> Root:
    """Copy the sample, so that a test may record into it."""
    shutil.copytree(COMMITTED, folder / "recordings", ignore=_others)
    return Root(folder / "recordings")


def _others(folder: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if not name.startswith((MADE_AT, RUN)) and not (Path(folder) / name).is_dir()]


def _copy_for_this_process() -> Root:
    folder = tempfile.mkdtemp(prefix="wiretape-sample-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return copy_sample(Path(folder))


SAMPLE = _copy_for_this_process()
"""To be read only."""
