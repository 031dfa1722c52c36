from __future__ import annotations

from dataclasses import replace

import pytest

from analyze.answers import Turn
from analyze.tui.lines import plain, width_of
from analyze.tui.widgets.turn_bars import SHOWN_TURNS, TurnBars, turn_line

LONGEST_MS = 2921.0


def test_a_turn_is_written_from_end_of_speech_to_done(turn: Turn) -> None:
    words = plain(turn_line(turn, 120, LONGEST_MS)).replace("─", "").replace("█", "")
    assert " ".join(words.split()) == (
        "turn 1 ms end of speech 142 → commit 469 → first audio 2,310 → done ✕ transcript failed 512"
    )


def test_bars_are_as_long_as_what_they_stand_for(turn: Turn) -> None:
    line = turn_line(turn, 160, LONGEST_MS)
    commit, first_audio, done = (
        run.text.count(run.text.strip()[0]) for run in line if run.text.strip().startswith(("─", "█"))
    )
    assert commit < first_audio < done


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_a_turn_fits_the_width(turn: Turn, width: int) -> None:
    assert width_of(turn_line(turn, width, LONGEST_MS)) <= width


@pytest.mark.parametrize(
    ("state", "words"), [("completed", "● transcript 512"), ("missing", "◐ no transcript"), (None, "→ done")]
)
def test_it_says_what_became_of_the_transcript(turn: Turn, state: str | None, words: str) -> None:
    told = replace(turn, transcription=state)  # type: ignore[arg-type]
    assert plain(turn_line(told, 120, LONGEST_MS)).rstrip().endswith(words)


def test_a_manual_turn_counts_from_its_commit(turn: Turn) -> None:
    manual = replace(turn, speech_started_ms=None, speech_stopped_ms=None)
    assert "commit" not in plain(turn_line(manual, 120, LONGEST_MS)).replace("→ ", "")


def test_a_turn_without_an_answer_stops_where_it_stopped(turn: Turn) -> None:
    cut_off = replace(turn, first_audio_ms=None, response_done_ms=None)
    assert "→ first audio" not in plain(turn_line(cut_off, 120, 0.0))


def test_of_many_turns_those_around_the_current_are_shown(turn: Turn) -> None:
    bars = TurnBars()
    bars._turns = [replace(turn, number=number) for number in range(1, 11)]
    for current, first in ((1, 1), (5, 4), (10, 8)):
        bars.set_reactive(TurnBars.current, current)
        lines = [plain(line) for line in bars.lines_at(120)]
        assert len(lines) == SHOWN_TURNS
        assert lines[0].startswith(f" turn {first} ")


def test_the_current_turn_follows_the_cursor(turn: Turn) -> None:
    bars = TurnBars()
    bars.show([turn, replace(turn, number=2, speech_started_ms=20_000.0)])
    followed = []
    for offset_ms in (0.0, 5000.0, 20_000.0, 60_000.0):
        bars.follow(offset_ms)
        followed.append(bars.current)
    assert followed == [1, 1, 2, 2]


def test_the_current_turn_is_the_one_under_the_cursor_in_a_written_conversation_too(turn: Turn) -> None:
    bars, current = TurnBars(), []
    unspoken = replace(turn, speech_started_ms=None, speech_stopped_ms=None, committed_ms=None)
    bars.show([replace(unspoken, number=number, asked_ms=1000.0 * number) for number in range(1, 11)])
    for offset_ms in (10.0, 1500.0, 5500.0, 99_000.0):
        bars.follow(offset_ms)
        current.append(bars.current)
    assert current == [1, 1, 5, 10]
