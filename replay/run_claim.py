"""A run while it is played: one process holds it, and its file says how it stands."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast

from capture.errors import UsageProblem
from capture.private_files import create_private, make_private_folder
from capture.recording.root import Root
from replay.runs import Run, RunStatus, encode_run, save_run


@contextmanager
def claimed(root: Root, run_id: str) -> Iterator[None]:
    """Hold a run, so that no other process plays it too; raises `UsageProblem` where one does, or no lock can be made.

    The lock goes with its process, however that ends; its file stays only after a kill.
    """
    make_private_folder(root.runs)
    path = root.runs / f"{run_id}.lock"
    try:
        lock = create_private(path)
    except OSError as error:
        raise UsageProblem(f"{path} cannot be made: {error.strerror or error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageProblem(f"run {run_id} is being played by another process: wait until it is over") from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def being_played(run: Run, root: Root) -> Iterator[None]:
    """Keep a run's file while it is played: running, and in the end interrupted, unless it was marked done."""
    run.status, run.ended_at = "running", None
    save_run(root, run.run_id, encode_run(run))
    try:
        yield
    finally:
        # Marked done in between.
        run.status = "done" if cast("RunStatus", run.status) == "done" else "interrupted"
        run.ended_at = datetime.now(UTC)
        for cell in run.cells:
            cell.trials.sort(key=lambda trial: trial.trial)
        save_run(root, run.run_id, encode_run(run))
