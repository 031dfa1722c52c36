"""What a half-typed SQL statement can go on with: tables after FROM, columns elsewhere; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_WORD = re.compile(r"(?:(\w+)\.)?(\w*)\Z")
_WANTS_TABLE = re.compile(r"\b(?:from|join|describe|summarize)\s+\Z|\bfrom\s+[\w\s,]*,\s*\Z", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(?:from|join)\s+(\w+)"
    r"(?:\s+(?:as\s+)?(?!(?:where|join|on|using|group|order|limit|left|inner|cross)\b)(\w+))?",
    re.IGNORECASE,
)
_KEYWORDS = (
    "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "JOIN", "LEFT JOIN", "USING", "DISTINCT",
    "COUNT", "FILTER", "SUM", "AVG", "MIN", "MAX", "MEDIAN", "ROUND", "QUANTILE_CONT", "DATE_TRUNC", "COALESCE", "CASE",
    "WHEN", "THEN", "ELSE", "END", "BETWEEN", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL", "DESC", "EXPLAIN",
)  # fmt: skip


class Completion(NamedTuple):
    """How a statement can go on."""

    begin: int
    """Where the word begins that is being typed, in characters."""
    candidates: tuple[str, ...]
    """What the word may become, the likeliest first."""


def complete(text: str, at: int, catalog: Mapping[str, Sequence[str]]) -> Completion:
    """Say what the word before a place may become; `catalog` holds tables with their columns."""
    before = text[:at]
    found = _WORD.search(before)
    qualifier, word = (found[1], found[2]) if found else (None, "")
    begin = at - len(word)
    named = _tables_named(text, catalog)
    if qualifier is not None:
        table = named.get(qualifier.casefold(), qualifier.casefold())
        return Completion(begin, _fitting(word, catalog.get(table, ())))
    if _WANTS_TABLE.search(before[:begin]):
        return Completion(begin, _fitting(word, catalog))
    if not word:
        return Completion(begin, ())
    columns = [column for table in named.values() for column in catalog[table]]
    return Completion(begin, _fitting(word, [*columns, *catalog, *_KEYWORDS]))


def _tables_named(text: str, catalog: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Give the tables that a statement asks, by name and by alias."""
    named: dict[str, str] = {}
    for table, alias in _NAMED.findall(text):
        if table.casefold() in catalog:
            named[(alias or table).casefold()] = table.casefold()
    return named


def _fitting(word: str, names: Iterable[str]) -> tuple[str, ...]:
    wanted = word.casefold()
    # Once each, as they come: a table's columns have an order that means something.
    distinct = dict.fromkeys(names)
    heads = [name for name in distinct if name.casefold().startswith(wanted)]
    inside = [name for name in distinct if len(wanted) > 1 and wanted in name.casefold() and name not in heads]
    found = tuple(heads + inside)
    # A word that is written out needs no help.
    return () if found == (word,) or (found and found[0] == word) else found
