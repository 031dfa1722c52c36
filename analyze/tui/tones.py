"""What a text means, and how that looks on dark and on light ground."""

from __future__ import annotations

from functools import cache
from typing import Literal

from rich.style import Style
from textual.theme import Theme

Tone = Literal[
    "plain",
    "muted",
    "pale",
    "strong",
    "ok",
    "failed",
    "incomplete",
    "live",
    "client",
    "server",
    "changed",
    "added",
    "removed",
    "found",
    "link",
    "heat1",
    "heat2",
    "heat3",
]

DARK: dict[Tone, str] = {
    "plain": "#d7dae0",
    "muted": "#a3abb9",
    "pale": "#9199a7",
    "strong": "bold #f2f4f8",
    "ok": "#5fd38d",
    "failed": "#ff8078",
    "incomplete": "#e5b454",
    "live": "#6cb6ff",
    "client": "#4fd1e0",
    "server": "#c0a1f7",
    "changed": "bold #f5cf7a on #463a17",
    "added": "bold #8fe6b0 on #1d3d2a",
    "removed": "bold #ffaaa4 on #4d2524",
    "found": "bold #14161b on #e5b454",
    "link": "underline #6cb6ff",
    "heat1": "#ffb3ad on #33201f",
    "heat2": "#ffc2bd on #542523",
    "heat3": "bold #ffe3e1 on #7d2a26",
}
LIGHT: dict[Tone, str] = {
    "plain": "#22262e",
    "muted": "#525a66",
    "pale": "#5a6270",
    "strong": "bold #0b0d11",
    "ok": "#0c6b34",
    "failed": "#b11f17",
    "incomplete": "#7a4f00",
    "live": "#0a56b0",
    "client": "#00627a",
    "server": "#6236ba",
    "changed": "bold #5c3b00 on #fbe7b2",
    "added": "bold #0a5229 on #cdeed9",
    "removed": "bold #8c1811 on #fbd9d6",
    "found": "bold #22262e on #f2c14e",
    "link": "underline #0a56b0",
    "heat1": "#a01a13 on #fdeceb",
    "heat2": "#8c1811 on #f8d0cd",
    "heat3": "bold #6b0f0a on #efa49f",
}
CURSOR = {True: "#243044", False: "#d3e1f6"}
"""Ground of the row under the cursor, by whether the theme is dark."""
CURSOR_ELSEWHERE = {True: "#20252f", False: "#e6e9ee"}
"""The same while another widget has the focus."""

DARK_THEME = Theme(
    name="wiretape-dark",
    dark=True,
    primary="#6cb6ff",
    secondary="#c0a1f7",
    accent="#4fd1e0",
    success="#5fd38d",
    warning="#e5b454",
    error="#ff8078",
    foreground="#d7dae0",
    background="#14161b",
    surface="#1a1d23",
    panel="#20252f",
)
LIGHT_THEME = Theme(
    name="wiretape-light",
    dark=False,
    primary="#0a56b0",
    secondary="#6236ba",
    accent="#00627a",
    success="#0c6b34",
    warning="#7a4f00",
    error="#b11f17",
    foreground="#22262e",
    background="#fbfbfc",
    surface="#f3f4f6",
    panel="#e6e9ee",
)


@cache
def style_of(tone: Tone, dark: bool) -> Style:
    """Give the style of a tone on a dark or a light theme."""
    return Style.parse((DARK if dark else LIGHT)[tone])


@cache
def cursor_style(dark: bool, focused: bool) -> Style:
    """Give the ground of the row under the cursor."""
    return Style(bgcolor=(CURSOR if focused else CURSOR_ELSEWHERE)[dark])
