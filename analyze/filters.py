"""Read what people type to pick sessions: `region:eastus2 outcome:failed since:2h whisper*`.

Terms are separated by spaces, all must hold; quotes keep spaces together.
`field:value` compares without regard to case, `*` stands for anything, `a,b` for either, `-` in front for the
opposite; numbers take `>`, `>=`, `<`, `<=`. `finding:NAME` asks what the signatures found. `since:` and `until:` take
a span (`90s`, `30m`, `2h`, `7d`) or a UTC time, and `until:` a day alone takes in all of it; `tag:name=value` looks at
tags; a bare word is looked for in every text of the session. `field!=value` is `-field:value`, `note:word` looks at the
notes that were given later.
Behind a term that begins with `=` stands SQL: a condition on the sessions view, or a SELECT of session ids.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from analyze.signatures import load_signatures
from capture.errors import UsageProblem

TEXT_FIELDS = (
    "session_id",
    "role",
    "target",
    "provider",
    "region",
    "host",
    "url",
    "dialect",
    "model",
    "model_echoed",
    "transcription_model",
    "transcription_model_echoed",
    "voice",
    "turn_detection",
    "input_format",
    "output_format",
    "server_session_id",
    "conversation_key",
    "user_agent",
    "close_reason",
    "closed_by",
    "end_reason",
    "run_id",
    "replay_of",
    "cell",
    "trial_kind",
    "trial_outcome",
    "first_error",
    "outcome",
)
NUMBER_FIELDS = (
    "duration_ms",
    "handshake_status",
    "close_code",
    "block",
    "trial",
    "events_sent",
    "events_received",
    "turns",
    "audio_in_ms",
    "audio_out_ms",
    "input_tokens",
    "output_tokens",
    "errors",
    "lost_bytes",
)
ALIASES = {
    "session": "session_id",
    "transcription": "transcription_model",
    "run": "run_id",
    "error": "first_error",
    "duration": "duration_ms",
    "close": "close_code",
    "status": "handshake_status",
}
OTHER_FIELDS = ("failure", "finding", "tag", "note", "complete", "since", "until")

_TERM = re.compile(r"(-?)([A-Za-z_]+)(:|!=)(.*)", re.DOTALL)
_SQL = re.compile(r"""((?!\s*=)(?:[^\s'"]|'[^']*'|"[^"]*"|\s(?!\s*=))*|)(?:(?:^|\s)\s*=(.*))?""", re.DOTALL)
"""What stands before a term that begins with `=`, and the SQL behind it; what is quoted is passed over."""
_NUMBER = re.compile(r"(>=|<=|>|<|=)?(-?\d+(?:\.\d+)?)")
_SPAN = re.compile(r"(\d+)([smhd])")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SPAN_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_Condition = tuple[str, list[Any]]
BySql = Callable[[str], Collection[str]]
"""Gives the session ids that a SELECT gives; raises `UsageProblem` where it does not run."""
Found = Callable[[], Mapping[str, Collection[str]]]
"""Gives for each name that signatures found the sessions it was found in; asked only where a filter asks for it."""


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """A condition on the rows of the sessions view."""

    sql: str
    """What stands behind WHERE, with `?` for each parameter."""
    params: tuple[Any, ...]


def _no_sql(statement: str) -> Collection[str]:
    raise UsageProblem(f"SQL cannot be asked here: {statement}")


def read_filter(
    text: str, *, now: datetime | None = None, found: Found = dict, by_sql: BySql = _no_sql
) -> SessionFilter:
    """Read a filter; empty text matches every session. `found` answers `finding:`, `by_sql` what stands behind `=`.

    Raises `UsageProblem` naming the term that does not read.
    """
    words, condition = split_sql(text)
    try:
        text.encode()
        terms = shlex.split(words)
    # Half a character, as a bad paste leaves it, is a ValueError too.
    except ValueError as error:
        raise UsageProblem(f"the filter {text!r} does not read: {error}") from error
    conditions = [_read_term(term, now or datetime.now(UTC), found) for term in terms]
    if condition:
        conditions.append(_one_of(by_sql(_statement(condition))))
    sql = " AND ".join(f"({sql})" for sql, _ in conditions) or "TRUE"
    return SessionFilter(sql, tuple(param for _, params in conditions for param in params))


def split_sql(text: str) -> tuple[str, str]:
    """Split a filter into its terms and the SQL behind the first term that begins with `=`; empty where none does."""
    match = _SQL.fullmatch(text)
    return (text, "") if match is None else (match[1], (match[2] or "").strip())


def narrowed(text: str, term: str) -> str:
    """Narrow a filter by one more term."""
    # In front: what stands behind `=` goes on to the end.
    return f"{term} {text}".strip()


def runs_of(text: str) -> tuple[str, ...]:
    """Name the runs that a filter asks for by `run:A,B`, and by `tag:run=NAME` the sessions that were tagged as one."""
    named: list[str] = []
    for term in _terms(text):
        match = _TERM.fullmatch(term)
        if match is None or (match[1], match[3]) != ("", ":"):
            continue
        field, value = match[2].lower(), match[4]
        if ALIASES.get(field, field) == "run_id":
            named += value.split(",")
        elif field == "tag" and value.startswith("run="):
            named.append(value.removeprefix("run="))
    return tuple(name for name in named if name and "*" not in name)


def _terms(text: str) -> list[str]:
    try:
        return shlex.split(split_sql(text)[0])
    except ValueError:
        return []


def is_open(text: str) -> bool:
    """Tell whether a filter is still being typed: a field waits for its value, or SQL stands in it."""
    return text.endswith((":", "!=")) or split_sql(text)[1] != ""


def _statement(condition: str) -> str:
    if re.match(r"(SELECT|WITH|FROM)\b", condition, re.IGNORECASE):
        return f"SELECT session_id FROM (\n{condition}\n)"  # noqa: S608 - the console runs nothing but a SELECT
    # On a line of its own, so that a comment ends before the parenthesis.
    return f"SELECT session_id FROM sessions WHERE (\n{condition}\n)"  # noqa: S608


def _read_term(term: str, now: datetime, found: Found) -> _Condition:
    match = _TERM.fullmatch(term)
    if match is None:
        return _anywhere(term)
    minus, name, sign, value = match.groups()
    name = ALIASES.get(name.lower(), name.lower())
    sql, params = _finding(value, found) if name == "finding" else _read_field(name, value, now)
    is_unwanted = (minus == "-") != (sign == "!=")
    # NULL is no match, so it is a match of the opposite.
    return (f"NOT COALESCE({sql}, FALSE)", params) if is_unwanted else (sql, params)


def _read_field(name: str, value: str, now: datetime) -> _Condition:
    if name in TEXT_FIELDS:
        return _any_of(name, value)
    if name in NUMBER_FIELDS:
        return _number(name, value)
    if name == "since":
        return "started_at >= ?", [_read_time(value, now)]
    if name == "until":
        return _until(value, now)
    if name == "complete":
        return "complete = ?", [_yes_or_no(value)]
    if name == "failure":
        return "list_bool_or(list_transform(failure_keys, lambda key: key ILIKE ? ESCAPE '\\'))", [_pattern(value)]
    if name == "tag":
        return _tag(value)
    if name == "note":
        return "array_to_string(notes, CHR(10)) ILIKE ? ESCAPE '\\'", [_pattern(f"*{value}*")]
    known = [*TEXT_FIELDS, *NUMBER_FIELDS, *ALIASES, *OTHER_FIELDS]
    nearest = get_close_matches(name, known, n=3) or ["region", "model", "outcome"]
    raise UsageProblem(f"sessions have no field {name!r} to filter by; nearest are {', '.join(nearest)}")


def _any_of(name: str, value: str) -> _Condition:
    choices = value.split(",")
    sql = " OR ".join(f"{name} ILIKE ? ESCAPE '\\'" for _ in choices)
    return f"COALESCE({sql}, FALSE)", [_pattern(choice) for choice in choices]


def _yes_or_no(value: str) -> bool:
    said = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(value.lower())
    if said is None:
        raise UsageProblem(f"complete:{value} does not read: give complete:yes or complete:no")
    return said


def _number(name: str, value: str) -> _Condition:
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise UsageProblem(f"{name}:{value} does not read: give a number, such as {name}:3 or {name}:>3")
    return f"{name} {match[1] or '='} ?", [float(match[2])]


def _until(value: str, now: datetime) -> _Condition:
    # Without a time of day it is the day that is meant, not the midnight that it begins with.
    sql = "started_at < CAST(? AS TIMESTAMP) + INTERVAL 1 DAY" if _DAY.fullmatch(value) else "started_at <= ?"
    return sql, [_read_time(value, now)]


def _finding(value: str, found: Found) -> _Condition:
    patterns = [_names_like(choice) for choice in value.split(",")]
    names = [signature.name for signature in load_signatures()]
    for choice, pattern in zip(value.split(","), patterns, strict=True):
        if not any(pattern.fullmatch(name) for name in names):
            begun = [name for name in names if choice and name.startswith(choice)]
            nearest = begun[:3] or get_close_matches(choice.strip("*"), names, n=3, cutoff=0.3) or names[:3]
            raise UsageProblem(f"no signature is named {choice!r}; nearest are {', '.join(nearest)}")
    matching = [ids for name, ids in found().items() if any(pattern.fullmatch(name) for pattern in patterns)]
    return _one_of({session_id for ids in matching for session_id in ids})


def _one_of(session_ids: Collection[str]) -> _Condition:
    return "session_id IN (SELECT UNNEST(CAST(? AS VARCHAR[])))", [sorted(session_ids)]


def _names_like(choice: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, choice.split("*"))), re.IGNORECASE)


