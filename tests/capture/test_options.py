"""The options that commands of all packages take."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from capture.errors import UsageProblem
from tests.sample import SAMPLE
from wiretape import app


@pytest.mark.parametrize(
    "command",
    [
        "capture list",
        "capture prune --older-than 30d",
        "capture drop 2026",
        "replay run last --to ws://127.0.0.1:9",
        "analyze sessions",
        "analyze --recordings= sessions",
        "demo --plain",
    ],
)
def test_a_root_of_a_variable_that_is_not_set_is_not_the_folder_one_is_in(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `wiretape capture prune --older-than 30d --recordings "$ROOT"`, in a folder that happens to be a root.
    monkeypatch.chdir(SAMPLE.path)
    ended = CliRunner().invoke(app, [*command.split(), *([] if "=" in command else ["--recordings", ""])])
    assert isinstance(ended.exception, UsageProblem)
    assert str(ended.exception).startswith("--recordings is empty, as of a variable that is not set: name a folder")


def test_the_folder_one_is_in_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLE.path)
    listed = CliRunner().invoke(app, ["capture", "list", "--recordings", "."])
    assert listed.exit_code == 0
    assert listed.stdout.startswith(min(path.stem for path in Path("sessions").rglob("*.parquet")))
