"""Choose the event loop that carries calls: uvloop where it is installed (`wiretape[fast]`), else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def choose_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Give what makes a loop; the relay behaves the same on either."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
