"""Environments of the peers: mitmproxy and uvloop are no part of Wiretape's own, so they get theirs on demand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from bench.traffic.children import PROJECT

_INSTALL_S = 300


@dataclass(frozen=True)
class Ends:
    """What the generator, the endpoint and the `websockets` relay run on."""

    python: Path
    loop: str
    """`uvloop`, or `asyncio` where uvloop cannot be had."""


def mitmdump() -> Path | None:
    """Find or install mitmdump in `.venv-mitmproxy`; None where that fails."""
    return _program(PROJECT / ".venv-mitmproxy", "mitmdump", "mitmproxy")


def ends() -> Ends:
    """Find uvloop in this environment, or install it in `.venv-uvloop`."""
    if find_spec("uvloop"):
        return Ends(Path(sys.executable), "uvloop")
    python = _program(PROJECT / ".venv-uvloop", "python", "uvloop", f"websockets=={version('websockets')}")
    return Ends(python, "uvloop") if python else Ends(Path(sys.executable), "asyncio")


def _program(environment: Path, program: str, *packages: str) -> Path | None:
    """Give a program of an environment, made with these packages where it is not there yet."""
    complete = environment / ".complete"
    if not complete.exists():
        print(f"installing {' '.join(packages)} in {environment.name}", file=sys.stderr)
        try:
            _call(sys.executable, "-m", "venv", str(environment))
            _call(str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages)
        except (subprocess.SubprocessError, OSError) as error:
            reason = getattr(error, "stderr", None) or str(error)
            print(f"not installed: {reason.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        complete.touch()
    return environment / "bin" / program


def _call(*command: str) -> None:
    subprocess.run(command, check=True, timeout=_INSTALL_S, capture_output=True, text=True)


def prepare() -> None:
    """Make both, where they are not there yet."""
    mitmdump()
    ends()


if __name__ == "__main__":
    prepare()
