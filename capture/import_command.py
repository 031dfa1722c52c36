"""`wiretape capture import`: make recordings of what other tools recorded."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture.ending import while_read
from capture.narration import counted, narrate, print_json, print_line, progress_bar, tell
from capture.options import AsJson, Recordings

if TYPE_CHECKING:
    from capture.importers.importing import FileImport, Importer
    from capture.importers.source import Unreadable

    ShowProgress = Callable[[Path, int, int], None]

app = typer.Typer()


@app.command("import")
def import_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="HAR, a log of JSON lines, or a cassette in YAML.")
    ],
    again: Annotated[bool, typer.Option("--again", help="Import once more what was imported before.")] = False,
    redact: Annotated[
        list[str] | None,
        typer.Option("--redact", metavar="WHAT", help="Not to be kept, as in capture proxy; repeatable."),
    ] = None,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Import sessions from HAR files (Chrome, mitmproxy, …), logs of JSON lines and cassettes in YAML.

    Prints the ids of the new recordings. What a file does not hold stays empty, and what cannot be read is named with
    its line or entry. Exit status 1: nothing could be imported.
    Example: wiretape capture import session.har call.jsonl
    """
    from capture.arguments import parse_redactions
    from capture.importers.importing import Importer, NothingImported
    from capture.recording.root import open_root

    narrate()
    rules = parse_redactions(redact or [])
    _check_files(files)
    done = _import(files, lambda show: Importer(open_root(recordings), again=again, redact=rules, on_progress=show))
    with while_read():
        if as_json:
            print_json({"files": [_as_json(one) for one in done]})
        else:
            for one in done:
                for session in one.sessions:
                    print_line(session.session_id)
    if not any(one.is_done for one in done):
        raise NothingImported("nothing was imported: no file holds a session that can be read")


def _check_files(files: list[Path]) -> None:
    from capture.errors import UsageProblem

    missing = [str(path) for path in files if not path.exists()]
    if missing:
        raise UsageProblem(f"there is no file {', '.join(missing)}")
    # A file is gone through more than once, which no pipe lets anybody do.
    others = [str(path) for path in files if not path.is_file()]
    if others:
        named = ", ".join(others)
        raise UsageProblem(
            f"no file to read from: {named}; name the files themselves, and save what comes through a pipe"
        )


def _import(files: list[Path], make: Callable[[ShowProgress], Importer]) -> list[FileImport]:
    done: list[FileImport] = []
    with progress_bar() as bar:
        task = bar.add_task("", total=None)
        importer = make(
            lambda path, count, total: bar.update(task, description=path.name, completed=count, total=total)
        )
        before = signal.signal(signal.SIGINT, lambda *_: importer.interrupt())
        try:
            for path in files:
                bar.update(task, description=path.name, completed=0, total=None)
                one = importer.import_file(path)
                _narrate(one)
                done.append(one)
        finally:
            signal.signal(signal.SIGINT, before)
    return done


def _narrate(one: FileImport) -> None:
    for part in one.unreadable:
        tell(f"{one.path}: {part.place} is {_fate(part)}: {part.reason}")
    if one.unreadable_count > len(one.unreadable):
        tell(f"{one.path}: and {one.unreadable_count - len(one.unreadable)} more")
    for note in one.notes:
        tell(note)
    for session_id in one.already:
        tell(f"{one.path}: imported before as {session_id}; --again imports it once more")
    for session in one.sessions:
        said = f" · {session.first_error}" if session.first_error else ""
        events = counted(session.events_sent + session.events_received, "event")
        tell(f"{session.session_id} {session.outcome} · {events} · {counted(session.turns, 'turn')}{said}")
    if one.problem:
        tell(f"{one.path}: {one.problem}")


def _fate(part: Unreadable) -> str:
    if part.is_partly_read:
        return "imported as far as it can be read"
    return "not imported" if part.is_lost else "passed over"


def _as_json(one: FileImport) -> dict[str, Any]:
    parts = [{"place": part.place, "reason": part.reason, "is_lost": part.is_lost} for part in one.unreadable]
    return {
        "file": str(one.path),
        "sessions": [asdict(session) for session in one.sessions],
        "already_imported": one.already,
        "unreadable": parts,
        "unreadable_count": one.unreadable_count,
        "notes": one.notes,
        "problem": one.problem,
    }
