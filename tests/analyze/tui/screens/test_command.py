from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from analyze.tui.screens.command import replay_command
from capture.recording.root import Root


def test_the_command_goes_to_where_the_session_went(source: Any) -> None:
    session = replace(source.listed[0], session_id="20260212T083055-4f3a9c12", target="azure-eastus2")
    assert (
        replay_command(session, Root(Path("recordings")))
        == "wiretape replay run 20260212T083055-4f3a9c12 --to azure-eastus2 --trials 5"
    )


def test_another_root_is_named(source: Any) -> None:
    assert replay_command(source.listed[0], Root(Path("/srv/my calls"))).endswith("--recordings '/srv/my calls'")


def test_a_hostile_target_cannot_leave_its_word(source: Any) -> None:
    session = replace(source.listed[0], target="x; rm -rf ~ #")
    assert "--to 'x; rm -rf ~ #' --trials" in replay_command(session, Root(Path("recordings")))


def test_without_a_target_a_place_is_left(source: Any) -> None:
    assert "--to TARGET " in replay_command(replace(source.listed[0], target=None), Root(Path("recordings")))
