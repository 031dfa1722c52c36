"""How commands end: the exit status, and what is said of it."""

from __future__ import annotations

import errno
import os
import pty
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from capture.ending import run_to_end
from capture.errors import EndpointRefused, UsageProblem
from tests.sample import SAMPLE

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    hook = sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UsageProblem("give another root"), 2, "wiretape: give another root\n"),
        (EndpointRefused("wss://host", "refused\x1b[31m"), 1, "wiretape: wss://host refused\\x1b[31m\n"),
        (UsageProblem("no target 'a\nwiretape: forged'"), 2, "wiretape: no target 'a\n  wiretape: forged'\n"),
        (KeyboardInterrupt(), 130, ""),
        (
            OSError(errno.EMFILE, "Too many open files"),
            2,
            "wiretape: no more files can be opened here: allow more first, with `ulimit -n 1024`\n",
        ),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_to_end(raising(error))
    assert (ended.value.code, capsys.readouterr().err) == (status, said)


def test_ctrl_c_while_a_class_is_set_up_is_a_ctrl_c() -> None:
    # `analyze sessions`, in the moment that numpy is imported.
    def set_up() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Error calling __set_name__ on 'cached_property' instance 'eps'") from error

    with pytest.raises(SystemExit) as ended:
        run_to_end(set_up)
    assert ended.value.code == 130


def test_a_fault_of_ours_is_no_ctrl_c() -> None:
    with pytest.raises(RuntimeError, match="ours"):
        run_to_end(raising(RuntimeError("ours")))


