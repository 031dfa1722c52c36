from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.tui.completion import complete

CATALOG = {
    "sessions": ("session_id", "region", "outcome"),
    "events": ("session_id", "seq", "type", "error_type"),
    "errors": ("session_id", "error_type"),
}


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("SELECT * FROM ", ("sessions", "events", "errors")),
        ("SELECT * FROM e", ("events", "errors")),
        ("SELECT * FROM sessions JOIN err", ("errors",)),
        ("SELECT * FROM sessions, ev", ("events",)),
        ("DESCRIBE s", ("sessions",)),
        ("SELECT s.|", ("session_id", "region", "outcome")),
        ("SELECT e.t| FROM events AS e", ("type",)),
        ("SELECT E.ty| FROM events e WHERE 1", ("type", "error_type")),
        ("SELECT regi| FROM sessions WHERE", ("region",)),
        ("SELECT ty| FROM events", ("type", "error_type")),
        ("SELECT type| FROM events", ()),
        ("SEL", ("SELECT",)),
        ("SELECT region FROM sessions ", ()),
    ],
)
def test_what_a_word_may_become(text: str, candidates: tuple[str, ...]) -> None:
    before, _, after = text.partition("|")
    catalog = CATALOG | {"s": CATALOG["sessions"]} if text == "SELECT s.|" else CATALOG
    assert complete(before + after, len(before), catalog).candidates[: len(candidates) or 1] == candidates


@given(st.text(alphabet="SELECT FROM sessions,.e_ \n'(-", max_size=60), st.data())
def test_any_place_in_any_text_has_an_answer(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    begin, candidates = complete(text, at, CATALOG)
    assert 0 <= begin <= at
    assert text[begin:at] not in candidates[:1]
    assert len(set(candidates)) == len(candidates)
