"""Pictures of every screen; look at them before taking new ones: `pytest --snapshot-update`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from analyze.tui.app import WiretapeApp
from analyze.tui.replay_plan import PlannedReplay
from analyze.tui.replay_runner import TrialProgress
from analyze.tui.screens.replay import ReplayScreen
from analyze.tui.screens.sql import SqlScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import Source
from analyze.tui.tones import DARK_THEME
from capture.journal import JournalWriter
from capture.recording.facts import Sender
from capture.recording.root import Root
from replay.runs import Run, Trial, TrialOutcome
from tests.analyze.tui.conftest import HOSTILE, TARGETS
from tests.capture.test_live import SESSION_ID, Session
from tests.sample import CALL, SAMPLE

Compare = Callable[..., bool]
Walk = Callable[[Pilot[None]], Awaitable[object]]
"""Presses the keys that lead to what is drawn."""
Draw = Callable[[Source, tuple[int, int], Walk], None]
"""Draws what a source gives in so many columns and lines, at the end of a walk; see `draw`."""

MAIN = {
    "sessions": (),
    "failures": ("f",),
    "in_flight": ("up",),
}
"""Screens and the keys that lead to them."""
INSPECTING = {
    "session": ("enter", "n"),
    "diff": ("space", "end", "d"),
}
OTHERS = {
    "unfolded": ("enter", "down", "down", "down", "enter", "down"),
    "detail": ("enter", *["down"] * 8, "enter"),
    "configuration": ("enter", "c"),
    "latencies": ("space", "d", "3"),
    "transcripts": ("space", "end", "d", "4"),
    "outcomes": ("space", "end", "d", "5"),
    "messages": ("space", "end", "d", "n", "enter"),
    "waterfall": ("enter", "l"),
    "help": ("question_mark",),
    "investigations": ("colon", "ctrl+o"),
    "record": ("colon", "ctrl+r", "enter"),
    "pick": ("enter", "d"),
    "values": ("v",),
    "typing": ("slash", *"region:"),
    "annotate": ("space", "space", "t"),
    "over_time": ("f", "t"),
}


Said = tuple[Sender, int, dict[str, object]]
"""Who said what, and when, in milliseconds."""


def stream(sender: Sender, at_ms: int, every_ms: int, count: int, **event: object) -> list[Said]:
    return [(sender, at_ms + every_ms * number, event) for number in range(count)]


APPEND: dict[str, object] = {"type": "input_audio_buffer.append", "audio": "AAAA" * 320}
DELTA: dict[str, object] = {"type": "response.output_audio.delta", "response_id": "resp_1", "delta": "AAAA" * 900}
TOLD: dict[str, object] = {"type": "server_error", "message": "Input transcription failed for item 'item_1'."}
CALL_IN_FLIGHT: list[Said] = [
    ("server", 4, {"type": "session.created", "session": {"id": "sess_D81pQ", "model": "gpt-realtime"}}),
    ("client", 9, {"type": "session.update", "session": {"instructions": "Be brief."}}),
    ("server", 21, {"type": "session.updated", "session": {"id": "sess_D81pQ", "model": "gpt-realtime"}}),
    *stream("client", 40, 20, 38, **APPEND),
    ("server", 800, {"type": "input_audio_buffer.speech_started", "audio_start_ms": 780}),
    *stream("client", 820, 20, 120, **APPEND),
    ("server", 3260, {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 3240}),
    ("server", 3402, {"type": "input_audio_buffer.committed", "item_id": "item_1"}),
    ("server", 3404, {"type": "conversation.item.added", "item": {"role": "user", "content": [{"text": HOSTILE}]}}),
    ("server", 3406, {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}),
    *stream("server", 3870, 40, 12, **DELTA),
    (
        "server",
        4360,
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": "item_1", "error": TOLD},
    ),
    *stream("client", 4370, 20, 60, **APPEND),
]
"""A call as its journal holds it so far."""
SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}


@pytest.fixture(autouse=True)
def _every_question_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyze.tui.screens.sql.perf_counter", lambda: 0.0)


@pytest.fixture(autouse=True)
def _no_cursor_blinks(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine half a second passes between the last key and the picture.
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _: None)
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda _: None)


@pytest.fixture(autouse=True)
def _nobody_stops_typing(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine there is a pause between any two keys, after which a half-typed filter counts.
    monkeypatch.setattr("analyze.tui.widgets.filter_bar.PAUSE_S", 600)


@pytest.fixture
def call(source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """Give a source whose only session is the sample's captured call, under the same path on every machine."""
    monkeypatch.chdir(SAMPLE.path.parent)
    (tmp_path / "wiretape.toml").write_text(TARGETS)
    monkeypatch.setenv("WIRETAPE_CONFIG", str(tmp_path / "wiretape.toml"))
    source.listed = [replace(source.listed[-1], session_id=CALL)]
    return cast("Source", source)


