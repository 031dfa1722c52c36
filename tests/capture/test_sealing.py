from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import select
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from capture.journal import Direction, JournalWriter, taken_bytes
from capture.recording.facts import SessionEnd
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer, SealingFailed, leftover_journals, seal

SESSION_ID = "20260212T083055-4f3a9c12"
OTHER_ID = "20260212T083056-00000002"
APPEND = '{"type":"input_audio_buffer.append","audio":"AAECAwQF"}'
SAID = [("server", '{"type":"session.created","session":{"id":"sess_1"}}'), ("client", APPEND), ("client", APPEND)]
Write = Callable[..., str]


def texts(root: Root, session_id: str = SESSION_ID) -> list[str | bytes]:
    return [message.content for message in open_recording(root, session_id).messages()]


def files(root: Root) -> list[str]:
    return sorted(str(path.relative_to(root.path)) for path in root.path.rglob("*") if path.is_file())


RECORDED = [f"{table}/date=2026-02-12/{SESSION_ID}.parquet" for table in ("audio", "events", "sessions")]


# --- seal -----------------------------------------------------------------------------------------------------


def test_a_journal_becomes_a_recording(root: Root, write_journal: Write) -> None:
    sealed = seal(root.path, write_journal(SAID))
    assert files(root) == RECORDED
    assert texts(root) == [text for _, text in SAID]
    assert (sealed.session_id, sealed.handshake_status) == (SESSION_ID, 101)
    assert (sealed.outcome, sealed.failure_keys, sealed.trial_outcome) == ("ok", (), None)
    assert (sealed.events_sent, sealed.events_received, sealed.turns) == (2, 1, 0)
    assert (sealed.duration_ms, sealed.audio_in_ms, sealed.audio_out_ms) == (60.0, 0.25, 0.0)
    assert (sealed.errors, sealed.first_error, sealed.complete, sealed.lost_bytes) == (0, None, True, 0)


def test_a_recording_is_private(root: Root, write_journal: Write) -> None:
    seal(root.path, write_journal(SAID))
    assert {stat.S_IMODE((root.path / name).stat().st_mode) for name in files(root)} == {0o600}


def test_the_session_row_tells_the_handshake(root: Root, write_journal: Write) -> None:
    seal(root.path, write_journal(SAID))
    session = open_recording(root, SESSION_ID).session
    assert (session["region"], session["provider"], session["host"]) == ("eastus2", "azure", "example.azure.com")
    assert session["started_at"].isoformat() == "2026-02-12T08:30:55+00:00"
    assert (session["format_version"], session["kept"], session["role"]) == (1, "whole", "captured")


def test_sealing_a_sealed_session_tells_the_same(root: Root, write_journal: Write) -> None:
    sealed = seal(root.path, write_journal(SAID))
    assert seal(root.path, SESSION_ID) == sealed


def test_a_session_without_a_journal_cannot_be_sealed(root: Root) -> None:
    with pytest.raises(SealingFailed, match=f"session {SESSION_ID} could not be sealed: it has no journal"):
        seal(root.path, SESSION_ID)


def test_a_torn_journal_is_sealed_as_incomplete(root: Root, write_journal: Write) -> None:
    write_journal(SAID)
    journal = root.journal_of(SESSION_ID)
    os.truncate(journal, journal.stat().st_size - 10)
    sealed = seal(root.path, SESSION_ID)
    assert (sealed.outcome, sealed.complete) == ("incomplete", False)
    assert texts(root) == [text for _, text in SAID]


def test_an_empty_journal_is_sealed_as_a_session_of_which_nothing_is_known(root: Root) -> None:
    root.journal.mkdir(parents=True)
    root.journal_of(SESSION_ID).touch()
    assert seal(root.path, SESSION_ID).outcome == "incomplete"
    assert texts(root) == []


