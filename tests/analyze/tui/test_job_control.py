"""Who may be stopped: the job of a shell that waits, and nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from analyze.tui.job_control import may_be_stopped

ASK = "import sys; from analyze.tui.job_control import may_be_stopped; sys.exit(0 if may_be_stopped() else 3)"


@pytest.mark.parametrize(
    ("started", "may"),
    [
        # As a shell starts a job.
        ({"process_group": 0}, True),
        # As a script or `make` does: it would wait, and hold the terminal.
        ({}, False),
        # As `tmux new-session`, `ssh -t HOST` or a container do: nobody has the terminal beside it.
        ({"start_new_session": True}, False),
    ],
)
def test_only_the_job_of_a_shell_may_be_stopped(started: dict[str, Any], may: bool) -> None:
    assert (subprocess.run([sys.executable, "-c", ASK], check=False, **started).returncode == 0) is may


def test_whose_parent_cannot_be_seen_may_not_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the first process of a container it is 0.
    monkeypatch.setattr(os, "getppid", lambda: 2**22 + 1)
    assert not may_be_stopped()
