"""What `wiretape replay stage` does; replay/cli.py mounts it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from capture.ending import while_read
from capture.narration import print_json, print_line, tell
from capture.queued_output import queued_output
from capture.recording.root import Root, open_root
from capture.sealing import Sealer
from replay.simulator.loopback import loopback_directly
from replay.simulator.scenario import Scenario, load_scenario, unmet_regions
from replay.staging import Staged, StagedSession, stage


def run_stage(names: list[str], recordings: Path | None, *, seed: int, speed: float, as_json: bool) -> int:
    """Stage scenarios one after the other and print the ids of what is recorded; give the exit status.

    1 where a step of a script could not be done. Raises `UsageProblem` for an unknown scenario or a root that cannot
    be written to.
    """
    scenarios = [load_scenario(name) for name in names]
    root = open_root(recordings)
    with queued_output():
        try:
            with loopback_directly():
                staged = [_stage(each, root, seed=seed, speed=speed, prints_ids=not as_json) for each in scenarios]
        except KeyboardInterrupt:
            tell(f"interrupted: what was recorded so far is kept in {root.path}")
            raise
        if as_json:
            print_json([_told(each) for each in staged])
        tell(f"recorded in {root.path}; now: {root.command('wiretape analyze failures')}")
    return 1 if any(each.problems for each in staged) else 0


def _stage(scenario: Scenario, root: Root, *, seed: int, speed: float, prints_ids: bool) -> Staged:
    tell(f"staging {scenario.name}: {scenario.summary}")
    if unmet := unmet_regions(scenario, {session.region for session in scenario.client.sessions}):
        tell(f"  {unmet}")
    sealer, narrator = Sealer(root, in_process=True), _Narrator(prints_ids=prints_ids)
    staged = asyncio.run(stage(scenario, root, seed=seed, speed=speed, sealer=sealer, on_played=narrator.note))
    for problem in staged.problems:
        tell(f"  {problem}")
    return staged


class _Narrator:
    """Tells of each session of a scenario as soon as it is over: one may take minutes."""

    def __init__(self, *, prints_ids: bool) -> None:
        self._prints_ids = prints_ids
        self._number = 0

    def note(self, session: StagedSession) -> None:
        self._number += 1
        tell(f"  session {self._number}: {session.ended}")
        if self._prints_ids:
            # What is staged is staged to its end, whoever has stopped reading.
            with while_read():
                for session_id in session.session_ids:
                    print_line(session_id)


def _told(staged: Staged) -> dict[str, Any]:
    return {
        "scenario": staged.scenario,
        "session_ids": list(staged.session_ids),
        "ended": [session.ended for session in staged.sessions],
        "problems": list(staged.problems),
    }
