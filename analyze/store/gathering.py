"""Scripts that gather temporary tables from all sessions, some of a root's files at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MAKES = "CREATE OR REPLACE TEMP TABLE "


@dataclass(frozen=True, slots=True)
class Script:
    """SQL of ours that gathers."""

    sql: str
    table: str | None = None
    """The large table that it reads: then it makes one table, of which each row comes from one session alone."""

    def statements(self, pieces: Sequence[Sequence[str]]) -> Iterator[tuple[Sequence[str], str]]:
        """Give for each of these pieces of a table's files what makes the table of it, or adds to it."""
        makes, _, rest = self.sql.partition(_MAKES)
        name, _, selects = rest.partition(" AS\n")
        for number, names in enumerate(pieces):
            yield names, f"{makes}INSERT INTO {name}\n{selects}" if number else self.sql
