"""Signals while a loop runs: the first, the second, and what stands after it."""

from __future__ import annotations

import asyncio
import signal

import pytest

from capture.stop_signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_the_first_is_told_and_the_second_too(number: signal.Signals) -> None:
    earlier = signal.getsignal(number)
    async with asyncio.timeout(10):
        with StopSignals() as signals:
            signal.raise_signal(number)
            assert await signals.first() is number
            signal.raise_signal(signal.SIGTERM)
            await signals.second()
    # What the front door does with a signal while sessions are sealed stands again.
    assert signal.getsignal(number) is earlier


async def test_under_nohup_a_terminal_that_closes_stops_nothing() -> None:
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        async with asyncio.timeout(10):
            with StopSignals() as signals:
                signal.raise_signal(signal.SIGHUP)
                signal.raise_signal(signal.SIGINT)
                assert await signals.first() is signal.SIGINT
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, earlier)
