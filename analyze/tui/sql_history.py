"""The statements that were run on the SQL screen, kept over restarts; what looks like a secret is taken out."""

from __future__ import annotations

import json
from pathlib import Path

from analyze.tui.state_folder import state_file, write_state
from capture.redaction import redact_text

KEPT = 200
"""Statements that are kept, the newest."""
_LONGEST = 20_000


def default_path() -> Path:
    """Give the file that is shared by all roots."""
    return state_file("sql_history.jsonl")


class SqlHistory:
    """Statements, the oldest first, and where in them one stands while looking back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.statements = _read(path)
        self._at = len(self.statements)
        self._draft = ""

    def add(self, statement: str) -> None:
        """Keep a statement that was run, behind the others, once."""
        kept = redact_text(statement.strip())
        if not kept or len(kept) > _LONGEST:
            return
        self.statements = [*[other for other in self.statements if other != kept], kept][-KEPT:]
        self._at, self._draft = len(self.statements), ""
        self._write()

    def back(self, typed: str) -> str | None:
        """Give the statement before; what was typed waits after the last. None: there is no older one."""
        if self._at == 0:
            return None
        if self._at == len(self.statements):
            self._draft = typed
        self._at -= 1
        return self.statements[self._at]

    def forward(self) -> str | None:
        """Give the statement after, at last what was typed; None where that stands already."""
        if self._at >= len(self.statements):
            return None
        self._at += 1
        return self._draft if self._at == len(self.statements) else self.statements[self._at]

    def _write(self) -> None:
        write_state(self._path, "".join(f"{json.dumps(statement)}\n" for statement in self.statements))


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        statements = [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []
    return [statement for statement in statements if isinstance(statement, str)][-KEPT:]