class Drawn(App[None]):
    """Stands for an app whose picture is taken already."""

    def __init__(self, picture: str) -> None:
        super().__init__()
        self.picture = picture

    def run(self, **_: Any) -> Any:
        return self.picture


@pytest.fixture
def draw(snap_compare: Compare) -> Draw:
    """Compare a screen on light ground (the picture whose name ends in `.1`), then on dark, to which it is changed.

    To start the program and walk to a screen costs much more than to draw it again.
    """

    def compare(source: Source, size: tuple[int, int], walk: Walk) -> None:
        app = WiretapeApp(source, light=True)
        light: list[str] = []

        async def walk_and_change(pilot: Pilot[None]) -> None:
            await walk(pilot)
            await pilot.pause()
            await pilot.wait_for_scheduled_animations()
            light.append(app.export_screenshot(title=app.title, simplify=True))
            app.theme = DARK_THEME.name

        assert snap_compare(app, terminal_size=size, run_before=walk_and_change)
        assert snap_compare(Drawn(light[0]))

    return compare


def after(*keys: str) -> Walk:
    async def walk(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *keys)

    return walk


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("screen", MAIN)
def test_lists(draw: Draw, source: Any, make_live: Any, screen: str, size: tuple[int, int]) -> None:
    source.in_flight = [make_live(1), make_live(2, last_error="response.done: server_error")]
    source.listed[3] = replace(source.listed[3], tags={"cause": "network"}, notes=("heard an echo",))
    draw(source, size, after(*MAIN[screen]))


