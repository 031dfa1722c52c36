"""Fixtures that tests of every package share."""

from __future__ import annotations

import gc
import io
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from rich.console import Console, RenderableType

from capture.journal import JournalWriter
from capture.journal.counters import sweep_counts
from capture.recording.root import Root

# How long an example takes says more about the machine than about the code.
settings.register_profile("wiretape", deadline=None)
settings.load_profile("wiretape")

# A test run that a shell starts in the background ignores Ctrl-C, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# And under `nohup` they would not end with their terminal.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Keep the thousands of tests out of what the garbage collector goes through: each full pass took half a second."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let the interpreter collect them as it ends: libraries that look for leaks report what is frozen."""
    gc.unfreeze()


Lines = Callable[[RenderableType, int], list[str]]
"""Takes something to print and a width; gives the lines without trailing spaces."""

_SHARED = Path(__file__).parents[1].parent / "shared"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """Give an empty root of its own."""
    root = Root(tmp_path / "recordings")
    yield root
    # What killed recorders had counted lies in shared memory, beyond the test's folder.
    shutil.rmtree(root.journal, ignore_errors=True)
    sweep_counts(root.journal)


@pytest.fixture
def writer(root: Root) -> Iterator[JournalWriter]:
    """Give what writes the journals of that root, without delay."""
    writer = JournalWriter(root.journal, tick_s=0.001)
    yield writer
    writer.close()


@pytest.fixture
def shared() -> Path:
    """Give the folder of wire logs and protocol tables; tests that need it skip where it is absent."""
    if not _SHARED.is_dir():
        pytest.skip("the folder with wire logs and protocol tables is not here")
    return _SHARED


@pytest.fixture
def question_clip() -> Path:
    """Give the spoken question that the demo asks."""
    return Path(__file__).parents[1] / "replay" / "simulator" / "clips" / "question_weather.flac"


@pytest.fixture
def lines() -> Lines:
    def print_at(part: RenderableType, width: int) -> list[str]:
        console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
        console.print(part)
        assert isinstance(console.file, io.StringIO)
        shown = [line.rstrip() for line in console.file.getvalue().splitlines()]
        assert all(len(line) <= width for line in shown)
        return shown

    return print_at
