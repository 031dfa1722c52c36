from __future__ import annotations

from analyze.runs import list_runs
from analyze.store import open_store
from capture.recording.root import Root
from tests.analyze.conftest import Trace


def test_runs_are_read_off_their_sessions(root: Root) -> None:
    for number, outcome in enumerate(("failed", "ok", "throttled")):
        replayed = {"role": "replayed", "run_id": "r1", "replay_of": "x", "cell": f"c{number % 2}"}
        Trace(f"20260212T08300{number}-0000000a", replayed | {"trial_outcome": outcome}).write(root)
    Trace("20260213T083000-0000000a", {"run_id": "r2", "replay_of": "x", "trial_outcome": "ok"}).write(root)
    with open_store(root) as store:
        newest, oldest = list_runs(store)
    assert (newest.run_id, newest.trials) == ("r2", 1)
    assert (oldest.cells, oldest.trials, oldest.failed, oldest.ok, oldest.not_counted) == (2, 3, 1, 1, 1)
    assert oldest.replay_of == ("x",)
