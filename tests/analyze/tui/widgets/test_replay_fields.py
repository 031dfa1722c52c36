from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult

from analyze.tui.replay_plan import ReplayForm
from analyze.tui.screenshot import press, settle
from analyze.tui.widgets.replay_fields import ReplayFields
from capture.targets import Target

SUGGESTIONS = ["session.audio.output.voice=marin", "session.instructions="]


class Filling(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.changed = 0
        self.refused: list[str] = []

    def compose(self) -> ComposeResult:
        yield ReplayFields()

    @property
    def fields(self) -> ReplayFields:
        return self.query_one(ReplayFields)

    def on_replay_fields_changed(self) -> None:
        self.changed += 1

    def on_replay_fields_refused(self, event: ReplayFields.Refused) -> None:
        self.refused.append(event.sentence)


@pytest.fixture
async def pilot() -> Any:
    app = Filling()
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        targets = [Target(name=name, url=f"wss://{name}.example/x") for name in ("east", "west")]
        app.fields.offer(targets, ["east"], SUGGESTIONS)
        app.fields.targets.focus()
        await settle(pilot)
        yield pilot


async def test_targets_are_chosen_and_left_out(pilot: Any) -> None:
    app = pilot.app
    assert app.fields.form == ReplayForm(("east",), (), 5)
    await press(pilot, "down", "space", "up", "space")
    assert app.fields.form.targets == ("west",)
    assert app.changed >= 2


async def test_a_url_is_added_and_its_key_never_shown(pilot: Any) -> None:
    app = pilot.app
    url = "wss://host.example/realtime?api-key=s3cretvalue"
    await press(pilot, "tab", *"nonsense", "enter", *["backspace"] * 8)
    await pilot.press(*url)
    await press(pilot, "enter")
    assert "unknown target 'nonsense'" in app.refused[0]
    assert app.fields.form.targets == ("east", url)
    assert app.fields.chosen[1] == "wss://host.example/realtime?api-key=[redacted]"
    assert [target.name for target in app.fields.targets.rows][2] == app.fields.chosen[1]


async def test_changes_are_suggested_added_and_taken_back(pilot: Any) -> None:
    app = pilot.app
    await press(pilot, "tab", "tab", *"session.audio.out")
    await press(pilot, "right", "enter")
    assert app.fields.form.changes == ("session.audio.output.voice=marin",)
    await press(pilot, *"session.audio.output.voice=cedar", "enter")
    assert "changed twice" in app.refused[0]
    await press(pilot, "tab", "x")
    assert app.fields.form.changes == ()


async def test_trials_are_a_number(pilot: Any) -> None:
    app = pilot.app
    await press(pilot, *["tab"] * 4, "end", "backspace", "1", "2")
    assert app.fields.form.trials == 12
    await press(pilot, "backspace", "backspace")
    assert app.fields.form.trials == 0
