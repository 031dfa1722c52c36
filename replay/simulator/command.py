"""What `wiretape replay simulate` does; replay/cli.py mounts it."""

from __future__ import annotations

import asyncio
import re
import signal

from capture.arguments import parse_listen
from capture.errors import UsageProblem
from capture.narration import on_stdout, tell
from capture.queued_output import A_MOMENT_S, queued_output
from replay.simulator.endpoint.server import REGIONS, serve
from replay.simulator.scenario import list_scenarios, load_scenario, unmet_regions

__all__ = ["list_scenarios", "run_simulator"]


def run_simulator(scenarios: list[str], regions: list[str], listen: str, seed: int, separate_origins: bool) -> None:
    """Serve the named scenarios (none: healthy) until Ctrl-C or SIGTERM; print one line a region once it listens.

    Raises `UsageProblem` for an unknown scenario or an address that cannot be listened on.
    """
    served = regions or list(REGIONS)
    for region in served:
        if not re.fullmatch(r"[a-z0-9-]+", region):
            raise UsageProblem(f"a region is a part of the path, such as eastus2, not {region!r}")
    staged = [load_scenario(name) for name in scenarios or ["healthy"]]
    for unmet in filter(None, (unmet_regions(scenario, served) for scenario in staged)):
        tell(unmet)
    address = parse_listen(listen)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with serve(
            staged, regions=served, listen=address, seed=seed, separate_origins=separate_origins
        ) as simulator:
            with on_stdout() as stdout:
                stdout.writelines(f"{region}\t{simulator.url(region)}\n" for region in simulator.regions)
            await stop.wait()

    with queued_output(ends_within_s=A_MOMENT_S):
        asyncio.run(run())
