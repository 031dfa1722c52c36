"""Wiretape's own replays, so many at a time, each as `wiretape replay run` plays it; leaves how late each send was.

`python -m bench.traffic.replays --recordings ROOT --session ID --to URL --sessions N --folder FOLDER`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from bench.traffic.lateness import report
from capture.event_loop import choose_loop, pass_over_the_heap
from capture.journal.spooled import open_journals
from capture.recorder import Recorder
from capture.recording.facts import ReplayFacts
from capture.recording.reader import open_recording
from capture.recording.root import Root
from capture.targets import Target
from replay.client import Played, play, read_upgrade
from replay.deadlines import Deadlines
from replay.planning import make_plan


async def replay(root: Root, session_id: str, target: Target, recorder: Recorder, sessions: int) -> list[Played]:
    """Play one recording so many times at once."""
    recording = open_recording(root, session_id)
    plan, upgrade = make_plan(recording.messages()), read_upgrade(recording.session)

    async def play_one(trial: int, deadlines: Deadlines) -> Played:
        facts = ReplayFacts(run_id="bench", replay_of=session_id, cell="sink", trial=trial)
        return await play(plan, target, recorder, replay=facts, upgrade=upgrade, deadlines=deadlines)

    with pass_over_the_heap(), Deadlines() as deadlines:
        async with asyncio.TaskGroup() as tasks:
            playing = [tasks.create_task(play_one(trial, deadlines), name=f"{trial}") for trial in range(sessions)]
    return [task.result() for task in playing]


def main() -> None:
    """Play, then tell the parent what it took."""
    options = argparse.ArgumentParser()
    for name in ("--recordings", "--session", "--to", "--folder"):
        options.add_argument(name, required=True)
    options.add_argument("--sessions", type=int, required=True)
    chosen = options.parse_args()
    root, target = Root(Path(chosen.recordings)), Target(name="sink", url=chosen.to)
    with Recorder(root, journals=open_journals) as recorder, asyncio.Runner(loop_factory=choose_loop()) as runner:
        begun_ns = time.process_time_ns()
        played = runner.run(replay(root, chosen.session, target, recorder, chosen.sessions))
        cpu_ns = time.process_time_ns() - begun_ns
        incomplete = [each.end_reason for each in played if each.end_reason != "completed"]
        report(chosen.folder, [each.pacing.deviations_us for each in played], cpu_ns, problems=incomplete)


if __name__ == "__main__":
    main()