def test_ctrl_c_while_the_command_line_is_imported_ends_without_a_traceback() -> None:
    # At the first import of ours; the signal comes where it would come from the keyboard.
    interrupt = "import signal, sys; sys.meta_path.insert(0, type('Finder', (), {'find_spec': staticmethod("
    interrupt += "lambda name, *_: signal.raise_signal(signal.SIGINT) if name == 'analyze.cli' else None)})); "
    command = [sys.executable, "-c", f"{interrupt}from wiretape import main; main()"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")


def test_a_ctrl_c_that_python_can_only_ignore_comes_again() -> None:
    """As in the moment when an import gives back the lock of its module."""

    def work() -> None:
        module = type("Module", (), {})()
        lock = weakref.ref(module, lambda _: signal.raise_signal(signal.SIGINT))
        del module
        while lock() is None:
            time.sleep(60)

    with pytest.raises(SystemExit) as ended:
        run_to_end(work)
    assert ended.value.code == 130


def test_another_error_that_python_can_only_ignore_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        module = type("Module", (), {})()
        lock = weakref.ref(module, lambda _: raising(ValueError("not ours"))())
        del module
        assert lock() is None

    run_to_end(work)
    assert "not ours" in capsys.readouterr().err


def test_an_argument_that_is_not_utf8_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # `capture call --model` on a terminal in Latin-1.
    monkeypatch.setattr(sys, "argv", ["wiretape", "--model", "mod\udce8le"])
    sent: list[bytes] = []
    with pytest.raises(SystemExit) as ended:
        run_to_end(lambda: sent.append(sys.argv[2].encode()))
    said = "'mod\\udce8le' is not UTF-8, as from a terminal in another encoding: write it in UTF-8"
    assert (ended.value.code, capsys.readouterr().err) == (2, f"wiretape: {said}\n")
    monkeypatch.setattr(sys, "argv", ["wiretape"])
    with pytest.raises(UnicodeEncodeError):
        run_to_end(lambda: sent.append("\ud800".encode()))


def test_a_command_that_works_just_returns() -> None:
    done: list[int] = []
    run_to_end(lambda: done.append(1))
    assert done == [1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_terminal_that_closes_end_a_command_as_ctrl_c_does(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as ended:
        run_to_end(lambda: os.kill(os.getpid(), number))
    assert ended.value.code == 130


def test_under_nohup_a_terminal_that_closes_ends_no_command() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run_to_end(lambda: os.kill(os.getpid(), signal.SIGHUP))


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = "from capture.ending import run_to_end; run_to_end(lambda: [print('x' * 1000) for _ in range(10000)])"
    process = subprocess.Popen(
        [sys.executable, "-c", command], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 0


MANY_ROWS = "sql 'SELECT * FROM range(200000)'"


@pytest.mark.parametrize(
    "command",
    [MANY_ROWS, f"{MANY_ROWS} --csv", f"{MANY_ROWS} --json", f"{MANY_ROWS} 2>&1", "sql --list", "sessions 2>&1"],
)
def test_of_no_command_is_it_a_failure_that_head_has_seen_enough(command: str) -> None:
    # A reader that is gone when the first line comes, as `head` is after its last.
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        asked = f'exec "$0" -m wiretape analyze {command} --recordings recordings'
        if "2>&1" in asked:
            asked = asked.replace(" 2>&1", "") + " 2>&1"
        ended = subprocess.run(
            ["sh", "-c", asked, sys.executable], cwd=PROJECT, stdout=nobody, stderr=subprocess.PIPE, check=False
        )
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.skipif(int(duckdb.__version__.split(".")[0]) < 2, reason="the engine makes do with very few files")
def test_where_no_more_files_can_be_opened_no_recording_is_said_to_be_damaged() -> None:
    asked = 'ulimit -n 32; exec "$0" -m wiretape analyze failures --recordings recordings'
    ended = subprocess.run(["sh", "-c", asked, sys.executable], cwd=PROJECT, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr == b"wiretape: no more files can be opened here: allow more first, with `ulimit -n 1024`\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
@pytest.mark.parametrize("command", ["sessions", "sessions --json", "sql 'SELECT 1' --csv"])
def test_a_full_disk_is_told_in_a_sentence(command: str) -> None:
    asked = f'exec "$0" -m wiretape analyze {command} --recordings recordings >/dev/full'
    ended = subprocess.run(["sh", "-c", asked, sys.executable], cwd=PROJECT, capture_output=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == b"wiretape: what was asked for cannot be printed: No space left on device"
    assert b"Traceback" not in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("analyze sessions", 0),
        ("capture compact", 0),
        ("analyze show none-such", 2),
        ("analyze sessions >/dev/full", 2),
    ],
)
def test_a_log_on_a_full_disk_ends_no_command(tmp_path: Path, command: str, status: int) -> None:
    words, _, redirected = command.partition(" >")
    recordings = "recordings" if command.startswith("analyze") else str(tmp_path)
    asked = f'exec "$0" -m wiretape {words} --recordings {recordings} {redirected and ">" + redirected} 2>/dev/full'
    ended = subprocess.run(["sh", "-c", asked, sys.executable], cwd=PROJECT, stdout=subprocess.PIPE, check=False)
    assert ended.returncode == status


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_a_supervisor_closed_takes_up_nothing_else(tmp_path: Path, closed: str) -> None:
    program = """
import os, sys
from capture.ending import run_to_end
from capture.narration import print_line, tell
def command():
    print_line("data")
    tell("narration")
    with open(sys.argv[1], "w") as file:
        assert file.fileno() > 2
        file.write("done")
run_to_end(command)
"""
    told = tmp_path / "told"
    shell = f'exec "$0" -c "$1" "$2" {closed}'
    ended = subprocess.run(
        ["sh", "-c", shell, sys.executable, program, told], cwd=PROJECT, capture_output=True, check=False
    )
    assert (ended.returncode, told.read_text()) == (0, "done")


@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii"])
def test_a_locale_of_few_characters_ends_no_command(encoding: str) -> None:
    ask = [sys.executable, "-m", "wiretape", "analyze", "sql", "SELECT '●'", "--recordings", str(SAMPLE.path)]
    few = os.environ | {"PYTHONIOENCODING": encoding}
    # What a program reads is UTF-8, whatever the locale.
    piped = subprocess.run(ask, cwd=PROJECT, capture_output=True, env=few, timeout=60, check=True)
    assert "●" in piped.stdout.decode("utf-8")
    ours, terminal = pty.openpty()
    with os.fdopen(ours, "rb") as shown:
        subprocess.run(ask, cwd=PROJECT, stdout=terminal, env=few, timeout=60, check=True)
        os.close(terminal)
        assert rb"\u25cf" in shown.readline()