def test_a_recording_damaged_while_its_journal_is_there_is_written_anew(root: Root, write_journal: Write) -> None:
    path = root.table_file("sessions", write_journal(SAID))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"nothing")
    assert seal(root.path, SESSION_ID).complete
    assert texts(root) == [text for _, text in SAID]


# A crash leaves no time to tidy up: the process ends in the middle of a system call's wrapper.
CRASHING = """
    import os, sys
    from pathlib import Path

    left = int(sys.argv[3])

    def crash_at(owner, name):
        original = getattr(owner, name)

        def counted(*arguments, **options):
            global left
            if left == 0:
                os._exit(42)
            left -= 1
            return original(*arguments, **options)

        setattr(owner, name, counted)

    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink")):
        crash_at(owner, name)
    from capture.sealing import seal

    seal(Path(sys.argv[1]), sys.argv[2])
"""
# Three tables, each flushed, renamed and its folder flushed; then the journal's removal.
STEPS = 3 * 3 + 1


@pytest.mark.parametrize("step", [0, 1, 3, 4, 7, 8, STEPS - 1])
def test_a_crash_at_any_point_ends_with_one_correct_recording(root: Root, write_journal: Write, step: int) -> None:
    write_journal(SAID)
    assert _run(CRASHING, root, SESSION_ID, str(step)) == 42
    assert leftover_journals(root) == [SESSION_ID]
    seal(root.path, SESSION_ID)
    assert files(root) == RECORDED
    assert texts(root) == [text for _, text in SAID]
    assert list_session_ids(root) == [SESSION_ID]


def test_the_crashes_above_are_all_there_are(root: Root, write_journal: Write) -> None:
    write_journal(SAID)
    assert _run(CRASHING, root, SESSION_ID, str(STEPS)) == 0
    assert files(root) == RECORDED


# --- leftovers ------------------------------------------------------------------------------------------------


def test_leftover_journals_are_those_nobody_writes(root: Root, write_journal: Write) -> None:
    assert leftover_journals(root) == []
    (root.journal / "a-folder.journal").mkdir(parents=True)
    assert leftover_journals(root) == []
    write_journal(SAID)
    writer = JournalWriter(root.journal, tick_s=0.001)
    writer.open(OTHER_ID).append(Direction.CLIENT, 0, b"x")
    _until(lambda: root.journal_of(OTHER_ID).exists())
    assert leftover_journals(root) == [SESSION_ID]
    writer.close()
    assert leftover_journals(root) == [SESSION_ID, OTHER_ID]


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        select.select([], [], [], 0.01)
    raise AssertionError("it never came to hold")


# --- the sealer -----------------------------------------------------------------------------------------------


@pytest.fixture
def sealer(root: Root) -> Iterator[Sealer]:
    sealer = Sealer(root)
    yield sealer
    sealer.close()


def test_the_sealer_seals_in_its_own_process(root: Root, write_journal: Write, sealer: Sealer) -> None:
    futures = [
        sealer.submit(write_journal(SAID)),
        sealer.submit(write_journal(SAID, session_id=OTHER_ID)),
    ]
    first, second = [future.result(timeout=60) for future in futures]
    assert replace(second, session_id=SESSION_ID) == first
    assert list_session_ids(root) == [SESSION_ID, OTHER_ID]
    assert not list(root.journal.iterdir())


def test_the_sealer_may_work_in_process(root: Root, write_journal: Write) -> None:
    sealer = Sealer(root, in_process=True)
    sealed = sealer.submit(write_journal(SAID))
    sealer.close()
    assert sealed.result(timeout=0).outcome == "ok"


def test_closing_waits_for_what_was_submitted(root: Root, write_journal: Write) -> None:
    sealer = Sealer(root)
    future = sealer.submit(write_journal(SAID))
    sealer.close()
    assert future.done()
    assert texts(root)


