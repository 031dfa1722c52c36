"""What a shell is offered for runs and scenarios."""

from __future__ import annotations

import pytest
import typer

from replay.completion import offer_runs, offer_scenarios
from replay.simulator.scenario import list_scenarios
from tests.sample import RUN, SAMPLE


def test_scenarios_are_offered_with_what_they_stage() -> None:
    offers = dict(offer_scenarios(""))
    assert offers.keys() == dict(list_scenarios()).keys()
    assert offers["commit_empty"].startswith("The client commits a buffer")


def test_no_summary_has_a_character_that_a_shell_would_act_on() -> None:
    assert not set("".join(said for _, said in offer_scenarios(""))) & set("\"'`$\\()[]:;&|<>\n")


def test_runs_are_offered_behind_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_RECORDINGS", str(SAMPLE.path))
    command = typer.main.get_command(typer.Typer(callback=lambda: None))
    assert offer_runs(typer.Context(command), "") == [("last", "the newest one"), (RUN, "")]
