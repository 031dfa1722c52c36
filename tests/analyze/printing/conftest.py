"""Print to text, to see what a terminal of some width shows."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

Lines = Callable[[RenderableType, int], list[str]]
"""Takes something to print and a width; gives the lines without trailing spaces."""


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
