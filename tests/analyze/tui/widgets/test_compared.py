from __future__ import annotations

from typing import Any

from analyze.tui.lines import plain, width_of
from analyze.tui.widgets.compared import Compared


def test_two_stand_over_their_columns_and_more_in_a_line_each(source: Any) -> None:
    compared = Compared()
    compared.show(source.listed[:2])
    left, right = plain(compared.lines_at(160)[0]).split("│")
    assert source.listed[0].session_id in left
    assert source.listed[1].session_id in right
    compared.show(source.listed[:8])
    lines = [plain(line) for line in compared.lines_at(120)]
    assert len(lines) == 8
    assert lines[0].startswith(f"   1 ▲ {source.listed[0].session_id}")
    assert "baseline" in lines[0]
    assert lines[1].startswith(" › 2")
    assert all(width_of(line) <= 120 for line in compared.lines_at(120))
