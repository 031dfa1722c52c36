"""SIGINT, SIGTERM and SIGHUP while a loop runs: the first asks to stop, the second to stop at once."""

from __future__ import annotations

import asyncio
import signal
from types import TracebackType
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Takes these signals from their handlers until the block is left; enter it in the running loop.

    A SIGHUP that is ignored, as under `nohup`, stays so.
    """

    def __enter__(self) -> Self:
        loop = self._loop = asyncio.get_running_loop()
        self._first: asyncio.Future[signal.Signals] = loop.create_future()
        self._second: asyncio.Future[None] = loop.create_future()
        self._earlier: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in _NUMBERS}
        if self._earlier[signal.SIGHUP] is signal.SIG_IGN:
            del self._earlier[signal.SIGHUP]
        for number in self._earlier:
            loop.add_signal_handler(number, self._take, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._earlier.items():
            self._loop.remove_signal_handler(number)
            # The loop leaves the system's own, which for SIGTERM would end the process in the middle of sealing.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    async def first(self) -> signal.Signals:
        """Wait for a signal, and tell which one it was."""
        return await asyncio.shield(self._first)

    async def second(self) -> None:
        """Wait for another one."""
        await asyncio.shield(self._second)

    def _take(self, number: signal.Signals) -> None:
        if not self._first.done():
            self._first.set_result(number)
        elif not self._second.done():
            self._second.set_result(None)
