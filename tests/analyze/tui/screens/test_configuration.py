from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.configuration import flatten
from analyze.tui.screenshot import press, settle


def test_every_leaf_has_a_path() -> None:
    configuration = {"audio": {"input": {"format": {"rate": 24000}}, "output": {}}, "tools": [1], "voice": None}
    assert list(flatten(configuration)) == [
        ("session.audio.input.format.rate", "24000"),
        ("session.audio.output", "{}"),
        ("session.tools", "[1]"),
        ("session.voice", "null"),
    ]


async def test_what_was_echoed_otherwise_than_asked_is_marked(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "c")
        rows = [" ".join(line.split()) for line in shown(app).split("\n")]
    assert '≠ instructions "Be brief." "Be brief and kind."' in rows
    assert '› audio.input.transcription.model "gpt-4o-transcribe" "gpt-4o-transcribe"' in rows
    assert 'audio.output.voice – "marin"' in rows
