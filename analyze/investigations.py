"""Saved questions in SQL, `sql/investigations/*.sql`: a title, what to know of the answer, one SELECT.

The first comment line is the title; the comment lines after it say what a reader of the answer has to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from capture.errors import UsageProblem

_COMMENT = "-- "


@dataclass(frozen=True, slots=True)
class Investigation:
    """One saved question."""

    name: str
    """The name of its file."""
    title: str
    note: str
    """What to know of the answer; empty where the title says it all."""
    text: str
    """The whole file: what an editor begins with."""


@cache
def load_investigations() -> tuple[Investigation, ...]:
    """Read all saved questions, by name."""
    found = (entry for entry in (files("analyze") / "sql" / "investigations").iterdir() if entry.name.endswith(".sql"))
    by_name = sorted(found, key=lambda entry: entry.name)
    return tuple(read_investigation(entry.name[:-4], entry.read_text(encoding="utf-8")) for entry in by_name)


def read_investigation(name: str, text: str) -> Investigation:
    """Read one saved question; raises `UsageProblem` where it has no title."""
    comments: list[str] = []
    for line in text.splitlines():
        if not line.startswith(_COMMENT):
            break
        comments.append(line.removeprefix(_COMMENT).strip())
    if not comments:
        raise UsageProblem(f"{name}.sql has no title: begin it with a line `-- TITLE`")
    return Investigation(name, comments[0], " ".join(comments[1:]), text)


def find_investigation(name: str) -> Investigation:
    """Give a saved question by its name, or a unique prefix of it; raises `UsageProblem` naming the nearest."""
    known = {investigation.name: investigation for investigation in load_investigations()}
    matches = [each for each in known if each.startswith(name)] if name else []
    if name in known or len(matches) == 1:
        return known[name if name in known else matches[0]]
    near = matches or get_close_matches(name, known, n=3, cutoff=0.3) or list(known)
    raise UsageProblem(f"there is no investigation {name!r}; nearest are {', '.join(near)}")
