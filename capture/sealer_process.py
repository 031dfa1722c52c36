"""The sealer of a program that is not ours: a process that runs none of that program's code.

`multiprocessing` starts a process by importing the program's main module into it, and with it whatever that module
does when it is imported: place calls. This one imports Wiretape and nothing else. It ends when its input does, so
that whatever becomes of the program, it never stays behind.
"""

from __future__ import annotations

import base64
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import IO

from capture.errors import GuestLog
from capture.own_program import end_first, own_program
from capture.recording.root import Root
from capture.sealing import (
    SEALERS_URGENCY,
    SealedSession,
    Sealer,
    SealingFailed,
    leftover_journals,
    load_libraries,
    seal_within,
)

_log = GuestLog(__name__)

_READY = b"ready\n"
_NICENESS = 10

_Submitted = tuple[str, Future[SealedSession]]


class SealerProcess(Sealer):
    """Seals sessions one after another; begins with what an earlier run left in the journal.

    Works while the interpreter exits too, when executors no longer do.
    """

    def __init__(self, root: Root) -> None:
        super().__init__(root)
        self._submitted: queue.SimpleQueue[_Submitted | None] = queue.SimpleQueue()
        self._unsealed: dict[str, None] = {}
        """Submitted and not answered yet, in their order."""
        self._worker: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._thread.start()

    def submit(self, session_id: str) -> Future[SealedSession]:
        """Have a session sealed whose journal is closed; returns at once."""
        sealed: Future[SealedSession] = Future()
        if self._is_abandoned or self._is_closed:
            # Who waits for it would wait for ever.
            reason = "it was interrupted" if self._is_abandoned else "it ended after its recorder was closed"
            sealed.set_exception(SealingFailed(session_id, reason, self._root.journal_of(session_id)))
            return sealed
        self._unsealed[session_id] = None
        self._submitted.put((session_id, sealed))
        return sealed

    def close(self, within_s: float | None = None) -> None:
        """Wait for what was submitted, up to the time given; then leave the rest to its process, which lives on."""
        self._is_closed = True
        self._submitted.put(None)
        with suppress(KeyboardInterrupt):
            self._thread.join(within_s)
        if self._thread.is_alive():
            self._hand_over()

    def forget(self) -> None:
        """Let go of the process, in a forked child: its input must end with the parent, and not with the child.

        What ends here of what the parent recorded is not sealed: the parent's recording goes on.
        """
        self._is_abandoned = True
        worker, self._worker = self._worker, None
        if worker is None:
            return
        for stream in (worker.stdin, worker.stdout):
            if stream is not None:
                stream.close()
        # No child of this process: there is nothing to wait for, nor to warn of.
        worker.returncode = 0

    def _run(self) -> None:
        left_behind = self._leftovers()
        # It stands before the first session ends: an interpreter that exits may start no process any more.
        with suppress(OSError):
            self._start()
        for session_id in left_behind:
            _log.info("sealing %s, left behind by an earlier run", session_id)
            self._seal_into(Future(), session_id)
        while (submitted := self._submitted.get()) is not None:
            session_id, sealed = submitted
            self._seal_into(sealed, session_id)
            self._unsealed.pop(session_id, None)
        if not self._is_abandoned:
            self._drop_pool()
        elif self._worker is not None and self._worker.stdout is not None:
            self._worker.stdout.close()

    def _leftovers(self) -> list[str]:
        try:
            return leftover_journals(self._root)
        except OSError:
            return []

    def _seal_into(self, sealed: Future[SealedSession], session_id: str) -> None:
        try:
            sealed.set_result(self._seal(session_id))
        except Exception as error:  # noqa: BLE001 - the next session must be sealed
            # A journal that was found and is gone, another program's sealer has sealed: it was not left behind.
            was_submitted = session_id in self._unsealed
            if was_submitted or not isinstance(error, SealingFailed) or error.kept_in is not None:
                _log.warning("%s", error)
            sealed.set_exception(error)

    def _attempt(self, session_id: str) -> SealedSession:
        worker = self._worker or self._start()
        try:
            _input(worker).write(f"{session_id}\n".encode())
        except BrokenPipeError as error:
            raise BrokenProcessPool(str(error)) from error
        answer = _read_line(worker)
        if not answer:
            raise BrokenProcessPool("the sealer died")
        result = pickle.loads(base64.b64decode(answer))  # noqa: S301 - from our own process
        if isinstance(result, Exception):
            raise result
        sealed: SealedSession = result
        return sealed

    def _drop_pool(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            _end(worker)

    def _start(self) -> subprocess.Popen[bytes]:
        # Known before it is ready: a program in a hurry hands over to it, and a forked child lets go of it.
        worker = self._worker = subprocess.Popen(
            [_interpreter(), *own_program(__name__, "work(*sys.argv[1:])"), str(self._root.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            # Ctrl-C goes to the whole terminal group; what has ended is to be sealed all the same.
            start_new_session=True,
        )
        end_first(worker.pid, SEALERS_URGENCY)
        # What a `sitecustomize` prints comes first.
        while (line := _read_line(worker)) != _READY:
            if not line:
                worker.kill()
                self._drop_pool()
                raise _no_sealer()
        return worker

    def _hand_over(self) -> None:
        # The first of them may have been handed over already: a session sealed again is sealed once.
        left, worker = list(self._unsealed), self._worker
        # What the thread still fails with now is no fault of a session's.
        self._is_abandoned = True
        if worker is None:
            return
        # A thread that has just sealed the last of them has closed the input itself.
        with suppress(OSError, ValueError):
            for session_id in left:
                _input(worker).write(f"{session_id}\n".encode())
            _input(worker).close()


def work(root: str) -> None:
    """Seal the sessions whose ids come as lines on stdin, and answer each with a line; the process's main."""
    answers = os.dup(1)
    # What else prints must not pass for an answer.
    os.dup2(2, 1)
    # A service manager sends its signals to every process of a service: what has ended is to be sealed all the same,
    # and so is what ends while the program takes its leave.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Calls go before recordings, on the CPU too.
    os.nice(_NICENESS)
    asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    _write(answers, _READY)
    # While the first session goes on: a script that ends with it would wait for that. What fails here fails once more
    # with the session, and is told there.
    with suppress(Exception):
        load_libraries()
    while (session_id := asked.get()) is not None:
        _write(answers, base64.b64encode(_pickled(_result(Path(root), session_id))) + b"\n")


def _listen(asked: queue.SimpleQueue[str | None]) -> None:
    for line in sys.stdin:
        asked.put(line.strip())
    # The program is gone. Who reads what it says (a pipe, a job of CI) waits for all that could say something still.
    silent = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(silent, descriptor)
    asked.put(None)


def _interpreter() -> str:
    """Give the program that runs Python; `OSError` where this process is none.

    A frozen application, or uWSGI, asked to run a module would run the program once more, and that one a sealer again.
    """
    program = sys.executable
    if not program or getattr(sys, "frozen", False) or not _is_called_python(Path(program)):
        raise _no_sealer()
    return program


def _is_called_python(program: Path) -> bool:
    return any(known in path.name for path in (program, program.resolve()) for known in ("python", "pypy"))


def _no_sealer() -> OSError:
    # No fault of a session's: they stay in the journal.
    return OSError(f"{sys.executable or 'this program'} starts no sealer; run `wiretape capture recover`")


def _result(root: Path, session_id: str) -> SealedSession | Exception:
    try:
        return seal_within(root, session_id)
    except Exception as error:  # noqa: BLE001 - who asked for it judges it
        return error


def _pickled(result: SealedSession | Exception) -> bytes:
    try:
        return pickle.dumps(result)
    except Exception:  # noqa: BLE001 - an error may hold anything
        return pickle.dumps(RuntimeError(repr(result)))


def _write(descriptor: int, line: bytes) -> None:
    # The program may be gone; what it handed over is sealed all the same.
    with suppress(BrokenPipeError):
        os.write(descriptor, line)


def _input(worker: subprocess.Popen[bytes]) -> IO[bytes]:
    if worker.stdin is None:
        raise BrokenProcessPool("the sealer takes nothing")
    return worker.stdin


def _end(worker: subprocess.Popen[bytes]) -> None:
    _input(worker).close()
    worker.wait()
    if worker.stdout is not None:
        worker.stdout.close()


def _read_line(worker: subprocess.Popen[bytes]) -> bytes:
    # Unbuffered: a thread that is stopped at the exit of the interpreter must hold no buffer's lock.
    return worker.stdout.readline() if worker.stdout is not None else b""
