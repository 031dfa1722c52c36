"""The package itself: `from capture import record` costs nothing until it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import capture


def test_record_is_there_for_the_asking() -> None:
    from capture import record
    from capture.attach import record as attached

    assert record is attached


def test_importing_the_package_imports_nothing_heavy() -> None:
    question = "import sys, capture; print(*[name for name in ('websockets', 'asyncio', 'h11') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_other_names_are_missed_as_usual() -> None:
    with pytest.raises(AttributeError, match="module 'capture' has no attribute 'recrod'"):
        _ = capture.recrod  # type: ignore[attr-defined,unused-ignore]
