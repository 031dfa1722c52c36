from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from analyze.incidents_page import incidents_page, main
from analyze.signatures import GROUPS, load_signatures


def test_every_signature_has_a_row_in_its_group() -> None:
    page = incidents_page(load_signatures())
    sections = {part.partition("\n")[0].casefold(): part for part in page.split("\n## ")[1:]}
    for signature in load_signatures():
        assert f"| [`{signature.name}`](../analyze/sql/signatures/{signature.name}.sql) |" in sections[signature.group]
    assert [group for group in GROUPS if group in sections] == list(sections)


def test_text_of_a_header_cannot_break_the_table() -> None:
    signature = replace(load_signatures()[0], happened="a|b <script> *c* [d](e)")
    assert r"a\|b \<script\> \*c\* \[d\](e)" in incidents_page([signature])


def test_the_page_is_written_to_a_file(tmp_path: Path) -> None:
    main(tmp_path / "incidents.md")
    assert (tmp_path / "incidents.md").read_text(encoding="utf-8") == incidents_page(load_signatures())
