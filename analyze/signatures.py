"""Reads the signatures of `sql/signatures/*.sql`: a header that people read, and one SELECT that finds sessions.

A header is the comment block a file begins with, one field a line: `-- name: …`. A line that begins with `--` and
three blanks continues the field before it. `causes` and `sources` are lists, parted by semicolons; `replay` may come
several times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from capture.errors import WiretapeError

GROUPS = ("transcription", "response", "connection", "turn taking", "audio", "configuration")
CONFIDENCES = ("certain", "likely", "possible")
"""From the surest to the least sure."""

_NEEDED = ("name", "group", "happened", "confidence", "causes", "refuted by", "replay", "sources")
_REPEATED = "replay"
_FIELD = re.compile(r"-- ([a-z]+(?: [a-z]+)*):(?: (.*))?")
_CONTINUED = re.compile(r"--   +(\S.*)")


class SignatureBroken(WiretapeError):
    """A signature's file is not as it must be."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One named failure: how it is told apart, and what is known of it."""

    name: str
    group: str
    happened: str
    """What the rows show, in a sentence."""
    confidence: str
    """The highest that it gives."""
    causes: tuple[str, ...]
    refuted_by: str
    """The replay and its result that would refute it, in a sentence."""
    replays: tuple[str, ...]
    """Commands with `{session}`, `{target}` and `{another_transcription_model}` to be filled in."""
    sources: tuple[str, ...]
    sql: str
    """SELECT of findings; see `analyze.findings`."""


@cache
def load_signatures() -> tuple[Signature, ...]:
    """Read all signatures, by name; raises `SignatureBroken`."""
    found = (entry for entry in (files("analyze") / "sql" / "signatures").iterdir() if entry.name.endswith(".sql"))
    by_name = sorted(found, key=lambda entry: entry.name)
    return tuple(read_signature(entry.name, entry.read_text(encoding="utf-8")) for entry in by_name)


def read_signature(file_name: str, text: str) -> Signature:
    """Read one signature; raises `SignatureBroken` with the file and the line."""
    fields: dict[str, list[str]] = {}
    lines = text.splitlines()
    header_lines = next((n for n, line in enumerate(lines) if not line.startswith("--")), len(lines))
    for field, value in _fields(file_name, lines[:header_lines]):
        if field in fields and field != _REPEATED:
            raise SignatureBroken(f"{file_name}: `{field}` comes twice")
        fields.setdefault(field, []).append(value)
    missing = [field for field in _NEEDED if field not in fields]
    if missing:
        raise SignatureBroken(f"{file_name}: the header has no {', '.join(f'`{field}`' for field in missing)}")
    sql = "\n".join(lines[header_lines:]).strip().rstrip(";")
    return _checked(file_name, fields, sql)


def _fields(file_name: str, header: list[str]) -> Iterator[tuple[str, str]]:
    """Give the header's fields with their continuations joined."""
    field, parts = "", [""]
    for number, line in enumerate(header, start=1):
        continued, begun = _CONTINUED.fullmatch(line), _FIELD.fullmatch(line)
        if continued and field:
            parts.append(continued[1])
        elif begun and begun[1] in _NEEDED:
            if field:
                yield field, _joined(file_name, field, parts)
            field, parts = begun[1], [begun[2] or ""]
        else:
            known = ", ".join(_NEEDED)
            raise SignatureBroken(f"{file_name}:{number}: neither a field ({known}) nor its continuation: {line}")
    if field:
        yield field, _joined(file_name, field, parts)


def _joined(file_name: str, field: str, parts: list[str]) -> str:
    value = " ".join(part.strip() for part in parts if part.strip())
    if not value:
        raise SignatureBroken(f"{file_name}: `{field}` is empty")
    return value


def _checked(file_name: str, fields: dict[str, list[str]], sql: str) -> Signature:
    one = {field: values[0] for field, values in fields.items()}
    if f"{one['name']}.sql" != file_name:
        raise SignatureBroken(f"{file_name}: its name is {one['name']}; file and name must be the same")
    for field, allowed in (("group", GROUPS), ("confidence", CONFIDENCES)):
        if one[field] not in allowed:
            raise SignatureBroken(f"{file_name}: `{field}` is {one[field]}; it must be one of {', '.join(allowed)}")
    if not sql:
        raise SignatureBroken(f"{file_name}: there is no SELECT behind the header")
    return Signature(
        name=one["name"],
        group=one["group"],
        happened=one["happened"],
        confidence=one["confidence"],
        causes=_listed(one["causes"]),
        refuted_by=one["refuted by"],
        replays=tuple(fields[_REPEATED]),
        sources=_listed(one["sources"]),
        sql=sql,
    )


def _listed(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(";") if part.strip())
