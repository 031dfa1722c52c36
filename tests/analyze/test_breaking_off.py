"""Ctrl-C in the middle of a question: the command ends, whatever the engine's threads are at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Semaphore, Timer

import duckdb
import pytest

from analyze.breaking_off import broken_off_by_signals
from analyze.store import Store, open_store
from tests.sample import SAMPLE

HOME = Path(__file__).parents[2]
WITHOUT_END = "SELECT COUNT(*) FROM range(100000000000) AS a, range(100000) AS b"


def test_a_signal_breaks_off_what_the_engine_works_at() -> None:
    wakes = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakes)
    interrupt = Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), broken_off_by_signals() as breaks_off, open_store(SAMPLE) as store:
        breaks_off(store.interrupt)
        interrupt.start()
        store.console(WITHOUT_END)
    assert signal.set_wakeup_fd(wakes) == wakes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_question_without_end_ends_with_its_command(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "wiretape", "analyze", "sql", WITHOUT_END, "--recordings", str(SAMPLE.path)]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asking:
        interrupt = Timer(3, asking.send_signal, (number,))
        interrupt.start()
        printed = asking.communicate(timeout=60)
        interrupt.cancel()
    assert (asking.returncode, *printed) == (130, b"", b"")


def test_it_is_said_again_until_the_command_ends() -> None:
    """An engine that begins a question at that moment forgets what it was told a moment before."""
    told = Semaphore(0)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with broken_off_by_signals() as breaks_off:
            breaks_off(told.release)
            os.kill(os.getpid(), signal.SIGTERM)
            assert all(told.acquire(timeout=60) for _ in range(3))
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_question_that_a_signal_ended_is_not_worked_at_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that saw the signal itself (DuckDB 1.5) has threads at work still, and to close is to wait for them."""
    told: list[Store] = []
    monkeypatch.setattr(Store, "interrupt", lambda store: told.append(store))
    with open_store(SAMPLE) as store:
        assert told == []
    assert told == [store]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("Query interrupted"), duckdb.InvalidInputException("reading the object failed: KeyboardInterrupt")],
)
def test_a_ctrl_c_that_the_engine_saw_itself_is_no_fault(error: Exception) -> None:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with pytest.raises(KeyboardInterrupt), broken_off_by_signals():
            os.kill(os.getpid(), signal.SIGINT)
            raise error
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(type(error)), broken_off_by_signals():
        raise error
