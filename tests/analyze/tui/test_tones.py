from __future__ import annotations

from typing import get_args

import pytest
from textual.color import Color

from analyze.tui.tones import (
    CURSOR,
    CURSOR_ELSEWHERE,
    DARK,
    DARK_THEME,
    LIGHT,
    LIGHT_THEME,
    Tone,
    cursor_style,
    style_of,
)

READABLE = 4.5
"""WCAG AA for text."""


def contrast(text: Color, ground: Color) -> float:
    light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: Color) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("tone", get_args(Tone))
@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_every_tone_can_be_read_on_every_ground(tone: Tone, dark: bool) -> None:
    style = style_of(tone, dark)
    assert style.color is not None
    assert style.color.triplet is not None
    text = Color(*style.color.triplet)
    theme = DARK_THEME if dark else LIGHT_THEME
    own = style.bgcolor.triplet if style.bgcolor else None
    shared = [str(ground) for ground in (theme.background, theme.surface, theme.panel, CURSOR[dark])]
    grounds = [Color(*own)] if own else [Color.parse(ground) for ground in (*shared, CURSOR_ELSEWHERE[dark])]
    assert min(contrast(text, ground) for ground in grounds) >= READABLE


def test_both_palettes_know_every_tone() -> None:
    assert set(DARK) == set(LIGHT) == set(get_args(Tone))


def test_the_cursor_is_told_apart_with_and_without_focus() -> None:
    assert cursor_style(True, True) != cursor_style(True, False)
