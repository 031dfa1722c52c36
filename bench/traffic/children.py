"""Processes of a measurement: asked a line, they answer a line of JSON; what they cost is read from the kernel."""

from __future__ import annotations

import json
import os
import re
import selectors
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROJECT = Path(__file__).parents[2]
_ANSWER_S = 60
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


class Child:
    """A process that is killed when the block is left."""

    def __init__(self, command: Sequence[str | Path], *, folder: Path, **environment: str) -> None:
        """Start it in a folder; the project can be imported, and no proxy of the environment's is used."""
        inherited = {name: value for name, value in os.environ.items() if name.lower() not in _PROXY_VARIABLES}
        self._errors = folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=inherited | {"PYTHONPATH": str(PROJECT)} | environment,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Killed, so that nobody seals hundreds of sessions between two measurements.
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def line(self, within_s: float = _ANSWER_S) -> str:
        """Wait for a line of its output; RuntimeError with its last words where there is none."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline().decode() if ready.select(within_s) else ""
        if not line:
            raise RuntimeError(f"{self._process.args!r} fell silent: {self._errors.read_text()[-2000:]}")
        return line.strip()

    def answer(self, within_s: float = _ANSWER_S) -> dict[str, Any]:
        """Wait for a line of JSON."""
        answer: dict[str, Any] = json.loads(self.line(within_s))
        return answer

    def ask(self, *words: object) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self._process.stdin.flush()
        return self.answer()

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return self._process.poll() is None

    def cpu_ns(self) -> int:
        """CPU time of all its threads, without its children."""
        return _cpu_ns(self.pid)

    def children_cpu_ns(self) -> int:
        """CPU time of the processes that it started and that still run."""
        return sum(map(_cpu_ns, self._children()))

    def memory_mb(self, kind: str = "VmHWM") -> float:
        """Resident memory of this process alone: `VmHWM` its peak, `VmRSS` now."""
        return _memory_mb(self.pid, kind)

    def largest_child_mb(self) -> float:
        """Peak memory of the largest process that it started and that still runs; 0 where there is none."""
        return max((_memory_mb(pid, "VmHWM") for pid in self._children()), default=0)

    def _children(self) -> list[int]:
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def has_loaded(self, library: str) -> bool:
        """Tell whether a native library is mapped into it."""
        return library in Path(f"/proc/{self.pid}/maps").read_text()


def _cpu_ns(pid: int) -> int:
    # The clock of another process, as clock_getcpuclockid(3) composes it.
    return time.clock_gettime_ns((~pid << 3) | 2)


def _memory_mb(pid: int, kind: str) -> float:
    found = re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0