def test_what_cannot_be_sealed_twice_goes_to_quarantine(root: Root, write_journal: Write, sealer: Sealer) -> None:
    root.journal.mkdir(parents=True)
    root.journal_of(SESSION_ID).write_bytes(b"this is no journal of ours, whatever its name says")
    with pytest.raises(SealingFailed, match=r"its journal is kept in .*quarantine") as caught:
        sealer.submit(SESSION_ID).result(timeout=60)
    assert caught.value.kept_in == root.quarantine / f"{SESSION_ID}.journal"
    assert caught.value.kept_in.exists()
    assert leftover_journals(root) == []
    assert sealer.submit(write_journal(SAID, session_id=OTHER_ID)).result(timeout=60).outcome == "ok"


def test_a_disk_that_refuses_keeps_the_journal_where_it_is(root: Root, write_journal: Write) -> None:
    write_journal(SAID)
    (root.path / "events").write_text("a file where a folder should be")
    sealer = Sealer(root, in_process=True)
    with pytest.raises(SealingFailed, match="its journal is kept in"):
        sealer.submit(SESSION_ID).result(timeout=60)
    assert leftover_journals(root) == [SESSION_ID]
    (root.path / "events").unlink()
    assert sealer.submit(SESSION_ID).result(timeout=60).complete
    sealer.close()


# Python runs sitecustomize in every process it starts: so a sealer's process can be made to die at its work.
DYING = """
    import os
    from pathlib import Path

    lives = Path(os.environ["LIVES"])

    def die(*arguments):
        lives.write_text(str(int(lives.read_text()) - 1))
        os._exit(1)

    if int(lives.read_text()) > 0:
        import capture.sealing

        die.__module__, die.__qualname__ = "capture.sealing", "seal"
        capture.sealing.seal = die
"""


@pytest.fixture
def deaths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file that says how many of the sealer's processes shall die."""
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(DYING))
    lives = tmp_path / "lives"
    monkeypatch.setenv("LIVES", str(lives))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    return lives


def test_a_session_whose_sealer_dies_is_sealed_by_a_fresh_one(
    root: Root, write_journal: Write, sealer: Sealer, deaths: Path
) -> None:
    deaths.write_text("1")
    assert sealer.submit(write_journal(SAID)).result(timeout=60).complete
    assert deaths.read_text() == "0"


UNABLE_TO_START = """
    import os, sys

    if "--multiprocessing-fork" in sys.orig_argv and os.path.exists(os.environ["LIVES"]):
        os._exit(1)
"""
# What the system does where memory is too short for the libraries.
UNABLE_TO_LOAD = """
    import os, signal, sys

    class Killer:
        def find_spec(self, name, path=None, target=None):
            if name == "pyarrow" and os.path.exists(os.environ["LIVES"]):
                os.kill(os.getpid(), signal.SIGKILL)

    if "--multiprocessing-fork" in sys.orig_argv:
        sys.meta_path.insert(0, Killer())
"""


@pytest.mark.parametrize("unable", [UNABLE_TO_START, UNABLE_TO_LOAD])
def test_where_no_sealer_can_be_started_the_journal_stays_where_it_is_found_again(
    root: Root, write_journal: Write, sealer: Sealer, deaths: Path, unable: str
) -> None:
    (deaths.parent / "sitecustomize.py").write_text(textwrap.dedent(unable))
    deaths.touch()
    with pytest.raises(SealingFailed, match=r"no sealer can be started: .* is gone, or memory or room for") as told:
        sealer.submit(write_journal(SAID)).result(timeout=60)
    assert not told.value.is_quarantined
    assert leftover_journals(root) == [SESSION_ID]
    deaths.unlink()
    assert sealer.submit(SESSION_ID).result(timeout=60).complete


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("of", "why"),
    [
        ("multiprocessing.queues.Queue._start_thread", RuntimeError("can't start new thread")),
        ("concurrent.futures.process._ExecutorManagerThread.start", RuntimeError("can't start new thread")),
        ("multiprocessing.resource_tracker.ensure_running", BlockingIOError(errno.EAGAIN, "try again")),
    ],
)
def test_where_the_system_has_no_room_for_a_thread_or_process_nobody_waits_without_end(
    root: Root, write_journal: Write, sealer: Sealer, monkeypatch: pytest.MonkeyPatch, of: str, why: Exception
) -> None:
    def refuse(*_: object) -> None:
        # A limit on processes, which threads count among: `docker run --pids-limit`, TasksMax=.
        raise why

    with monkeypatch.context() as full:
        full.setattr(of, refuse)
        with pytest.raises(SealingFailed, match="no sealer can be started") as told:
            sealer.submit(write_journal(SAID)).result(timeout=60)
    assert not told.value.is_quarantined
    assert sealer.submit(SESSION_ID).result(timeout=60).complete


