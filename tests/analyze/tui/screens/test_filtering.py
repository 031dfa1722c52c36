from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.app import App

from analyze.answers import Facet
from analyze.signatures import load_signatures
from analyze.tui.app import WiretapeApp
from analyze.tui.lines import plain, width_of
from analyze.tui.memory import Memory
from analyze.tui.screens.filtering import FilteringScreen, facet_lines
from analyze.tui.screenshot import press, settle
from analyze.tui.widgets.filter_bar import FilterBar

Shown = Callable[[App[None]], str]


def filtering(app: WiretapeApp) -> FilteringScreen:
    assert isinstance(app.screen, FilteringScreen)
    return app.screen


async def test_fields_and_values_are_completed_as_they_are_typed(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "slash")
        await pilot.press(*"reg")
        assert "tab region:" in shown(app)
        await press(pilot, "tab")
        assert "tab eastus2 · swedencentral" in shown(app)
        await pilot.press(*"sw")
        await press(pilot, "tab")
        assert app.screen.query_one(FilterBar).content == "region:swedencentral "
        await pilot.press(*"outcome:")
        await press(pilot, "tab", "enter")
        assert filtering(app).filter_text == "region:swedencentral outcome:failed "
        # Where there is nothing to go on with, tab leaves.
        await press(pilot, "slash", "tab")
        assert not app.screen.query_one(FilterBar).query_one("Input").has_focus


def test_the_longest_name_of_a_finding_is_whole_in_a_list_of_values() -> None:
    longest = max((signature.name for signature in load_signatures()), key=len)
    facets = [
        Facet("outcome", "ok", 1_157, 0),
        Facet("finding", longest, 9, 9),
        Facet("transcription_model", "a", 1, 0),
    ]
    assert [plain(line) for line in facet_lines(facets)] == [
        "1,157       outcome              ok",
        f"    9  ▲ 9  finding              {longest}",
        "    1       transcription model  a",
    ]
    # Of a terminal of 80 the list has as much, beside the sign of its cursor and its scrollbar.
    assert max(map(width_of, facet_lines(facets))) <= 69


@pytest.mark.parametrize(
    ("main", "there_and_back"),
    [("sessions", ("enter", "q")), ("sessions", ("question_mark", "escape")), ("failures", ("v", "escape"))],
)
async def test_ways_are_offered_after_another_screen_too(
    source: Any, shown: Shown, main: str, there_and_back: tuple[str, str]
) -> None:
    app = WiretapeApp(source, start=main)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *there_and_back, "slash", "r")
        assert "tab region: ·" in shown(app)
        await press(pilot, "escape")
        assert "tab region: ·" not in shown(app)


@pytest.mark.parametrize("typed", ["region:", "-model!=", "=turns >"])
async def test_what_is_half_typed_picks_nothing_until_enter(source: Any, typed: str) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        bar = app.screen.query_one(FilterBar)
        bar.post_message(FilterBar.Typed(bar, typed, accepted=False))
        await settle(pilot)
        assert filtering(app).filter_text == ""
        bar.post_message(FilterBar.Typed(bar, typed, accepted=True))
        await settle(pilot)
        assert filtering(app).filter_text == typed


async def test_a_value_narrows_the_filter(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "v")
        assert re.search(r"11  ▲ 6 +region +eastus2", shown(app))
        await pilot.press(*"region swe")
        await press(pilot, "enter")
        assert filtering(app).filter_text == "region:swedencentral"
        assert "10 of 21" in shown(app)
        await press(pilot, "v")
        await pilot.press(*"outcome ok")
        await press(pilot, "enter")
        assert filtering(app).filter_text == "outcome:ok region:swedencentral"
        await press(pilot, "v")
        await pilot.press(*"outcome ok")
        await press(pilot, "enter")
        assert filtering(app).filter_text == "outcome:ok region:swedencentral"


async def test_a_filter_is_saved_recalled_on_another_screen_and_removed(
    source: Any, tmp_path: Path, shown: Shown
) -> None:
    path = tmp_path / "screens.json"
    app = WiretapeApp(source, memory=Memory(path, source.root))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "l")
        assert "no saved filter" in shown(app)
        await press(pilot, "escape", "slash")
        await pilot.press(*"region:eastus2")
        await press(pilot, "enter", "l")
        await pilot.press(*"east")
        await press(pilot, "enter")
        assert "saved as east" in shown(app)
        assert Memory(path, source.root).filters == {"east": "region:eastus2"}
        await press(pilot, "escape", "f", "l")
        await pilot.press(*"eas")
        await press(pilot, "enter")
        assert filtering(app).filter_text == "region:eastus2"
        assert "6 of 10 failed" in shown(app)
        await press(pilot, "l", "ctrl+r", "escape")
        assert Memory(path, source.root).filters == {}


async def test_what_one_screen_has_taken_in_the_other_counts_too(source: Any) -> None:
    app = WiretapeApp(source)

    def asked(question: str) -> int:
        return sum(each[0] == question for each in source.asked)

    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "f", "f")
        counted, listed = asked("failures"), asked("sessions_in_order")
        # Nothing is asked again for going to and fro.
        await press(pilot, "f", "f")
        assert (asked("failures"), asked("sessions_in_order")) == (counted, listed)
        await press(pilot, "f5")
        assert asked("failures") == counted
        await press(pilot, "f")
        assert asked("failures") == counted + 1
        listed = asked("sessions_in_order")
        await press(pilot, "f5", "f")
        assert asked("sessions_in_order") > listed


@pytest.mark.parametrize(("main", "question"), [("sessions", "sessions_in_order"), ("failures", "failures")])
async def test_until_a_filter_is_answered_no_count_of_another_stands_beside_it(
    source: Any, shown: Shown, monkeypatch: pytest.MonkeyPatch, main: str, question: str
) -> None:
    asked, may_answer = getattr(source, question), Event()

    def answer_later(*words: Any, **options: Any) -> Any:
        may_answer.wait(20)
        return asked(*words, **options)

    app = WiretapeApp(source, start=main)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert filter_line(shown(app)).endswith("failed")
        monkeypatch.setattr(source, question, answer_later)
        filtering(app).set_filter("region:eastus2")
        await pilot.pause()
        assert filter_line(shown(app)).endswith("reading …")
        may_answer.set()
        await settle(pilot)
        assert "failed" in filter_line(shown(app))
        filtering(app).set_filter("nope:1")
        await settle(pilot)
        assert filter_line(shown(app)) == " filter ▏nope:1"


async def test_the_newest_sessions_of_all_are_not_counted_under_a_filter_that_was_remembered(
    source: Any, shown: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    memory, may_answer = Memory(tmp_path / "screens.json", source.root), Event()
    memory.remember("sessions", filter="region:eastus2")
    source.opens_slowly = True
    asked = source.sessions_in_order

    def answer_later(*words: Any, **options: Any) -> Any:
        may_answer.wait(20)
        return asked(*words, **options)

    monkeypatch.setattr(source, "sessions_in_order", answer_later)
    app = WiretapeApp(source, memory=memory)
    async with app.run_test(size=(120, 40)) as pilot:
        while "21 sessions" not in shown(app):
            await pilot.pause()
        assert filter_line(shown(app)).endswith("reading …")
        may_answer.set()
        await settle(pilot)
        assert "of 21" in filter_line(shown(app))


def filter_line(page: str) -> str:
    return next(line.rstrip() for line in page.splitlines() if line.startswith(" filter ▏"))
