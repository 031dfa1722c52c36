"""How an interpreter is asked to run a module of ours, and none that is only called the same."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_HOME = str(Path(__file__).parents[1])
# The package that this process runs, wherever that came from; all else is found as usual.
_PROGRAM = f"""
import sys
sys.path.insert(0, {_HOME!r})
import capture
sys.path.append(sys.path.pop(0))
"""


def own_program(module: str, call: str) -> list[str]:
    """Give the arguments with which an interpreter calls a function of one of our modules, as `work(*sys.argv[1:])`."""
    name = call.partition("(")[0]
    # `-P`: the folder that the program runs in may hold a module that is called as one of ours.
    return ["-P", "-c", f"{_PROGRAM}from {module} import {name}\n{call}\n"]


def end_first(pid: int | None, urgency: int) -> None:
    """Have the system end this process before those that carry calls, where memory is short; most urgent is 1000."""
    # By itself it ends the largest one, which is the proxy while another still loads its libraries. What the ended one
    # had to do, the next one does. Where there is no such file the system decides.
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(urgency))