def test_where_shared_memory_is_full_it_is_not_the_disk_that_is_blamed(
    root: Root, write_journal: Write, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("_multiprocessing.SemLock", refuse)
        with pytest.raises(SealingFailed, match="started, as shared memory has no room: No space") as told:
            sealer.submit(write_journal(SAID)).result(timeout=60)
    assert not told.value.is_quarantined
    assert sealer.submit(SESSION_ID).result(timeout=60).complete


def test_what_ends_after_the_recorder_stays_for_a_recovery(root: Root, write_journal: Write) -> None:
    sealer = Sealer(root)
    sealer.close()
    with pytest.raises(SealingFailed, match=r"it was interrupted; its journal is kept in .*\.journal"):
        sealer.submit(write_journal(SAID)).result(timeout=0)


def test_a_session_without_a_journal_is_told_once_and_costs_no_sealer(
    root: Root, sealer: Sealer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SealingFailed, match=r"it has no journal in .*: none could be written, as on a full"):
        sealer.submit(SESSION_ID).result(timeout=60)
    pool = sealer._pool
    assert (pool is not None, caplog.text) == (True, "")
    with pytest.raises(SealingFailed, match="it has no journal"):
        sealer.submit(SESSION_ID).result(timeout=60)
    assert sealer._pool is pool


def test_a_session_that_kills_two_sealers_goes_to_quarantine(
    root: Root, write_journal: Write, sealer: Sealer, deaths: Path
) -> None:
    deaths.write_text("2")
    with pytest.raises(SealingFailed, match="the sealer died, twice"):
        sealer.submit(write_journal(SAID)).result(timeout=60)
    assert [path.name for path in root.quarantine.iterdir()] == [f"{SESSION_ID}.journal"]
    assert sealer.submit(write_journal(SAID, session_id=OTHER_ID)).result(timeout=60).complete


INTERRUPTED = """
    import os, signal, sys
    from multiprocessing import active_children
    from pathlib import Path
    from capture.recording.root import Root
    from capture.sealing import Sealer

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, lambda *_: None)
        sealer = Sealer(Root(Path(sys.argv[1])))
        sealer.submit(sys.argv[2]).result()
        before = active_children()
        os.killpg(0, signal.SIGINT)
        sealer.submit(sys.argv[3]).result()
        assert active_children() == before, "the process was interrupted"
        sealer.close()
"""


def test_ctrl_c_does_not_reach_the_sealer(root: Root, write_journal: Write) -> None:
    write_journal(SAID)
    write_journal(SAID, session_id=OTHER_ID)
    assert _run(INTERRUPTED, root, SESSION_ID, OTHER_ID) == 0
    assert list_session_ids(root) == [SESSION_ID, OTHER_ID]


def test_a_second_ctrl_c_leaves_the_rest_to_recover(
    root: Root, write_journal: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    sealer = Sealer(root)
    journal = root.journal_of(write_journal(SAID))
    with journal.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # sealing waits for it, for as long as it takes
        waiting, queued = sealer.submit(SESSION_ID), sealer.submit(write_journal(SAID, session_id=OTHER_ID))
        while not multiprocessing.active_children():
            time.sleep(0.01)
        with monkeypatch.context() as pressed, pytest.raises(KeyboardInterrupt):
            pressed.setattr(ThreadPoolExecutor, "shutdown", interrupt)
            sealer.close()
        for future in (waiting, queued):
            with pytest.raises(SealingFailed, match="it was interrupted"):
                future.result(timeout=60)
    sealer.close()
    assert not multiprocessing.active_children()
    assert leftover_journals(root) == [SESSION_ID, OTHER_ID]


ORPHANED = """
    import sys
    from multiprocessing import active_children
    from pathlib import Path
    from capture.recording.root import Root
    from capture.sealing import Sealer

    if __name__ == "__main__":
        Sealer(Root(Path(sys.argv[1]))).submit(sys.argv[2]).result()
        print(active_children()[0].pid, flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to wait for somebody else's child")
def test_a_killed_parent_leaves_no_sealer_behind(root: Root, write_journal: Write) -> None:
    command = _command(ORPHANED, root, write_journal(SAID))
    with subprocess.Popen(command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        sealer_process = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    ended = select.select([sealer_process], [], [], 30)[0]
    os.close(sealer_process)
    assert ended, "the sealer is still there"


def test_importing_sealing_is_cheap() -> None:
    heavy = "{'pyarrow', 'numpy', 'soundfile', 'duckdb'}"
    script = f"import sys, capture.sealing; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_a_journal_that_ends_in_a_refusal_is_sealed(root: Root, write_journal: Write) -> None:
    write_journal([("server", b"busy")], status=503, end=SessionEnd(offset_ns=1, end_reason="refused"))
    sealed = seal(root.path, SESSION_ID)
    assert (sealed.outcome, sealed.handshake_status) == ("failed", 503)
    assert texts(root) == ["busy"]


KILLED_WHILE_THE_DISK_STALLED = """
    import os, signal, sys, threading
    from pathlib import Path
    import capture.journal.file
    from capture.recorder import Recorder
    from capture.recording.facts import HandshakeResponse
    from capture.recording.root import Root

    if __name__ == "__main__":
        recorder = Recorder(Root(Path(sys.argv[1])))
        session = recorder.start_session(recorder.new_facts())
        session.fact(HandshakeResponse(offset_ns=0, status=101, headers=[]))
        session.bytes("server", bytes([0x81, 2]) + b"hi")
        while b"hi" not in (session._journal.path.read_bytes() if session._journal.path.exists() else b""):
            pass
        stalled = threading.Event()
        def stall(*_):
            stalled.set()
            threading.Event().wait()
        capture.journal.file.os.writev = stall
        session.bytes("server", bytes(1000))
        stalled.wait()
        session.bytes("client", bytes(500))
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no shared memory to count in")  # noqa: S108
def test_what_a_stalled_disk_cost_a_killed_recorder_is_counted(root: Root) -> None:
    root.path.parent.mkdir(exist_ok=True)
    assert _run(KILLED_WHILE_THE_DISK_STALLED, root) == -signal.SIGKILL
    [session_id] = leftover_journals(root)

    sealed = seal(root.path, session_id)

    assert texts(root, session_id) == ["hi"]
    assert (sealed.outcome, sealed.complete, sealed.lost_bytes) == ("incomplete", False, 1500)
    gaps = open_recording(root, session_id).session["gaps"]
    assert {(gap["sender"], gap["bytes"]) for gap in gaps} == {("client", 500), ("server", 1000)}
    assert taken_bytes(root.journal_of(session_id)) == {}


def _run(script: str, root: Root, *arguments: str) -> int:
    ended = subprocess.run(
        _command(script, root, *arguments), env=_environment(), start_new_session=True, timeout=60, check=False
    )
    return ended.returncode


def _command(script: str, root: Root, *arguments: str) -> list[str]:
    # A file, because a process that spawns reads its main module again.
    path = root.path.parent / "script.py"
    path.write_text(textwrap.dedent(script))
    return [sys.executable, str(path), str(root.path), *arguments]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
