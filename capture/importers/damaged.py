"""Find the values of a JSON text that is damaged or cut off; pure.

Only brackets and strings are looked at, so a fault within one element leaves those before and behind it readable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from mmap import mmap
from typing import Any

import msgspec

Buffer = bytes | mmap

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[\[\]{},]', re.DOTALL)
_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[\[\]{}]', re.DOTALL)
_WITHIN_STRING = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)
_BLANK = re.compile(rb"[ \t\r\n]*")


def elements(text: Buffer, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Give begin and end of each element of the array whose `[` stands at `start`, and whether it is there whole.

    Ends at the array's `]`, or at `end` with an element that is not whole.
    """
    depth, begin, at = 0, start + 1, start + 1
    for token in _TOKEN.finditer(text, start + 1, end):
        mark, at = token[0][:1], token.end()
        if mark == b'"':
            if not token[1]:
                # A string without an end swallows everything.
                at = end
                break
        elif mark in b"[{":
            depth += 1
        elif mark == b",":
            if depth == 0:
                yield begin, token.start(), True
                begin = at
        elif depth:
            depth -= 1
        else:
            if not is_blank(text, begin, token.start()):
                yield begin, token.start(), True
            return
    if not is_blank(text, begin, end):
        yield begin, end, False


def end_of_array(text: Buffer, start: int, end: int) -> int | None:
    """Give the place behind the `]` of the array whose `[` stands at `start`; None where it has none before `end`."""
    depth = 0
    for token in _BRACKET.finditer(text, start, end):
        mark = token[0][:1]
        depth += (mark in b"[{") - (mark in b"]}")
        if depth == 0 or (mark == b'"' and not token[1]):
            return token.end() if depth == 0 else None
    return None


def is_blank(text: Buffer, start: int, end: int) -> bool:
    """Tell whether nothing but blanks stands there."""
    return _BLANK.fullmatch(text, start, end) is not None


def member(text: Buffer, name: str, opening: str, start: int, end: int) -> int | None:
    """Find a key's value that is an object or an array, by its opening bracket; None where there is none."""
    found = re.compile(rb'"%b"\s*:\s*%b' % (name.encode(), re.escape(opening.encode()))).search(text, start, end)
    return found.end() - 1 if found else None


def object_of(text: Buffer, name: str, start: int, end: int) -> dict[str, Any]:
    """Read the first object of a name; empty where there is none that is whole."""
    at = member(text, name, "{", start, end)
    if at is None:
        return {}
    depth = 0
    for token in _TOKEN.finditer(text, at, end):
        mark = token[0][:1]
        depth += (mark in b"[{") - (mark in b"]}")
        if depth == 0:
            try:
                found = msgspec.json.decode(text[at : token.end()])
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}


def read_leniently(text: bytes) -> Any:
    """Read JSON that holds lone surrogates or NaN, which the standard library reads; None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def compact(text: bytes) -> bytes:
    """Take the blanks between the tokens of a JSON text away; order, numbers and strings stay as they are spelled."""
    return _WITHIN_STRING.sub(lambda found: found[1] or b"", text)