@pytest.fixture
def call_in_flight(source: Any, make_live: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """Give a source with a call in flight that a real writer records, under the same path on every machine."""
    monkeypatch.chdir(tmp_path)
    writer = JournalWriter(source.root.journal, tick_s=0.001)
    call = Session(writer)
    for sender, at_ms, event in CALL_IN_FLIGHT:
        call.say(sender, json.dumps(event), at_ms)
    call.catch_up()
    source.in_flight = [make_live(1, session_id=SESSION_ID)]
    yield source
    writer.close()


@pytest.mark.parametrize("size", SIZES)
def test_follow(draw: Draw, call_in_flight: Source, size: str) -> None:
    draw(call_in_flight, SIZES[size], after("up", "enter"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", OTHERS)
def test_other(draw: Draw, source: Source, screen: str, size: str) -> None:
    draw(source, SIZES[size], after(*OTHERS[screen]))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
@pytest.mark.parametrize("screen", INSPECTING)
def test_inspecting(draw: Draw, source: Source, screen: str, size: tuple[int, int]) -> None:
    draw(source, size, after(*INSPECTING[screen]))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_many_beside_each_other(snap_compare: Compare, source: Any, size: tuple[int, int]) -> None:
    async def walk(pilot: Pilot[None]) -> None:
        await settle(pilot)
        app.open_diff([source.listed[at].session_id for at in (0, 5, 1, 6, 10)])
        await settle(pilot)
        await press(pilot, "n", "right")

    app = WiretapeApp(source)
    assert snap_compare(app, terminal_size=size, run_before=walk)


def test_empty_root(snap_compare: Compare, empty_source: Source) -> None:
    assert snap_compare(WiretapeApp(empty_source), terminal_size=(80, 24), run_before=after())


@pytest.mark.parametrize("size", SIZES)
def test_sql(draw: Draw, source: Source, size: str) -> None:
    draw(source, SIZES[size], after("colon", "ctrl+r", "e", *"se"))


@pytest.mark.parametrize("size", SIZES)
def test_replay(draw: Draw, call: Source, size: str) -> None:
    async def fill_in(pilot: Pilot[None]) -> None:
        await after("r", "down", "space", "tab", "tab")(pilot)
        change = "session.audio.input.transcription.model=gpt-4o-transcribe,whisper-1"
        pilot.app.screen.query_one("#change", Input).value = change
        await press(pilot, "enter")

    draw(call, SIZES[size], fill_in)


class StagedRunner:
    """Plays nothing: tells of some trials at once, then runs until it is cancelled."""

    def __init__(self, root: Root, planned: PlannedReplay, on_progress: Callable[[TrialProgress], None]) -> None:
        del root
        self._run, self._tell, self._cancelled = planned.run, on_progress, Event()
        self._run.run_id = "r20260212T083000-7c1d"

    def play(self) -> Run:
        pacing_us = 180.0
        for cell in self._run.cells:
            for number in (1, 2):
                outcome: TrialOutcome = "failed" if cell.target == "eastus2" else "ok"
                session_id = f"20260212T08310{number}-{pacing_us:08.0f}"
                cell.trials.append(Trial(trial=number, block=1, session_id=session_id, outcome=outcome, note=""))
                self._tell(TrialProgress(cell.cell, number, outcome, session_id, pacing_ms=pacing_us / 1000))
                pacing_us *= 1.5
            self._tell(TrialProgress(cell.cell, 3, None))
        self._cancelled.wait(60)
        self._run.status = "interrupted"
        return self._run

    def cancel(self) -> None:
        self._cancelled.set()


async def begin_to_replay(pilot: Pilot[None]) -> ReplayScreen:
    """Choose two targets and send; settling would wait for the end of the run."""
    await after("r", "down", "space", "ctrl+r")(pilot)
    await pilot.press("y")
    screen = pilot.app.screen
    while not isinstance(screen, ReplayScreen) or len(screen.trials.rows) < 6:
        await pilot.pause(0.01)
        screen = pilot.app.screen
    await pilot.pause()
    return screen


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyze.tui.screens.replay.ReplayRunner", StagedRunner)
    # What is said in passing goes by itself, whenever that is.
    monkeypatch.setattr(ReplayScreen, "hint", lambda *_: None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("staged")
def test_replay_running(draw: Draw, call: Source, size: str) -> None:
    draw(call, SIZES[size], begin_to_replay)


@pytest.mark.usefixtures("staged")
def test_replay_cancelled(snap_compare: Compare, call: Source) -> None:
    async def cancel(pilot: Pilot[None]) -> None:
        await begin_to_replay(pilot)
        await pilot.press("escape", "escape")
        await settle(pilot)

    assert snap_compare(WiretapeApp(call), terminal_size=(120, 40), run_before=cancel)


def test_sql_error(snap_compare: Compare, source: Source) -> None:
    async def ask(pilot: Pilot[None]) -> None:
        await after("colon")(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, SqlScreen)
        screen.editor.fill("SELECT regoin FROM sessions")
        await press(pilot, "ctrl+r")

    assert snap_compare(WiretapeApp(source), terminal_size=(80, 24), run_before=ask)


def test_confirm(snap_compare: Compare, call: Source) -> None:
    assert snap_compare(WiretapeApp(call), terminal_size=(80, 24), run_before=after("r", "ctrl+r"))
