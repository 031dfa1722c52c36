"""What people may type into the SQL console, and what they are told where it does not run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from capture.errors import UsageProblem

_LEADING_COMMENTS = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_PRAGMA = re.compile(_LEADING_COMMENTS + r"PRAGMA\b", re.IGNORECASE | re.DOTALL)
_EXPLAIN = re.compile(
    r"(" + _LEADING_COMMENTS + r"EXPLAIN\s+(?:ANALYZE\s+)?(?:\(\s*(?:ANALYZE|FORMAT\s+\w+|\s|,)*\)\s*)?)(.*)",
    re.IGNORECASE | re.DOTALL,
)
_ONLY_READING = "only one SELECT or EXPLAIN at a time can be run here: recordings are never changed by a query"


@dataclass(frozen=True, slots=True)
class ConsoleResult:
    """What a statement of the SQL console gave."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False
    """There was more than was asked for."""


def guard(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Check that a text is one reading statement, and wrap it so that the engine holds it to that.

    A statement type of SELECT is not enough: from DuckDB 2.0 on `WITH x AS (COPY … TO 'file') SELECT …` is one,
    and it writes. The engine allows that at the top level only; inside a subquery it refuses.
    """
    prefix, query = "", _one_statement(connection, sql, (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN))
    explained = _EXPLAIN.fullmatch(query)
    if explained is not None:
        # EXPLAIN ANALYZE runs what it explains.
        prefix, rest = explained.groups()
        query = _one_statement(connection, rest, (duckdb.StatementType.SELECT,))
    return f"{prefix}SELECT * FROM (\n{query}\n)"  # noqa: S608 - it is what this is for


def _one_statement(connection: duckdb.DuckDBPyConnection, sql: str, allowed: Sequence[duckdb.StatementType]) -> str:
    statements = connection.extract_statements(sql)
    # Some PRAGMAs are rewritten to a SELECT before their type can be asked.
    if len(statements) != 1 or statements[0].type not in allowed or _PRAGMA.match(sql):
        raise UsageProblem(_ONLY_READING)
    return _without_semicolon(statements[0].query)


def _without_semicolon(statement: str) -> str:
    """Cut a statement at its closing semicolon, which comments may follow."""
    tokens = [at for at, kind in duckdb.tokenize(statement) if kind != duckdb.token_type.comment]
    encoded = statement.encode()
    while tokens and encoded[tokens[-1] : tokens[-1] + 1] == b";":
        encoded = encoded[: tokens.pop()]
    return encoded.decode()


TokenKind = Literal["identifier", "number", "string", "operator", "keyword", "comment"]
_KINDS: dict[str, TokenKind] = {
    "identifier": "identifier",
    "numeric_const": "number",
    "string_const": "string",
    "operator": "operator",
    "keyword": "keyword",
    "comment": "comment",
}


def sql_tokens(sql: str) -> list[tuple[int, TokenKind]]:
    """Cut a text into the tokens that the engine reads: where each begins, in bytes of UTF-8, and what it is.

    Any text may be given, such as a statement that is half typed.
    """
    try:
        sql.encode()
        return [(at, _KINDS[kind.name]) for at, kind in duckdb.tokenize(sql)]
    except (duckdb.Error, UnicodeEncodeError):
        return []


def sql_problem(error: duckdb.Error) -> str:
    """Say what is wrong with a statement in one sentence, and show the place."""
    if isinstance(error, duckdb.InterruptException):
        return "broken off: nothing was read to its end"
    if "'pytz'" in str(error):
        # The engine's client asks for a library of its own to hand these over.
        return "this SQL cannot be run: its answer holds a time with a zone; cast it, as in now()::TIMESTAMP"
    first, _, rest = str(error).partition("\n")
    place = re.search(r"^LINE (\d+): (.*)\n( *\^+)", rest, re.MULTILINE)
    # Not a table of ours that holds no row: its name begins with a line.
    candidates = re.search(r'^(Candidate bindings|Did you mean (?!"_)).*', rest, re.MULTILINE)
    sentence = f"this SQL cannot be run: {first.strip()}"
    if candidates:
        sentence += f" {candidates[0].strip()}"
    if "Malformed JSON" in first:
        # One payload that is no JSON for the engine, as with half an emoji, would hide all others.
        sentence += " … TRY(payload->>'x') gives NULL there, and WHERE json_valid(payload) passes over it"
    if place is None:
        return sentence
    label = f"LINE {place[1]}: "
    return f"{sentence}\n  {place[2]}\n  {place[3][len(label) :]}"
