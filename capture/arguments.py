"""Read what command lines are given as text: settings, and addresses to listen on."""

from __future__ import annotations

import ipaddress
import json
import math
import re
import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

from capture.errors import UsageProblem
from capture.masking import masks_of

_PATIENCE_CPU_S = 1.0
# What regular expressions that backtrack without end are known to fail on.
_PROBES = tuple(
    piece * (500 // len(piece)) + end for piece in ("a", "1", " ", "a ", "a.", "1-", "ab1 ") for end in "!@"
)


def parse_setting(text: str) -> tuple[str, Any]:
    """Read `PATH=JSON`; what is no JSON is taken as a string. Raises `UsageProblem` without a path."""
    path, separator, value = text.partition("=")
    if not separator or not path.strip():
        raise UsageProblem(f"{text!r} sets nothing: write PATH=VALUE, such as session.audio.output.voice=marin")
    return path.strip(), parse_value(value)


def parse_value(text: str) -> Any:
    """Read a value: JSON, or else a bare string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_values(listed: str) -> list[Any]:
    """Read values with commas between them: JSON, or else bare strings."""
    try:
        values: list[Any] = json.loads(f"[{listed}]")
    except ValueError:
        return [parse_value(value.strip()) for value in listed.split(",")]
    return values


def parse_listen(text: str, option: str = "--listen") -> tuple[str, int]:
    """Read `HOST:PORT`, `[IPv6]:PORT` or `PORT`; raises `UsageProblem`, which names the option."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or not _may_be_host(host):
        raise UsageProblem(f"{option} takes HOST:PORT, such as 127.0.0.1:8765, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _may_be_host(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether a host to listen on is of this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_speed(text: str) -> float:
    """Read `--speed`: a number above 0, or `max`; raises `UsageProblem`."""
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise UsageProblem(f"--speed takes a number above 0, or max, not {text!r}")
    return speed


def check_seconds(option: str, seconds: float, most_s: float = math.inf) -> float:
    """Give the seconds of an option; raises `UsageProblem` for what is no time, or more than `most_s`."""
    if not 0 <= seconds <= most_s:
        limit = "" if most_s == math.inf else f" up to {most_s:.0f}"
        raise UsageProblem(f"{option} takes seconds, 0 or more{limit}, not {seconds:g}")
    return seconds


def parse_redactions(texts: Sequence[str]) -> list[str]:
    """Read the values of `--redact`: `transcripts,audio`, the name of a pattern, or `/REGEX/`.

    Only names are split at commas: a regular expression may hold some. Raises `UsageProblem` for what is none
    of these, for an expression that would not come to an end, and for an empty rule.
    """
    rules: list[str] = []
    for text in texts:
        rules += [text] if text.startswith("/") else [part.strip() for part in text.split(",")]
    if "" in rules:
        # Of a variable that is not set. Going on, all would be kept that was meant to go.
        raise UsageProblem(
            "--redact has an empty rule, as of a variable that is not set: name what must not be kept, such as"
            " transcripts,audio, or leave it out"
        )
    for rule in rules:
        masks = masks_of([rule])
        for pattern in masks.patterns:
            _check_ends(rule, pattern)
    return list(dict.fromkeys(rules))


def _check_ends(rule: str, pattern: re.Pattern[str]) -> None:
    # A program that calls `record(redact=…)` in a thread: only the main one may look for signals.
    if threading.current_thread() is not threading.main_thread():
        return

    def give_up(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        raise UsageProblem(f"--redact {rule} takes too long to search: avoid repeats within repeats, as in (a+)+")

    # The `re` module looks for signals while it searches, and has no time limit of its own.
    before = signal.signal(signal.SIGVTALRM, give_up)
    left_s, interval_s = signal.setitimer(signal.ITIMER_VIRTUAL, _PATIENCE_CPU_S)
    try:
        for probe in _PROBES:
            pattern.search(probe)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before or signal.SIG_DFL)
        # A profiler's, in a program that records its own connections.
        signal.setitimer(signal.ITIMER_VIRTUAL, left_s, interval_s)
