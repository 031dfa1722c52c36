"""Read what command lines are given as text: settings, and addresses to listen on."""

from __future__ import annotations

import json
from typing import Any

from capture.errors import UsageProblem


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


def parse_listen(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`, `[IPv6]:PORT` or `PORT`; raises `UsageProblem`."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageProblem(f"--listen takes HOST:PORT, such as 127.0.0.1:8765, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)
