"""The front door: `wiretape capture | replay | analyze | demo`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from analyze.cli import app as analyze_app
from capture import __version__
from capture.cli import app as capture_app
from capture.errors import WiretapeError
from replay.cli import app as replay_app

app = typer.Typer(
    name="wiretape",
    help="The flight recorder for realtime voice AI: record sessions, replay them elsewhere, see what differs.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(capture_app, name="capture")
app.add_typer(replay_app, name="replay")
app.add_typer(analyze_app, name="analyze")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"wiretape {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None: ...


@app.command()
def demo(
    plain: Annotated[bool, typer.Option("--plain", help="Print the verdict and the table; no TUI.")] = False,
    recordings: Annotated[Path | None, typer.Option("--recordings", help="Root to record into.")] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, max=50, help="Replays a cell.")] = 5,
) -> None:
    """Record one incident, replay it over two regions and two models, and see the verdict. Needs no key."""
    from analyze.demo import run_demo

    run_demo(plain=plain, recordings=recordings, trials=trials)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit 0: done, 1: an endpoint refused or a gate failed, 2: it was misused, 130: Ctrl-C."""
    # A supervisor's SIGTERM ends a command as Ctrl-C does: what was recorded is sealed, nothing stays behind.
    signal.signal(signal.SIGTERM, _end_as_ctrl_c_does)
    try:
        app(arguments, prog_name="wiretape")
    except WiretapeError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough; flushing at exit would complain once more.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        # All is closed by now; a third Ctrl-C could only break the interpreter's own clearing up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(130)


def _end_as_ctrl_c_does(*_: object) -> None:
    # Commands that a script starts in the background are born deaf to Ctrl-C, and not to SIGTERM.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _complain(error: Any) -> None:
    # Errors may quote what an endpoint said: control characters must not reach the terminal.
    said = "".join(character if character.isprintable() or character == "\n" else "�" for character in str(error))
    typer.echo(f"wiretape: {said}", err=True)


if __name__ == "__main__":
    main()
