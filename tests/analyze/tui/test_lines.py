from __future__ import annotations

from collections.abc import Callable

import pytest

from analyze.signatures import load_signatures
from analyze.tui.lines import (
    ELLIPSIS,
    LONGEST,
    Line,
    Run,
    columns,
    fit,
    fit_end,
    fit_ends,
    join,
    lit,
    pad,
    plain,
    spread,
    text,
    width_of,
    wrap,
)


def test_control_characters_are_shown_and_markup_stays_text(hostile: str) -> None:
    assert plain(text(hostile)) == r"\x1b[31mred\x1b[0m [bold]not bold[/bold] \u202egnp.exe"


@pytest.mark.parametrize("content", ["\x07", "\x9b31m", "\r\n\t", "\u200b", "\u2066", "\udc80", "\x7f"])
def test_nothing_that_drives_a_terminal_gets_through(content: str) -> None:
    assert plain(text(content)).isascii()
    assert plain(text(content)).startswith("\\")


def test_fit_cuts_with_an_ellipsis_and_keeps_the_tone() -> None:
    assert fit((Run("eastus2", "ok"), Run("westus3", "failed")), 10) == (
        Run("eastus2", "ok"),
        Run("we", "failed"),
        Run("…", "failed"),
    )


def test_fit_counts_wide_characters_as_two_cells() -> None:
    assert width_of(fit(text("日本語日本語"), 5)) == 5


def test_fit_end_keeps_what_stands_last() -> None:
    assert plain(fit_end((Run("  "), Run("transcription.failed", "failed")), 10)) == "…on.failed"
    assert plain(fit_end(text("failed"), 10)) == "failed"
    assert width_of(fit_end(text("日本語日本語"), 6)) <= 6
    assert fit_end(text("failed"), 0) == ()


def test_fit_ends_keeps_names_of_one_group_apart() -> None:
    assert plain(fit_ends(text("transcription_quota"), 16)) == "tran…ption_quota"
    assert plain(fit_ends(text("transcription_outage_window"), 16)) == "tran…tage_window"
    names = [signature.name for signature in load_signatures()]
    assert len({plain(fit_ends(text(name), 15)) for name in names}) == len(names) > 40
    assert plain(fit_ends(text("failed"), 6)) == "failed"
    assert [width_of(fit_ends(text("日本語日本語"), width)) <= width for width in range(12)] == [True] * 12
    # A name, and how many others there are.
    assert plain(fit_ends((*text("response_never_done", "failed"), *text(" +1")), 16)) == "resp…ver_done +1"


@pytest.mark.parametrize("width", [0, 1, 2, 7, 30])
def test_pad_gives_exactly_the_width(width: int) -> None:
    assert width_of(pad(text("transcription"), width)) == width


def test_pad_right_aligns_numbers() -> None:
    assert plain(pad(text("598"), 6, "right")) == "   598"


def test_spread_lets_the_left_give_way() -> None:
    assert plain(spread(text("a long place"), text("9.8 s"), 12)) == "a lon… 9.8 s"


def test_join_leaves_out_what_is_empty() -> None:
    assert plain(join([text("a"), (), text(""), text("b")], " · ")) == "a · b"


def test_columns_stand_at_fixed_places() -> None:
    assert plain(columns([(text("a"), 3), (text("b"), 3)], " │ ")) == "a   │ b  "


def test_wrap_breaks_between_words_and_indents_what_continues() -> None:
    assert [plain(line) for line in wrap(text("each change alone clears it"), 12, 2)] == [
        "each change ",
        "  alone ",
        "  clears it",
    ]


def test_a_word_in_a_tone_of_its_own_is_not_broken() -> None:
    line: Line = (Run("sent by the "), Run("server", "server"))
    assert [plain(part) for part in wrap(line, 15)] == ["sent by the ", "server"]


def test_wrap_breaks_a_long_word_anywhere_and_loses_nothing() -> None:
    broken = wrap(text("x" * 25), 10)
    assert [width_of(line) for line in broken] == [10, 10, 5]


def test_wrap_never_exceeds_the_width_with_wide_characters() -> None:
    line: Line = (Run("a日本"), Run("語日本語", "ok"))
    assert all(width_of(part) <= 4 for part in wrap(line, 4))
    assert "".join(plain(part) for part in wrap(line, 4)) == "a日本語日本語"


def test_lit_finds_whatever_the_case() -> None:
    assert lit((Run("Where is my Order", "ok"),), "order") == (Run("Where is my ", "ok"), Run("Order", "found"))


@pytest.mark.parametrize("cut", [fit, fit_end, fit_ends])
def test_megabytes_are_cut_at_once(cut: Callable[[Line, int], Line]) -> None:
    line = cut((Run("wörd " * 1_000_000, "failed"),), 20)
    assert width_of(line) == 20
    assert ELLIPSIS in plain(line)
    assert len(text("a" * 1_000_000)[0].text) == LONGEST
