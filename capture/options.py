"""Options that commands of all three packages take, declared once; cheap to import, as the command line is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capture.errors import UsageProblem


def read_root(text: str) -> Path:
    """Read `--recordings`; raises `UsageProblem` where it is empty."""
    if not text:
        # Of a variable that is not set. As a path it would be the folder that one happens to be in.
        raise UsageProblem(
            "--recordings is empty, as of a variable that is not set: name a folder, or leave it out for ./recordings"
        )
    return Path(text)


Recordings = Annotated[
    Path | None,
    typer.Option(
        "--recordings",
        metavar="ROOT",
        help="Folder of recordings; else that of WIRETAPE_RECORDINGS, or ./recordings.",
        parser=read_root,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
