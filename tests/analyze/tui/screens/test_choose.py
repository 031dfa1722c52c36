from __future__ import annotations

import pytest
from textual.app import App

from analyze.tui.lines import text
from analyze.tui.screens.choose import Choice, ChooseScreen, Chosen

CHOICES = [Choice(name, name, text(name)) for name in ("region:eastus2", "region:sweden", "model:gpt")]


class ChooseApp(App[None]):
    def __init__(self, screen: ChooseScreen) -> None:
        super().__init__()
        self.asked = screen
        self.chosen: list[Chosen | None] = []

    def on_mount(self) -> None:
        self.push_screen(self.asked, self.chosen.append)


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (["enter"], Chosen("region:eastus2")),
        (["down", "down", "down", "up", "enter"], Chosen("region:sweden")),
        ([*"REG swe", "enter"], Chosen("region:sweden")),
        ([*"mine", "enter"], Chosen("mine", "create")),
        ([*"model:gpt", "enter"], Chosen("model:gpt")),
        (["down", "ctrl+r"], Chosen("region:sweden", "remove")),
        (["escape"], None),
    ],
)
async def test_what_is_done_with_which_choice(keys: list[str], chosen: Chosen | None) -> None:
    app = ChooseApp(ChooseScreen("Choose", CHOICES, create="save as", removable=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.chosen == [chosen]


async def test_where_nothing_is_left_nothing_is_chosen() -> None:
    app = ChooseApp(ChooseScreen("Choose", CHOICES))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"nothing", "enter", "ctrl+r", "down", "pagedown")
        await pilot.pause()
        assert app.chosen == []


async def test_a_click_on_the_current_choice_takes_it() -> None:
    app = ChooseApp(ChooseScreen("Choose", CHOICES))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.click("ChoiceList", offset=(3, 1))
        await pilot.click("ChoiceList", offset=(3, 1))
        await pilot.pause()
        assert app.chosen == [Chosen("region:sweden")]
