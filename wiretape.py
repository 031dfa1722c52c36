"""The front door: `wiretape capture | replay | analyze | demo`."""

from __future__ import annotations

import sys

try:
    from pathlib import Path
    from typing import Annotated, Any

    import typer
    from typer.core import TyperGroup

    from analyze.cli import app as analyze_app
    from capture import __version__
    from capture.cli import app as capture_app
    from capture.ending import run_to_end, while_read
    from capture.options import read_root
    from replay.cli import app as replay_app
except KeyboardInterrupt:
    # They take a fifth of a second, and nothing is open yet that `run_to_end` would have to close.
    sys.exit(130)


class FrontDoor(TyperGroup):
    """All commands; of none is it a failure that the reader of a pipe has seen enough (`| head`)."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; without this, typer would have its status be 1."""
        with while_read():
            return super().invoke(ctx)
        return None


app = typer.Typer(
    name="wiretape",
    cls=FrontDoor,
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
    recordings: Annotated[
        Path | None,
        typer.Option(
            "--recordings",
            metavar="ROOT",
            help="Root to record into; else that of WIRETAPE_RECORDINGS, or ./recordings.",
            parser=read_root,
        ),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, max=50, help="Replays a cell.")] = 5,
) -> None:
    """Record one incident, replay it over two regions and two models, and see the verdict. Needs no key."""
    from analyze.demo import run_demo

    run_demo(plain=plain, recordings=recordings, trials=trials)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    run_to_end(lambda: app(arguments, prog_name="wiretape"))


if __name__ == "__main__":
    main()
