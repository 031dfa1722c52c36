"""The event loop that carries calls: uvloop where it is installed (`wiretape[fast]`), else asyncio's own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def choose_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Give what makes a loop; the relay behaves the same on either."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def spare_the_loop() -> None:
    """Have the garbage collector come seldom, and pass over what stands already.

    Every piece of every call is a tuple for a moment. By default a few hundred of them bring the collector, which at
    hundreds of sessions is fifty times a second, and at times it walks the whole heap while calls wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@contextmanager
def pass_over_the_heap(*, collect_after: int | None = None) -> Iterator[None]:
    """Have the garbage collector pass over what stands already, while the block lasts.

    A full collection walks all modules, plans and recordings that are loaded: tens of milliseconds in which nothing is
    sent on time. With `collect_after` it comes each time that there are so many new objects, and not 700.
    """
    usual = gc.get_threshold()
    gc.freeze()
    if collect_after is not None:
        gc.set_threshold(collect_after, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
