"""Wiretape's own replays, so many at a time, as `wiretape replay run` plays them; leaves how late each send was.

`python -m bench.traffic.replays --recordings ROOT --session ID --to URL --replays N --folder FOLDER`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from array import array
from pathlib import Path

from bench.traffic.loops import save, say
from capture.event_loop import choose_loop, spare_the_loop
from replay.deadlines import Deadlines
from capture.recorder import Recorder
from capture.recording.facts import ReplayFacts
from capture.recording.reader import open_recording
from capture.recording.root import Root
from capture.targets import Target
from replay.client import Played, play, read_upgrade
from replay.plan import make_plan


async def replay(root: Root, session_id: str, target: Target, recorder: Recorder, count: int) -> list[Played]:
    """Play one recording so many times at once."""
    recording = open_recording(root, session_id)
    plan, upgrade = make_plan(recording.messages()), read_upgrade(recording.session)

    deadlines: Deadlines

    async def one(trial: int) -> Played:
        facts = ReplayFacts(run_id="bench", replay_of=session_id, cell="sink", trial=trial)
        return await play(plan, target, recorder, replay=facts, upgrade=upgrade, deadlines=deadlines)

    with Deadlines() as deadlines:
        async with asyncio.TaskGroup() as tasks:
            playing = [tasks.create_task(one(trial), name=f"trial {trial}") for trial in range(count)]
    return [task.result() for task in playing]


def main() -> None:
    """Play, then tell what it took."""
    options = argparse.ArgumentParser()
    for name in ("--recordings", "--session", "--to", "--folder"):
        options.add_argument(name, required=True)
    options.add_argument("--replays", type=int, required=True)
    chosen = options.parse_args()
    root, target = Root(Path(chosen.recordings)), Target(name="sink", url=chosen.to)
    with Recorder(root) as recorder:
        begun_ns = time.process_time_ns()
        import os
        with asyncio.Runner(loop_factory=choose_loop() if os.environ.get('UV') else None) as r:
            played = r.run(replay(root, chosen.session, target, recorder, chosen.replays))
        cpu_ns = time.process_time_ns() - begun_ns
        say_played(played, cpu_ns, chosen.folder)


def say_played(played: list[Played], cpu_ns: int, folder: str) -> None:
    """Leave the deviations in the folder, and tell the parent."""
    deviations = array("q")
    for each in played:
        deviations.extend(int(us * 1000) for us in each.pacing.deviations_us)
    save(folder, "deviations", deviations)
    reasons = sorted({each.end_reason for each in played})
    say({"cpu_ns": cpu_ns, "sends": [len(each.pacing.deviations_us) for each in played], "ended": reasons})


if __name__ == "__main__":
    main()
