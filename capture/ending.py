"""How a command ends: with which status, on what signal, and what it says then."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn, TextIO

from capture.errors import OutOfFiles, UsageProblem, WiretapeError, is_out_of_files
from capture.plain_text import is_utf8, visible_lines

_SOON_S = 0.01


def run_to_end(command: Callable[[], None]) -> None:
    """Run a command; exit 0: done, 1: an endpoint refused or a gate failed, 2: it was misused, 130: Ctrl-C."""
    _open_what_is_closed()
    _take_every_character(sys.stdout)
    # A supervisor's SIGTERM ends a command as Ctrl-C does, and so does a terminal that closes: what was recorded is
    # sealed, nothing stays behind.
    signal.signal(signal.SIGTERM, _end_as_ctrl_c_does)
    # Under `nohup` a command goes on.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _end_as_ctrl_c_does)
    sys.unraisablehook = _end_soon
    try:
        command()
    except WiretapeError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        let_go_of(sys.stdout)
        sys.exit(0)
    except OSError as error:
        if not is_out_of_files(error):
            raise
        _complain(OutOfFiles())
        sys.exit(OutOfFiles.exit_code)
    except UnicodeEncodeError:
        odd = next((argument for argument in sys.argv if not is_utf8(argument)), None)
        if odd is None:
            raise
        # Files may be called so; what goes to an endpoint or into a recording may not.
        _complain(UsageProblem(f"{odd!r} is not UTF-8, as from a terminal in another encoding: write it in UTF-8"))
        sys.exit(UsageProblem.exit_code)
    except KeyboardInterrupt:
        _exit_interrupted()
    except RuntimeError as error:
        # What Python 3.11 makes of a Ctrl-C while a class is set up, as numpy's are by its import.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        _exit_interrupted()


def _exit_interrupted() -> NoReturn:
    # All is closed by now; a third Ctrl-C could only break the interpreter's own clearing up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(130)


def _open_what_is_closed() -> None:
    # A supervisor may start a command without them (`>&-`). The next file or socket would take the number, and what is
    # printed would go there.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or _writing_to(1)
    sys.stderr = sys.stderr or _writing_to(2)


def _writing_to(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", closefd=False)


def _take_every_character(stream: TextIO) -> None:
    # A locale such as ISO-8859-1 has no sign for an outcome. What programs read is UTF-8 everywhere, as JSON has to be;
    # a terminal gets what it can show, and `\u25cf` for the rest, as Python has it on stderr.
    if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
        if stream.isatty():
            stream.reconfigure(errors="backslashreplace")
        else:
            stream.reconfigure(encoding="utf-8")


@contextlib.contextmanager
def while_read() -> Iterator[None]:
    """Print in the block for as long as somebody reads: a reader who has seen enough (`| head`) is no failure."""
    try:
        yield
    except BrokenPipeError:
        let_go_of(sys.stdout)


def let_go_of(stream: TextIO) -> None:
    """Have a stream write nowhere from here on: the reader of a pipe (`| head`) has gone."""
    # Flushing at exit would complain once more.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _end_as_ctrl_c_does(*_: object) -> None:
    # Commands that a script starts in the background are born deaf to Ctrl-C, and not to SIGTERM.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _end_soon(ignored: sys.UnraisableHookArgs) -> None:
    """Let no Ctrl-C be lost that Python met where it can only ignore it: in a callback of a module's lock, say."""
    if ignored.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(ignored)
        return
    signal.signal(signal.SIGALRM, _end_as_ctrl_c_does)
    signal.setitimer(signal.ITIMER_REAL, _SOON_S)


def write_to_stderr(lines: str) -> None:
    """Write lines to stderr at once; where nobody reads them any more, or the disk is full, nowhere from here on."""
    try:
        sys.stderr.write(f"{lines}\n")
        sys.stderr.flush()
    except OSError:
        let_go_of(sys.stderr)


def _complain(error: WiretapeError) -> None:
    # Errors may quote what an endpoint said: control characters must not reach the terminal. The status says it too,
    # where nobody reads.
    write_to_stderr(f"wiretape: {visible_lines(str(error))}")
