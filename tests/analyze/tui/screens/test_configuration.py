from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.configuration import ConfigurationScreen, flatten
from analyze.tui.screens.record import RecordScreen
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


async def test_paths_that_begin_alike_are_told_apart_where_they_are_cut(
    source: Any, shown: Callable[[App[None]], str]
) -> None:
    vad = {"type": "server_vad", "silence_duration_ms": 500, "create_response": True}
    detail = source.session(source.listed[0].session_id)
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        configuration = {"audio": {"input": {"turn_detection": vad}}}
        app.push_screen(ConfigurationScreen(replace(detail, configuration_asked=configuration)))
        await settle(pilot)
        page = shown(app)
    paths = [line[4:32].strip() for line in page.split("\n") if line[4:5] == "…"]
    assert paths == [
        "…o.input.transcription.model",
        "…n_detection.create_response",
        "…tection.silence_duration_ms",
        "…o.input.turn_detection.type",
    ]


async def test_enter_and_a_click_show_a_value_in_full(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "c", "enter")
        assert isinstance(app.screen, RecordScreen)
        page = " ".join(shown(app).split())
        for words in (
            "path audio.input.transcription.model",
            'asked "gpt-4o-transcribe"',
            'echoed "gpt-4o-transcribe"',
        ):
            assert words in page
        await press(pilot, "escape")
        await pilot.click("ConfigurationRows", offset=(5, 1))
        await settle(pilot)
        assert isinstance(app.screen, RecordScreen)
        await press(pilot, "escape", "end", "up", "enter")
        assert "asked –" in " ".join(shown(app).split())
