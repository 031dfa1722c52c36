"""Real wire logs of Realtime sessions, where the folder that holds them is present."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class LoggedMessage(NamedTuple):
    """One message of a wire log."""

    sender: str
    event: dict[str, Any]
    text: str
    offset_ns: int


WireLog = Callable[[str], list[LoggedMessage]]


@pytest.fixture
def wire_log(shared: Path) -> WireLog:
    """Give a reader of wire logs by name; the logs hold no times, so messages stand 10 ms apart."""

    def read(name: str) -> list[LoggedMessage]:
        lines = (shared / "fixtures" / f"{name}.jsonl").read_text().splitlines()
        return [_logged(json.loads(line), index * 10_000_000) for index, line in enumerate(lines)]

    return read


def _logged(line: dict[str, Any], offset_ns: int) -> LoggedMessage:
    sender = "client" if line["direction"] == "sent" else "server"
    return LoggedMessage(sender, line["data"], json.dumps(line["data"]), offset_ns)
