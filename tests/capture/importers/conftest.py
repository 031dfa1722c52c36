from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from capture.importers.importing import FileImport, Importer
from capture.recording.reader import RecordedMessage, open_recording
from capture.recording.root import Root

Json = dict[str, Any]
Imported = tuple[Json, list[RecordedMessage]]
"""A row of the sessions table, and the messages."""

CREATED = {"type": "session.created", "event_id": "event_1", "session": {"id": "sess_1", "model": "gpt-realtime"}}
UPDATE = {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"voice": "marin"}}}}


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.fixture
def import_text(tmp_path: Path, root: Root) -> Callable[..., FileImport]:
    """Write a file and import it."""

    def run(content: str | bytes, name: str = "log.jsonl", **options: Any) -> FileImport:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Importer(root, **options).import_file(path)

    return run


@pytest.fixture
def imported(import_text: Callable[..., FileImport], root: Root) -> Callable[..., list[Imported]]:
    """Write a file, import it, and read its sessions back."""

    def run(content: str | bytes, name: str = "log.jsonl", **options: Any) -> list[Imported]:
        done = import_text(content, name, **options)
        recordings = [open_recording(root, one.session_id) for one in done.sessions]
        return [(recording.session, list(recording.messages())) for recording in recordings]

    return run


def har(*entries: Json, creator: str = "WebInspector") -> Json:
    return {
        "log": {"version": "1.2", "creator": {"name": creator, "version": "537.36"}, "pages": [], "entries": entries}
    }


def contents(messages: Sequence[RecordedMessage]) -> list[str | bytes]:
    return [message.content for message in messages]
