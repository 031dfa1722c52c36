"""The loop that carries calls: uvloop where it is installed."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from capture.event_loop import choose_loop


@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
def test_uvloop_is_taken_where_it_is_installed() -> None:
    loop = choose_loop()()
    assert type(loop).__module__.startswith("uvloop")
    loop.close()


def test_without_it_asyncios_own_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = choose_loop()()
    assert type(loop).__module__.startswith("asyncio")
    loop.close()
