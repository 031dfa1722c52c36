"""What `wiretape replay stage` does; replay/cli.py mounts it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from capture.narration import print_json, print_line, tell
from capture.recording.root import open_root
from capture.sealing import Sealer
from replay.simulator.loopback import loopback_directly
from replay.simulator.scenario import load_scenario
from replay.staging import Staged, stage


def run_stage(names: list[str], recordings: Path | None, *, seed: int, speed: float, as_json: bool) -> int:
    """Stage scenarios one after the other and print the ids of what was recorded; give the exit status.

    1 where a step of a script could not be done. Raises `UsageProblem` for an unknown scenario or a root that cannot
    be written to.
    """
    scenarios = [load_scenario(name) for name in names]
    root = open_root(recordings)
    has_problems = False
    told: list[dict[str, Any]] = []
    with loopback_directly():
        for scenario in scenarios:
            tell(f"staging {scenario.name}: {scenario.summary}")
            staged = asyncio.run(stage(scenario, root, seed=seed, speed=speed, sealer=Sealer(root, in_process=True)))
            _narrate(staged)
            has_problems = has_problems or bool(staged.problems)
            told.append(_told(staged))
            if not as_json:
                for session_id in staged.session_ids:
                    print_line(session_id)
    if as_json:
        print_json(told)
    tell(f"recorded in {root.path}; now: wiretape analyze failures --recordings {root.path}")
    return 1 if has_problems else 0


def _told(staged: Staged) -> dict[str, Any]:
    return {
        "scenario": staged.scenario,
        "session_ids": list(staged.session_ids),
        "ended": [session.ended for session in staged.sessions],
        "problems": list(staged.problems),
    }


def _narrate(staged: Staged) -> None:
    for number, session in enumerate(staged.sessions, 1):
        tell(f"  session {number}: {session.ended}")
    for problem in staged.problems:
        tell(f"  {problem}")
