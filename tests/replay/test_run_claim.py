"""A run while it is played."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from capture.errors import UsageProblem
from capture.recording.root import Root
from replay.run_claim import being_played, claimed
from replay.runs import Run, load_run


def test_a_run_is_played_by_one_process_at_a_time_and_is_interrupted_unless_it_is_marked_done(root: Root) -> None:
    started = datetime(2026, 11, 23, 1, 15, tzinfo=UTC)
    run = Run(run_id="r20261123T011500-3f2a", started_at=started, recordings=[], axes=[], cells=[], trials=5)
    with claimed(root, run.run_id), being_played(run, root):
        assert load_run(root, "last").status == "running"
        with (
            pytest.raises(UsageProblem, match="is being played by another process: wait until it is over"),
            claimed(root, run.run_id),
        ):
            pass
    assert load_run(root, "last").status == "interrupted"
    # Given free again, and nothing is left behind.
    with claimed(root, run.run_id), being_played(run, root):
        run.status = "done"
    assert load_run(root, "last").status == "done"
    assert [path.name for path in root.runs.iterdir()] == [f"{run.run_id}.json"]


def test_a_link_in_the_place_of_a_lock_empties_no_file(root: Root, tmp_path: Path) -> None:
    keys = tmp_path / "authorized_keys"
    keys.write_text("ssh-ed25519 …")
    root.runs.mkdir(parents=True)
    (root.runs / "r20261123T011500-3f2a.lock").symlink_to(keys)
    with pytest.raises(UsageProblem, match="cannot be made"), claimed(root, "r20261123T011500-3f2a"):
        pass
    assert keys.read_text() == "ssh-ed25519 …"


def test_nobody_else_may_open_the_lock_of_a_run_whatever_the_umask(root: Root) -> None:
    before = os.umask(0)
    try:
        with claimed(root, "r20261123T011500-3f2a"):
            modes = {path.name: oct(path.stat().st_mode & 0o777) for path in root.runs.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"r20261123T011500-3f2a.lock": "0o600"}
