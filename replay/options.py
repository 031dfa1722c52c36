"""Options that several commands of replay take, declared once; cheap to import, as the command line is."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

import typer

from replay.completion import offer_runs


class ClockChoice(StrEnum):
    """What `--clock` can ask for."""

    ANCHORED = "anchored"
    ABSOLUTE = "absolute"


class NewToolChoice(StrEnum):
    """What `--on-new-tool` can ask for."""

    STOP = "stop"
    EMPTY = "empty"
    RECORDED = "recorded"


def finite(value: float | None) -> float | None:
    """Refuse `nan`, which is neither below nor above any limit, and `inf`; as an option's callback."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number to count with: give a finite one, or leave it out")
    return value


A_DAY_S = 86_400
"""No time that anybody means is longer; as nanoseconds, what is much longer has no end."""
Speed = Annotated[str, typer.Option("--speed", metavar="X|max", help="1 is the recorded pace; max: no clock.")]
Clock = Annotated[
    ClockChoice | None,
    typer.Option(
        "--clock",
        help="Speak as long after an answer as in the recording, or at the recorded time; without it anchored.",
    ),
]
OnNewTool = Annotated[
    NewToolChoice | None,
    typer.Option(
        "--on-new-tool",
        help="A function call that the recording does not have ends the trial, gets an empty output, or the last one"
        " recorded of its name; without it recorded.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="S",
        min=0.1,
        max=A_DAY_S,
        callback=finite,
        help="Seconds to wait for what a send depends on.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the order of trials.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent and what it costs, and send nothing.")]
Redact = Annotated[
    list[str] | None,
    typer.Option("--redact", metavar="WHAT", help="Not to be kept of the trials, as with `capture proxy`; repeatable."),
]
MaxSessions = Annotated[
    int | None, typer.Option("--max-sessions", metavar="N", min=1, help="Open no more sessions than this.")
]
MaxMinutes = Annotated[
    float | None,
    typer.Option("--max-minutes", metavar="M", min=0, callback=finite, help="Send no more minutes of audio than this."),
]
Retries = Annotated[
    int, typer.Option("--retries", metavar="N", min=0, help="How often a trial that is throttled is tried again.")
]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Go on with a run: an id, a unique prefix, or `last`.",
        autocompletion=offer_runs,
    ),
]


def given_options(context: typer.Context) -> set[str]:
    """Name the parameters that stand on the command line, `resume`, `dry_run` and the like left out."""
    aside = {"resume", "dry_run", "json_output", "recordings"}
    sources = {name: context.get_parameter_source(name) for name in context.params}
    # By its name: some releases of typer bring a click of their own.
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"} - aside
