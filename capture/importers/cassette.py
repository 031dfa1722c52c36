"""Read cassettes of WebSocket sessions, as tests record them in YAML: a list of interactions; pure.

One is `{kind: message, direction: sent, data: {…}}`, or `{kind: close, code: 1000, reason: …}` (the form of the
realtime tests of pydantic-ai). Each is read as a line of JSON with these names is, in all of its spellings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import yaml

from capture.importers.damaged import Buffer, read_leniently
from capture.importers.jsonl import read_jsonl
from capture.importers.source import Item, SourceSession, Unreadable

_DEEPEST = 200
"""Composing a document takes C's stack: without a bound a hostile one would end the process."""
_MOST_VALUES = 2_000_000
"""Each takes some 400 bytes while a document is composed, also where it is written with two."""
_SCALARS = (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", [*"-+0123456789"]),
    (
        "float",
        r"([-+]?[0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        [*"-+0123456789."],
    ),
)
"""What stands without quotes and is no text in YAML 1.1 and 1.2 alike: writers of 1.2 leave `no` and `1:30` bare."""


class _Loader(yaml.CSafeLoader):
    """Takes what stands without quotes for what it is in JSON."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own name


for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)


def read_cassette(text: Buffer, start: int = 0) -> Iterator[SourceSession | Unreadable]:
    """Give the session of a cassette, and the interactions that cannot be read; `start` is behind a byte order mark."""
    try:
        interactions = _load(bytes(text[start:]))
    except _UnusableError as error:
        yield Unreadable("the cassette", str(error))
        return
    for found in read_jsonl(b"\n".join(map(_line, interactions))):
        yield _placed(found) if isinstance(found, Unreadable) else replace(found, items=partial(_items, found))


def _items(session: SourceSession) -> Iterator[Item]:
    return (_placed(item) if isinstance(item, Unreadable) else item for item in session.items())


def _placed(unreadable: Unreadable) -> Unreadable:
    return unreadable._replace(place=unreadable.place.replace("line", "interaction", 1))


class _UnusableError(Exception):
    """Why nothing of a cassette can be read."""


def _load(text: bytes) -> list[Any]:
    try:
        document = _document(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _UnusableError(f"it is no YAML that can be read{f' (line {mark.line + 1})' if mark else ''}") from error
    found = document.get("interactions") if isinstance(document, dict) else document
    if not isinstance(found, list):
        raise _UnusableError("it has no list of interactions")
    return found


def _document(text: bytes) -> Any:
    # JSON spells emoji as two escapes, which YAML refuses.
    document = read_leniently(text)
    if document is None:
        _check_harmless(text)
        document = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    return document


def _check_harmless(text: bytes) -> None:
    # A few aliases of aliases are gigabytes when they are written out.
    depth = documents = 0
    for count, event in enumerate(yaml.parse(text, _Loader)):
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise _UnusableError("it holds several documents: make a file of each")
        if count > _MOST_VALUES:
            raise _UnusableError(f"it holds more than {_MOST_VALUES:,} values")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _UnusableError("it is nested too deeply to be read")
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise _UnusableError(f"it uses an alias (line {line}): write out what it stands for")


def _line(interaction: Any) -> bytes:
    try:
        line = json.dumps(interaction, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        # What JSON does not know, such as bytes: named where the line is read.
        return b"?"
    return line.encode("utf-8", "surrogatepass")
