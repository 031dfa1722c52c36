from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App

from analyze.tui import app as app_module
from analyze.tui.app import WiretapeApp
from analyze.tui.screens.diff import DiffScreen
from analyze.tui.screens.failures import FailuresScreen
from analyze.tui.screens.help import HelpScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource, Source
from capture.errors import UsageProblem
from capture.recording.root import Root
from replay.runs import list_run_ids
from replay.simulator import load_scenario, serve
from tests.analyze.tui.conftest import targets_of
from tests.sample import SAMPLE, copy_sample


async def test_keys_lead_from_screen_to_screen_and_back(source: Source) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        visited = [type(app.screen)]
        for key in ("enter", "q", "f", "tab", "question_mark", "escape", "space", "d", "escape"):
            await press(pilot, key)
            visited.append(type(app.screen))
    assert visited == [
        SessionsScreen,
        SessionScreen,
        SessionsScreen,
        FailuresScreen,
        SessionsScreen,
        HelpScreen,
        SessionsScreen,
        SessionsScreen,
        DiffScreen,
        SessionsScreen,
    ]


async def test_q_leaves_from_a_main_screen(source: Source) -> None:
    app = WiretapeApp(source)
    async with app.run_test() as pilot:
        await press(pilot, "q")
    assert app.return_code == 0


async def test_a_locale_that_lacks_signs_is_told_at_the_start(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", io.TextIOWrapper(io.BytesIO(), encoding="iso-8859-1"))
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert ["start with LC_ALL=C.UTF-8" in notice.message for notice in app._notifications] == [True]


async def test_ctrl_z_stops_nothing_where_nobody_could_say_fg(
    source: Source, shown: Callable[[App[None]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyze.tui.app.may_be_stopped", lambda: False)
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+z")
        assert "no shell waits for this program: ctrl+q leaves it" in shown(app)


async def test_ctrl_z_gives_the_terminal_back_to_a_shell(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyze.tui.app.may_be_stopped", lambda: True)
    sent = []
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        monkeypatch.setattr("textual.drivers.headless_driver.HeadlessDriver.can_suspend", True, raising=False)
        monkeypatch.setattr("os.kill", lambda _pid, number: sent.append(number))
        await press(pilot, "ctrl+z")
    assert sent == [signal.SIGTSTP]


@pytest.mark.parametrize(
    ("start", "screen"),
    [(None, SessionsScreen), ("failures", FailuresScreen), ("20260212T083055-4f3a9c12", SessionScreen)],
)
async def test_it_starts_where_it_is_told(source: Source, start: str | None, screen: type) -> None:
    app = WiretapeApp(source, start=start)
    async with app.run_test() as pilot:
        await settle(pilot)
        assert type(app.screen) is screen


async def test_the_light_theme_can_be_asked_for(source: Source) -> None:
    app = WiretapeApp(source, light=True)
    async with app.run_test() as pilot:
        await settle(pilot)
        assert not app.current_theme.dark


@pytest.mark.parametrize("size", [(40, 10), (100, 30)])
async def test_every_screen_draws_at_every_size(
    source: Source, shown: Callable[[App[None]], str], size: tuple[int, int]
) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in ("enter", "n", "enter", "escape", "c", "escape", "j", "escape", "escape", "escape", "f", "tab", "r"):
            await press(pilot, key)
            assert all(len(line) <= size[0] for line in shown(app).split("\n"))


async def test_a_real_root_is_shown(
    root: Root, failed_session: str, ok_session: str, shown: Callable[[App[None]], str]
) -> None:
    source = RootSource(root)
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "2 sessions" in shown(app)
        await press(pilot, "down", "enter", "n")
        assert failed_session in shown(app)
        assert "▲ transcription_model_path_failure  possible" in shown(app)
        await press(pilot, "escape", "space", "up", "d")
        assert '"gpt-4o-transcribe" → "whisper-1"' in shown(app)
        await press(pilot, "escape", "f")
        assert "1/1" in shown(app)
    source.close()


async def test_the_keys_of_the_readme_lead_to_the_region_at_fault(shown: Callable[[App[None]], str]) -> None:
    home = Path(app_module.__file__).parents[2]
    assert "`f` shows what was found" in (home / "README.md").read_text(encoding="utf-8")
    source = RootSource(SAMPLE)
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "f")
        assert "gpt-4o-transcribe × eastus2  6 of 6 failed" in shown(app)
        assert "It takes both" in shown(app)
        await press(pilot, "enter")
        assert "6 of 21" in shown(app)
        await press(pilot, "enter", "n")
        assert "input_audio_transcription.failed" in shown(app)
    source.close()


async def test_from_the_list_to_the_error_the_diff_a_replay_and_its_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Callable[[App[None]], str]
) -> None:
    root = copy_sample(tmp_path)
    monkeypatch.setenv("WIRETAPE_CONFIG", str(tmp_path / "wiretape.toml"))
    source = RootSource(root)
    app = WiretapeApp(source)
    async with serve([load_scenario("transcription_model_path_failure")]) as simulator:
        (tmp_path / "wiretape.toml").write_text(targets_of(simulator))
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            await press(pilot, "slash", *"outcome:failed", "enter")
            assert "6 of 21" in shown(app)
            await press(pilot, "end", "enter", "n")
            assert "▲ server_error · Input transcription" in shown(app)
            await press(pilot, "d", "enter")
            assert isinstance(app.screen, DiffScreen)
            await press(pilot, "n", "enter")
            await press(pilot, "escape", "escape")
            assert isinstance(app.screen, SessionScreen)
            # The recorded target is chosen; the other one is taken too, one trial each.
            await press(pilot, "r", "down", "space", *["tab"] * 4, "end", "backspace", "1", "ctrl+r", "y")
            assert "done · 2 of 2 · ▲ 1 failed  ● 1 ok" in shown(app)
            run_id = list_run_ids(root)[-1]
            await press(pilot, "f")
            assert f"run {run_id}" in shown(app)
            assert "fails at eastus2" in shown(app)
    source.close()


def test_run_closes_its_source(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(WiretapeApp, "run", lambda _: None)
    monkeypatch.setattr(RootSource, "close", lambda self: closed.append(self.root))
    app_module.run(root)
    assert closed == [root]


def test_the_screens_start_without_what_only_their_answers_need() -> None:
    loaded = (
        "import sys, analyze.tui.app; print(sorted({'pyarrow', 'duckdb', 'numpy', 'websockets'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_without_a_terminal_it_says_what_to_do_instead(root: Root) -> None:
    with pytest.raises(UsageProblem, match="needs a terminal: ask a question instead, such as `wiretape analyze"):
        app_module.run(root)


@pytest.mark.parametrize("path", sorted(Path(app_module.__file__).parent.rglob("*.tcss")), ids=lambda path: path.name)
def test_every_style_rule_starts_with_the_name_of_its_screen(path: Path) -> None:
    rules = [part.split("{")[0] for part in path.read_text().split("}") if "{" in part]
    selectors = [selector.strip() for rule in rules for selector in rule.split(",")]
    screen = f"{path.stem.title().replace('_', '')}Screen"
    assert selectors
    assert [selector for selector in selectors if not selector.startswith(screen)] == []
