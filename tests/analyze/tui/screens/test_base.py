from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.widget import Widget

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.base import root_name, sentence_of
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screenshot import press, settle
from capture.errors import UsageProblem

QUESTIONS = {
    "sessions": (),
    "session_count": (),
    "session": ("enter",),
    "timeline": ("enter",),
    "events": ("enter",),
    "levels": ("enter",),
    "side_by_side": ("space", "d"),
    "failures": ("f",),
    "runs": ("f",),
    "verdict": ("f",),
    "write_wav": ("enter", "w"),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_question_that_fails_is_a_sentence_on_the_screen(
    source: Any, shown: Callable[[App[None]], str], question: str
) -> None:
    source.failing[question] = UsageProblem(f"the {question} cannot be read: run `wiretape capture recover`")
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *QUESTIONS[question])
        assert f"▲ the {question} cannot be read: run `wiretape capture recover`" in shown(app)
        assert "Traceback" not in shown(app)


async def test_what_went_wrong_goes_away_when_it_works_again(source: Any, shown: Callable[[App[None]], str]) -> None:
    source.failing["sessions"] = UsageProblem("not now")
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "▲ not now" in shown(app)
        source.failing.clear()
        await press(pilot, "f5")
        assert "▲ not now" not in shown(app)


async def test_a_file_that_could_not_be_written_is_forgotten_once_it_was(
    source: Any, shown: Callable[[App[None]], str]
) -> None:
    source.failing["write_wav"] = UsageProblem("no room left")
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "w")
        # Another question that works says nothing of it.
        await press(pilot, "down")
        assert "▲ no room left" in shown(app)
        source.failing.clear()
        await press(pilot, "w")
        assert "▲ no room left" not in shown(app)


async def test_an_answer_that_cannot_be_shown_is_a_sentence_too(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, SessionsScreen)
        screen.ask(lambda: "no number", lambda answer: screen.complain(str(int(answer))), kind="odd")
        await settle(pilot)
        assert "▲ this could not be read (ValueError: invalid literal for int()" in shown(app)


@pytest.mark.parametrize("answer", ["a sentence", None])
async def test_an_answer_that_comes_while_the_screen_is_taken_down_is_dropped(source: Any, answer: str | None) -> None:
    left, back = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class LastToGo(Widget):
        async def on_unmount(self) -> None:
            left.set()
            await back.wait()

    def question() -> str:
        asyncio.run_coroutine_threadsafe(left.wait(), loop).result(10)
        # Behind the answer in the loop, which this widget holds the screen for.
        loop.call_soon_threadsafe(loop.call_later, 0.05, back.set)
        if answer is None:
            raise UsageProblem("not to be read")
        return answer

    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, SessionsScreen)
        await screen.mount(LastToGo())
        screen.ask(question, screen.complain, kind="late")
        await pilot.pause()
    # Leaving the block raises what a worker raised.
    assert back.is_set()


def test_an_error_that_is_not_ours_names_its_kind_in_one_line() -> None:
    assert sentence_of(ValueError("bad\n  magic")) == "this could not be read (ValueError: bad magic)"


def test_a_long_root_shows_its_end() -> None:
    assert root_name(Path("recordings")) == "recordings/"
    assert root_name(Path("/srv/voice/production/eastus2/recordings")) == "…/production/eastus2/recordings/"


async def test_what_could_not_be_read_is_not_waited_for(source: Any, shown: Callable[[App[None]], str]) -> None:
    source.failing |= {"sessions": UsageProblem("no folder"), "failures": UsageProblem("no folder")}
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "nothing could be read" in shown(app)
        assert "reading …" not in shown(app)
        await press(pilot, "f")
        assert "nothing could be read" in shown(app)
        assert "no sessions that failed" not in shown(app)


async def test_a_long_sentence_is_read_to_its_end_at_80_columns(source: Any, shown: Callable[[App[None]], str]) -> None:
    source.failing["session"] = UsageProblem("a target needs AZURE_KEY in the environment, " * 2 + "then try again")
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        assert "then try again" in shown(app)


async def test_a_key_that_does_nothing_says_so_once_however_often_it_is_pressed(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "end", "n", "n", "n")
        assert [notice.message for notice in app._notifications] == ["no failure after this event"]
