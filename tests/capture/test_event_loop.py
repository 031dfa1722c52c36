"""The loop that carries calls: uvloop where it is installed."""

from __future__ import annotations

import gc
import importlib.util
import sys

import pytest

from capture.event_loop import choose_loop, pass_over_the_heap, spare_the_loop


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


def test_the_collector_passes_over_what_stands_and_does_not_come_with_every_few_hundred_pieces() -> None:
    before = gc.get_threshold()
    try:
        spare_the_loop()
        assert gc.get_freeze_count() > 10_000
        # Some hundreds is what it is by default.
        assert gc.get_threshold()[0] >= 10_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_for_a_while_the_collector_passes_over_what_stands_and_then_no_more() -> None:
    before, usual = gc.get_freeze_count(), gc.get_threshold()
    with pass_over_the_heap():
        assert gc.get_freeze_count() > before + 10_000
        assert gc.get_threshold() == usual
    with pass_over_the_heap(collect_after=20_000):
        assert gc.get_threshold() == (20_000, *usual[1:])
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, usual)
