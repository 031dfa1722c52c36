"""Whatever came over the wire, the Session and Diff screens show it: escaped, in time, and without a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource
from capture.recording.root import Root, open_root
from tests.analyze.conftest import Trace, configure, spoken_turn

HOSTILE = "\x1b[31m\x07[bold]x[/bold]\u202e\u200b\u2066\ud7a3"
ACTING = {"\x1b", "\x07", "\u202e", "\u200b", "\u2066"}
DEEP = 10_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """Record two sessions that hold the worst there is."""
    opened = open_root(tmp_path_factory.mktemp("hostile"))
    for number in range(2):
        trace = Trace(f"20260212T08300{number}-0000000a", {"close_reason": HOSTILE, "target": HOSTILE})
        configure(trace)
        trace.server(20, f"response.{HOSTILE}", note=HOSTILE, **{HOSTILE: [HOSTILE]})
        trace.frame("server", 30, "text", b"\xff\xfe\x1b[2J not utf-8")
        nested = f'{{"type":"deep","at":{number},"x":{"[" * DEEP}{"]" * DEEP}}}'
        trace.events.append(
            trace.events[0] | {"seq": len(trace.events), "offset_ns": 40_000_000, "type": "deep", "payload": nested}
        )
        long = "word " * (3_200_000 + number)
        trace.server(50, "response.output_audio_transcript.done", transcript=long, response_id="r", item_id="i")
        trace.server(60, "error", error={"type": HOSTILE, "code": HOSTILE, "message": HOSTILE, "param": None})
        spoken_turn(trace, 100, transcript=long if number else HOSTILE, answer=HOSTILE)
        trace.frame("client", 2000, "close", b"\x03\xe8" + HOSTILE.encode())
        trace.write(opened)
    yield opened


async def test_the_session_screen_shows_the_worst(root: Root, shown: Callable[[App[None]], str]) -> None:
    source = RootSource(root)
    app = WiretapeApp(source, start="20260212T083001-0000000a")
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            for _ in range(8):
                await press(pilot, "down")
                assert not ACTING & set(shown(app))
                assert "could not be read" not in shown(app)
            await pilot.press("j", *"utf")
            await press(pilot, "enter", "escape", "plus", "l")
            assert not ACTING & set(shown(app))
            await press(pilot, "q", "c", "q", "n")
            assert "could not be read" not in shown(app)
    finally:
        source.close()


async def test_the_diff_screen_shows_the_worst(root: Root, shown: Callable[[App[None]], str]) -> None:
    source = RootSource(root)
    app = WiretapeApp(source)
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            ids = ["20260212T083000-0000000a", "20260212T083001-0000000a"]
            app.open_diff([*ids, ids[0]])
            await settle(pilot)
            for key in ("2", "3", "4", "5", "1", "a", "n", "enter", "q", "right", "b"):
                await press(pilot, key)
                assert not ACTING & set(shown(app))
                assert "could not be read" not in shown(app)
    finally:
        source.close()


WORDS = st.text(max_size=30) | st.sampled_from(
    [HOSTILE, "[/]", "[link=x]", "{", "«0.1 s of audio»", "\U0001f468\u200d\U0001f469"]
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(WORDS, st.dictionaries(WORDS, WORDS, max_size=3), st.floats(0, 1e6)), min_size=1, max_size=6))
async def test_any_message_is_shown(
    tmp_path: Path, shown: Callable[[App[None]], str], messages: list[tuple[str, dict[str, str], float]]
) -> None:
    root = open_root(tmp_path / "any")
    trace = Trace("20260212T083000-0000000a")
    for name, fields, at_ms in messages:
        # Lone surrogates are no text: such a message is stored as bytes.
        clean = json.loads(json.dumps(fields).encode("ascii").decode())
        payload = {"type": name, **clean}
        trace.server(
            at_ms, name.encode("utf-8", "replace").decode(), **{k: v for k, v in payload.items() if k != "type"}
        )
    trace.write(root)
    source = RootSource(root)
    app = WiretapeApp(source, start=trace.session_id)
    try:
        async with app.run_test(size=(100, 30)) as pilot:
            await settle(pilot)
            for key in ("enter", "z", "q", "end", "right"):
                await press(pilot, key)
            assert "could not be read" not in shown(app)
            assert not ACTING & set(shown(app))
    finally:
        source.close()
