"""Writes docs/incidents.md from the headers of the signatures: `python -m analyze.incidents_page docs/incidents.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from analyze.signatures import GROUPS, Signature, load_signatures

_LEAD = """\
# Incidents that are named

What `wiretape analyze` knows by name. A finding rests on rows of the recording, states how sure it is, and names the
replay that would refute it; `wiretape analyze explain SESSION` shows all of that for one session. A failure that
none of these accounts for is shown under its failure key, first, and under no name.

*certain*: the endpoint said so. *likely*: the rows fit, and the look-alikes were ruled out. *possible*: the rows fit,
and so would something else. The table gives the highest that a signature claims.

Each row is a file in [`analyze/sql/signatures`](../analyze/sql/signatures). This page is written from their headers by
`make docs`.
"""
_HEAD = """\
| name | what happened | confidence | usual causes | refuted if | sources |
|---|---|---|---|---|---|
"""
# What Markdown would act on, in text that is not Markdown.
_ACTIVE = re.compile(r"([\\|*_`<>\[\]])")


def incidents_page(signatures: Iterable[Signature]) -> str:
    """Write the page: a table for each group, in the order of the groups."""
    known = list(signatures)
    return _LEAD + "".join(_group(group, [each for each in known if each.group == group]) for group in GROUPS)


def _group(group: str, signatures: list[Signature]) -> str:
    if not signatures:
        return ""
    return f"\n## {group.capitalize()}\n\n{_HEAD}" + "".join(map(_row, signatures))


def _row(signature: Signature) -> str:
    return "| " + " | ".join(_cells(signature)) + " |\n"


def _cells(signature: Signature) -> Iterator[str]:
    yield f"[`{signature.name}`](../analyze/sql/signatures/{signature.name}.sql)"
    yield _plain(signature.happened)
    yield signature.confidence
    yield "<br>".join(map(_plain, signature.causes))
    yield _plain(signature.refuted_by)
    yield "<br>".join(map(_plain, signature.sources))


def _plain(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", text)


def main(path: Path) -> None:
    """Write the page to a file."""
    path.write_text(incidents_page(load_signatures()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
