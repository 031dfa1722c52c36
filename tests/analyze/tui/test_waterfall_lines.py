from __future__ import annotations

from dataclasses import replace

import pytest

from analyze.answers import Turn
from analyze.tui.lines import plain, width_of
from analyze.tui.waterfall_lines import waterfall_lines


@pytest.mark.parametrize("width", [70, 76, 196])
def test_the_bars_of_all_turns_share_one_scale(turn: Turn, hostile: str, width: int) -> None:
    fast = replace(turn, number=2, transcription="completed", transcript=hostile, response_done_ms=4721.0)
    lines = waterfall_lines([turn, fast], width)
    assert all(width_of(line) <= width for line in lines)
    bars = [plain(line) for line in lines if plain(line).startswith("  done")]
    slow_end, fast_end = (bar.rstrip().rindex("█") for bar in bars)
    # 1,461 ms of 2,921: half of the way.
    assert fast_end - 41 == pytest.approx((slow_end - 41) / 2, abs=2)


def test_every_step_says_when_and_since_the_last(turn: Turn) -> None:
    lines = [" ".join(plain(line).replace("█", "").split()) for line in waterfall_lines([turn], 80)]
    assert lines[2:7] == ["turn 1", "end of speech 0 │", "commit 142 +142", "first audio 611 +469", "done 2,921 +2,310"]
    assert lines[7] == "✕ the transcription failed 512 ms after the commit"


def test_medians_over_the_turns(turn: Turn) -> None:
    turns = [turn, replace(turn, number=2, first_audio_ms=4071.0), replace(turn, number=3, first_audio_ms=None)]
    assert "  median first audio 711 ms over 2 turns" in [plain(line) for line in waterfall_lines(turns, 80)]


def test_without_turns_it_says_so() -> None:
    assert [plain(line) for line in waterfall_lines([], 80)] == ["no turns"]
