"""What a shell is offered for runs and scenarios that are half typed; silent, as capture/completion.py."""

from __future__ import annotations

import typer

from capture.completion import LAST, Offers, root_typed, silent


@silent
def offer_runs(ctx: typer.Context, incomplete: str) -> Offers:  # noqa: ARG001 - typer passes it
    """Offer the runs of the root, the newest first."""
    from replay.runs import list_run_ids

    return [LAST, *((run_id, "") for run_id in reversed(list_run_ids(root_typed(ctx))))]


@silent
def offer_scenarios(incomplete: str) -> Offers:  # noqa: ARG001 - typer passes it
    """Offer the shipped scenarios, each with its line."""
    from replay.simulator.scenario import list_scenarios

    return list_scenarios()
