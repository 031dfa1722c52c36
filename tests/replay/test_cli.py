"""The replay verbs as they are mounted: help, options, and no heavy import on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replay.cli import app

HEAVY = {"pyarrow", "numpy", "duckdb", "textual", "scipy", "websockets", "soundfile"}


def test_importing_the_verbs_loads_nothing_heavy() -> None:
    program = "import sys, replay.cli; print(*{name.split('.')[0] for name in sys.modules})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


@pytest.mark.parametrize("verb", ["run", "isolate", "serve", "simulate"])
def test_each_verb_explains_itself(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"])
    assert shown.exit_code == 0


def test_scenarios_are_listed() -> None:
    shown = CliRunner().invoke(app, ["simulate", "--list"])
    assert "transcription_model_path_failure" in shown.stdout
    listed = dict(line.split("\t") for line in shown.stdout.splitlines())
    assert list(listed) == sorted(listed)
    assert listed["healthy"].startswith("Nothing fails")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    ("command", "option"),
    [
        *(("run last --to x", option) for option in ("--timeout", "--skip-idle", "--max-minutes", "--noise")),
        ("isolate last", "--timeout"),
        ("isolate last", "--max-minutes"),
        ("serve last", "--timeout"),
        ("stage healthy", "--speed"),
    ],
)
def test_what_is_no_number_to_count_with_is_a_usage_error(command: str, option: str, value: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), f"{option}={value}"])
    assert done.exit_code == 2
    assert option in done.output


@pytest.mark.parametrize(
    ("command", "option"),
    [("run last --to x", "--timeout"), ("run last --to x", "--skip-idle"), ("serve last", "--timeout")],
)
def test_a_time_that_never_ends_is_a_usage_error(command: str, option: str) -> None:
    # It was an OverflowError: nanoseconds without end.
    done = CliRunner().invoke(app, [*command.split(), f"{option}=1e300"])
    assert done.exit_code == 2
    assert option in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "last"],
        ["run", "last", "--to", "x", "--trials", "0"],
        # Each would be laid out, in gigabytes of memory, by `--dry-run` too.
        ["run", "last", "--to", "x", "--trials", "100000000", "--dry-run"],
    ],
)
def test_what_is_missing_or_out_of_range_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2
