"""The statements that were run on the SQL screen, kept over restarts; what looks like a secret is taken out."""

from __future__ import annotations

import json
from pathlib import Path

from analyze.tui.state_folder import StateFile, state_file
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
        self._file = StateFile(path)
        self.statements: list[str] = []
        self._look()
        self._at = len(self.statements)
        self._draft = ""

    def add(self, statement: str) -> None:
        """Keep a statement that was run, behind the others, once."""
        kept = redact_text(statement.strip())
        if not kept or len(kept) > _LONGEST:
            return
        self._look()
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

    def _look(self) -> None:
        # What another terminal has run since is kept.
        if (content := self._file.news()) is not None:
            self.statements = _read(content)

    def _write(self) -> None:
        self._file.write("".join(f"{json.dumps(statement)}\n" for statement in self.statements))


def _read(content: str) -> list[str]:
    try:
        statements = [json.loads(line) for line in content.splitlines()]
    except ValueError:
        return []
    return [statement for statement in statements if isinstance(statement, str)][-KEPT:]
