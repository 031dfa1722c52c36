"""Which options stand on a command line, and which are there by themselves."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.testing import CliRunner

from replay.options import DryRun, Resume, Retries, Seed, given_options

app = typer.Typer()


@app.command()
def command(
    context: typer.Context,
    axes: Annotated[list[str] | None, typer.Option("--axis")] = None,
    seed: Seed = 0,
    retries: Retries = 4,
    resume: Resume = None,
    dry_run: DryRun = False,
) -> None:
    typer.echo(",".join(sorted(given_options(context))))


def test_only_what_was_typed_is_given_and_what_says_how_to_answer_is_not_counted() -> None:
    for line, given in {
        "": "",
        "--resume last --dry-run": "",
        # Also where it is what would be taken anyway.
        "--seed 0 --resume last": "seed",
        "--axis a=1 --axis b=2 --retries 0": "axes,retries",
    }.items():
        assert CliRunner().invoke(app, line.split()).stdout.strip() == given
