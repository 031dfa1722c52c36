"""How an interpreter is asked to run a module of ours, and none that is only called the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
    return ["-P", "-c", f"{_PROGRAM}{_path()}from {module} import {name}\n{call}\n"]


def _path() -> str:
    """Give the line that adds where else this process finds modules; behind all that is found as usual."""
    # PEX, Bazel and vendored libraries put what we need into folders that no other interpreter knows of. Beside the
    # main module is the program's own code, which is not to run in another process.
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    beside_main = str(Path(main).absolute().parent) if main else None
    # Programs put `Path` there too, in which no interpreter looks.
    entries: Sequence[object] = sys.path
    folders = [entry for entry in entries if isinstance(entry, str) and entry not in ("", beside_main)]
    return f"sys.path += [folder for folder in {folders!r} if folder not in sys.path]\n"


def end_first(pid: int | None, urgency: int) -> None:
    """Have the system end this process before those that carry calls, where memory is short; most urgent is 1000."""
    # By itself it ends the largest one, which is the proxy while another still loads its libraries. What the ended one
    # had to do, the next one does. Where there is no such file the system decides.
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(urgency))
