"""How a filter that is being typed can go on: names of fields, then their values; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from analyze.answers import Facet
from analyze.filters import ALIASES, NUMBER_FIELDS, OTHER_FIELDS, TEXT_FIELDS, split_sql
from analyze.signatures import load_signatures

_LAST_WORD = re.compile(r"""(?:[^\s'"]|'[^']*(?:'|\Z)|"[^"]*(?:"|\Z))*\Z""")
_TERM = re.compile(r"([A-Za-z_]+)(:|!=)(.*)", re.DOTALL)
_USUAL = ("region", "outcome", "model", "transcription", "target", "finding", "tag", "note", "since", "run", "turns")
_SPANS = ("15m", "1h", "2h", "24h", "7d")
LONGEST_VALUE = 1000
"""Characters: a field that holds megabytes cannot be typed in any more."""
CHOICES = 8
"""How many ways are offered."""


class Way(NamedTuple):
    """One way for the text to go on."""

    label: str
    """What is offered: a field with its colon, or a value."""
    text: str
    """The whole text then."""


def values_of(facets: Iterable[Facet]) -> dict[str, list[str]]:
    """Give the values of each field that can be told, the most frequent first."""
    values: dict[str, list[str]] = {
        "since": [*_SPANS],
        "until": [*_SPANS],
        "complete": ["true", "false"],
        "finding": [],
    }
    for facet in facets:
        values.setdefault(facet.field, []).append(facet.value)
    known = [signature.name for signature in load_signatures()]
    values["finding"] += [name for name in known if name not in values["finding"]]
    return values


def ways(text: str, values: Mapping[str, Sequence[str]]) -> list[Way]:
    """Give the ways in which the last term can go on, the likeliest first; none behind SQL."""
    if split_sql(text)[1] or text.endswith(("'", '"')):
        return []
    match = _LAST_WORD.search(text)
    word = match[0] if match else ""
    before = text[: len(text) - len(word)]
    sign, bare = ("-", word[1:]) if word.startswith("-") else ("", word)
    term = _TERM.fullmatch(bare.lstrip("'\""))
    if term is None:
        return [Way(f"{name}:", f"{before}{sign}{name}:") for name in _fields(bare)] if bare else []
    name, operator, typed = term.groups()
    before_value, _, last = typed.rpartition(",")
    kept = f"{before_value}," if before_value else ""
    offered = _fitting(last, values.get(ALIASES.get(name.lower(), name.lower()), ()))
    return [Way(value, f"{before}{sign}{quoted(f'{name}{operator}{kept}{value}')}") for value in offered]


def quoted(term: str) -> str:
    """Put a term in quotes where it has spaces or quotes of its own."""
    if not re.search(r"[\s'\"\\]", term):
        return term
    return "'" + term.replace("'", "'\"'\"'") + "'"


def term_of(field: str, value: str) -> str | None:
    """Write the term that picks a value; None where none can. Case is the one thing that a filter does not tell."""
    return quoted(f"{field}:{value}") if can_be_typed(value) else None


def can_be_typed(value: str) -> bool:
    """Tell whether a value can stand in a filter: without signs of the filter's own, and no longer than a line is."""
    return len(value) <= LONGEST_VALUE and not set(value) & set(",*")


def _fields(begun: str) -> list[str]:
    names = dict.fromkeys([*_USUAL, *ALIASES, *TEXT_FIELDS, *NUMBER_FIELDS, *OTHER_FIELDS])
    return [name for name in names if name.startswith(begun.lower())][:CHOICES]


def _fitting(begun: str, known: Sequence[str]) -> list[str]:
    wanted = begun.casefold()
    heads = [value for value in known if value.casefold().startswith(wanted)]
    inside = [value for value in known if wanted and wanted in value.casefold() and value not in heads]
    found = [value for value in [*heads, *inside] if can_be_typed(value)]
    # A value that is written out needs no help.
    return [] if found and found[0].casefold() == wanted else found[:CHOICES]
