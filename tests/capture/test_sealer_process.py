"""The sealer beside a program: sealed sessions, a process that dies, one that cannot start, and the program's end."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.own_program import own_program
from capture.recording.reader import list_session_ids
from capture.recording.root import Root
from capture.sealer_process import SealerProcess
from capture.sealing import SealingFailed

Write = Callable[..., str]
OTHER_ID = "20260212T083056-00000002"


@pytest.fixture
def sealer(root: Root) -> Iterator[SealerProcess]:
    sealer = SealerProcess(root)
    yield sealer
    sealer.close()


def test_a_session_is_sealed_in_another_process(sealer: SealerProcess, root: Root, write_journal: Write) -> None:
    session_id = write_journal([("server", '{"type":"session.created"}')])
    sealed = sealer.submit(session_id).result()
    assert (sealed.session_id, sealed.outcome, sealed.events_received) == (session_id, "ok", 1)
    assert list_session_ids(root) == [session_id]
    assert not root.journal_of(session_id).exists()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not tell what a process has loaded")
def test_what_the_first_session_needs_is_loaded_before_it_ends(sealer: SealerProcess) -> None:
    maps = Path(f"/proc/{worker_of(sealer).pid}/maps")
    deadline_s = time.monotonic() + 60
    while "libarrow" not in maps.read_text() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert "libarrow" in maps.read_text()


def test_what_an_earlier_run_left_is_sealed_first(root: Root, write_journal: Write) -> None:
    session_id = write_journal()
    SealerProcess(root).close()
    assert list_session_ids(root) == [session_id]


def test_what_another_program_has_sealed_meanwhile_was_not_left_behind(
    root: Root, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It ended a moment ago, and its rule kept nothing of it.
    monkeypatch.setattr("capture.sealer_process.leftover_journals", lambda _: [OTHER_ID])
    SealerProcess(root).close()
    assert [entry.message for entry in caplog.records if entry.levelno >= logging.WARNING] == []


def test_what_is_no_session_is_told_and_the_next_is_sealed(sealer: SealerProcess, write_journal: Write) -> None:
    with pytest.raises(SealingFailed, match="or another process sealed it and did not have to keep it"):
        sealer.submit(OTHER_ID).result()
    assert sealer.submit(write_journal()).result().outcome == "ok"


def test_a_journal_that_cannot_be_sealed_goes_to_quarantine(root: Root) -> None:
    root.journal.mkdir(parents=True)
    root.journal_of(OTHER_ID).write_bytes(b"this is no journal at all")
    SealerProcess(root).close()
    assert [path.stem for path in root.quarantine.iterdir()] == [OTHER_ID]


def test_a_process_that_was_killed_is_replaced(sealer: SealerProcess, write_journal: Write) -> None:
    sealer.submit(write_journal()).result()
    assert sealer._worker is not None
    os.kill(sealer._worker.pid, signal.SIGKILL)
    sealer._worker.wait()
    assert sealer.submit(write_journal(session_id=OTHER_ID)).result().session_id == OTHER_ID


def test_where_no_process_can_start_sessions_stay_in_the_journal(
    root: Root, write_journal: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    sealer = SealerProcess(root)
    session_id = write_journal()
    with pytest.raises(SealingFailed, match="starts no sealer; run `wiretape capture recover`"):
        sealer.submit(session_id).result()
    sealer.close()
    assert root.journal_of(session_id).exists()


@pytest.mark.parametrize(("name", "is_frozen"), [("assistant", False), ("python3", True), (None, False)])
def test_a_program_that_is_no_python_is_not_run_once_more_in_the_place_of_a_sealer(
    root: Root,
    write_journal: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
    is_frozen: bool,
) -> None:
    ran = tmp_path / "ran"
    if name is not None:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho it places its calls > {ran}\n")
        program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", None if name is None else str(tmp_path / name))
    monkeypatch.setattr(sys, "frozen", is_frozen, raising=False)
    sealer = SealerProcess(root)
    session_id = write_journal()
    with pytest.raises(SealingFailed, match="starts no sealer; run `wiretape capture recover`"):
        sealer.submit(session_id).result(60)
    sealer.close()
    assert not ran.exists()
    assert root.journal_of(session_id).exists()


def test_a_program_in_a_hurry_leaves_the_rest_to_the_process(root: Root, write_journal: Write) -> None:
    sealer = SealerProcess(root)
    sealer.submit(write_journal()).result()
    worker = sealer._worker
    assert worker is not None
    sealer.submit(write_journal(session_id=OTHER_ID))
    sealer.close(0)
    # It works on although nobody listens any more, and then goes.
    assert worker.wait(60) == 0
    assert OTHER_ID in list_session_ids(root)


@pytest.fixture
def may_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a file without which no interpreter gets to run anything, as on a machine that is busy; each is chatty."""
    customs, may_start = tmp_path / "customs", tmp_path / "may_start"
    customs.mkdir()
    (customs / "sitecustomize.py").write_text(
        f"import os, time\nprint('customs')\nwhile not os.path.exists({str(may_start)!r}):\n    time.sleep(0.01)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(customs), os.environ.get("PYTHONPATH", "")]))
    return may_start


def worker_of(sealer: SealerProcess) -> subprocess.Popen[bytes]:
    while sealer._worker is None:
        time.sleep(0.01)
    return sealer._worker


def test_a_script_that_ends_before_the_process_is_ready_leaves_its_session_to_it(
    root: Root, write_journal: Write, may_start: Path
) -> None:
    sealer = SealerProcess(root)
    worker = worker_of(sealer)
    sealer.submit(write_journal())
    sealer.close(0)
    may_start.touch()
    assert worker.wait(60) == 0
    assert len(list_session_ids(root)) == 1


# Python 3.12 warns of it; programs do it all the same.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_is_forked_before_the_process_is_ready_lets_go_of_it(root: Root, may_start: Path) -> None:
    sealer = SealerProcess(root)
    worker = worker_of(sealer)
    outlives, ends = os.pipe()
    child = os.fork()
    if child == 0:
        sealer.forget()
        os.close(ends)
        os.read(outlives, 1)
        os._exit(0)
    try:
        may_start.touch()
        sealer.close()
        # Its input has ended, though the child lives on.
        assert worker.wait(60) == 0
    finally:
        os.close(ends)
        os.close(outlives)
        os.waitpid(child, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_every_process_of_a_service_does_not_end_it_before_its_program(
    sealer: SealerProcess, write_journal: Write, caplog: pytest.LogCaptureFixture, number: signal.Signals
) -> None:
    sealer.submit(write_journal()).result()
    os.kill(worker_of(sealer).pid, number)
    assert sealer.submit(write_journal(session_id=OTHER_ID)).result().session_id == OTHER_ID
    assert not caplog.messages


def test_who_reads_what_the_program_says_does_not_wait_for_what_is_sealed_after_its_end(
    root: Root, write_journal: Write
) -> None:
    session_id = write_journal()
    program = own_program("capture.sealer_process", "work(*sys.argv[1:])")
    started = subprocess.Popen(
        [sys.executable, *program, str(root.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with started as worker, root.journal_of(session_id).open() as journal:
        assert worker.stdin is not None
        assert worker.stderr is not None
        # Sealing waits for it.
        fcntl.flock(journal, fcntl.LOCK_EX)
        worker.stdin.write(f"{session_id}\n".encode())
        worker.stdin.close()
        assert select.select([worker.stderr], [], [], 30)[0]
        assert worker.stderr.read() == b""
        assert worker.poll() is None
        fcntl.flock(journal, fcntl.LOCK_UN)
        assert worker.wait(60) == 0
    assert list_session_ids(root) == [session_id]


# Python 3.12 warns of it; programs do it all the same.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_lets_go_of_the_process(sealer: SealerProcess, write_journal: Write) -> None:
    sealer.submit(write_journal()).result()
    child = os.fork()
    if child == 0:
        try:
            sealer.forget()
            told = sealer.submit(OTHER_ID).exception(20)
            os._exit(0 if sealer._worker is None and isinstance(told, SealingFailed) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sealer.submit(write_journal(session_id=OTHER_ID)).result().session_id == OTHER_ID
