"""Ctrl-C in the middle of a question: the command ends, whatever the engine's threads are at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from analyze.breaking_off import broken_off_by_signals
from analyze.store import open_store
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


def test_a_ctrl_c_that_the_engine_saw_itself_is_no_fault() -> None:
    with pytest.raises(KeyboardInterrupt), broken_off_by_signals():
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="another"), broken_off_by_signals():
        raise RuntimeError("another")