def _tag(value: str) -> _Condition:
    name, _, wanted = value.partition("=")
    # Absent tags give NULL in one version of DuckDB and an empty list in another; both mean no match.
    if not wanted:
        return "list_contains(map_keys(tags), ?)", [name]
    return "CAST(tags[?] AS VARCHAR) ILIKE ? ESCAPE '\\'", [name, _pattern(wanted)]


def _anywhere(word: str) -> _Condition:
    pattern = _pattern(f"*{word}*")
    texts = ", ".join(TEXT_FIELDS)
    keys = "array_to_string(failure_keys, ' ')"
    said = "CAST(tags AS VARCHAR), array_to_string(notes, ' ')"
    return f"CONCAT_WS(' ', {texts}, {keys}, {said}) ILIKE ? ESCAPE '\\'", [pattern]


def _pattern(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def _read_time(value: str, now: datetime) -> datetime:
    """Read a span back from now or a UTC time, as a naive UTC time, which is what the views hold."""
    span = _SPAN.fullmatch(value)
    try:
        if span is not None:
            at = now - timedelta(**{_SPAN_UNITS[span[2]]: int(span[1])})
        else:
            at = datetime.fromisoformat(value)
        return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    except (ValueError, OverflowError):
        raise UsageProblem(
            f"{value!r} is no time: give a span such as 2h, or a UTC time such as 2026-02-12T08:30"
        ) from None
