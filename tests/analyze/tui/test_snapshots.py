"""Pictures of every screen; look at them before taking new ones: `pytest --snapshot-update`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from analyze.tui.app import WiretapeApp
from analyze.tui.replay_plan import PlannedReplay
from analyze.tui.replay_runner import TrialProgress
from analyze.tui.screens.replay import ReplayScreen
from analyze.tui.screens.sql import SqlScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import Source
from capture.recording.root import Root
from replay.runs import Run, Trial, TrialOutcome
from tests.analyze.tui.conftest import CALL, SAMPLE, TARGETS

Compare = Callable[..., bool]

MAIN = {
    "sessions": (),
    "failures": ("f",),
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


SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}


@pytest.fixture(autouse=True)
def _every_question_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyze.tui.screens.sql.perf_counter", lambda: 0.0)


@pytest.fixture
def call(source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """Give a source whose only session is the sample's captured call, under the same path on every machine."""
    monkeypatch.chdir(SAMPLE.path.parent)
    (tmp_path / "wiretape.toml").write_text(TARGETS)
    monkeypatch.setenv("WIRETAPE_CONFIG", str(tmp_path / "wiretape.toml"))
    source.listed = [replace(source.listed[-1], session_id=CALL)]
    return cast("Source", source)


def after(*keys: str) -> Callable[[Pilot[None]], Any]:
    async def walk(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *keys)

    return walk


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("screen", ["sessions", "failures"])
def test_lists(
    snap_compare: Compare, source: Any, make_live: Any, screen: str, size: tuple[int, int], light: bool
) -> None:
    source.in_flight = [make_live(1), make_live(2, last_error="response.done: server_error")]
    source.listed[3] = replace(source.listed[3], tags={"cause": "network"}, notes=("heard an echo",))
    app = WiretapeApp(source, light=light)
    assert snap_compare(app, terminal_size=size, run_before=after(*MAIN[screen]))


@pytest.mark.parametrize("screen", OTHERS)
def test_other(snap_compare: Compare, source: Source, screen: str) -> None:
    assert snap_compare(WiretapeApp(source), terminal_size=(80, 24), run_before=after(*OTHERS[screen]))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
@pytest.mark.parametrize("ground", ["dark", "light"])
@pytest.mark.parametrize("screen", INSPECTING)
def test_inspecting(snap_compare: Compare, source: Source, screen: str, ground: str, size: tuple[int, int]) -> None:
    app = WiretapeApp(source, light=ground == "light")
    assert snap_compare(app, terminal_size=size, run_before=after(*INSPECTING[screen]))


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


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
def test_sql(snap_compare: Compare, source: Source, size: str, light: bool) -> None:
    app = WiretapeApp(source, light=light)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=after("colon", "ctrl+r", "e", *"se"))


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
def test_replay(snap_compare: Compare, call: Source, size: str, light: bool) -> None:
    async def fill_in(pilot: Pilot[None]) -> None:
        await after("r", "down", "space", "tab", "tab")(pilot)
        change = "session.audio.input.transcription.model=gpt-4o-transcribe,whisper-1"
        pilot.app.screen.query_one("#change", Input).value = change
        await press(pilot, "enter")

    app = WiretapeApp(call, light=light)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=fill_in)


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


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("staged")
def test_replay_running(snap_compare: Compare, call: Source, size: str, light: bool) -> None:
    app = WiretapeApp(call, light=light)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=begin_to_replay)


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
