from __future__ import annotations

import json
from pathlib import Path

import pytest

from capture.importers.event_types import sender_of


@pytest.mark.parametrize(
    ("event_type", "sender"),
    [
        ("input_audio_buffer.append", "client"),
        ("input_audio_buffer.committed", "server"),
        ("response.create", "client"),
        ("response.created", "server"),
        ("conversation.item.create", "client"),
        ("conversation.item.added", "server"),
        ("session.start", "client"),
        ("session.started", "server"),
        ("session.input_audio.append", "client"),
        ("session.output_audio.delta", "server"),
        ("input_audio.turn.append", "client"),
        ("ping", None),
        ("", None),
    ],
)
def test_the_type_tells_the_sender(event_type: str, sender: str | None) -> None:
    assert sender_of(event_type) == sender


def test_no_real_session_says_otherwise(shared: Path) -> None:
    wrong = set()
    for path in (shared / "fixtures").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            told = {"sent": "client", "received": "server"}[message["direction"]]
            if sender_of(message["data"]["type"]) not in (told, None):
                wrong.add(message["data"]["type"])
    assert wrong == set()
