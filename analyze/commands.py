"""Commands that are ready to be run in a shell: filled in and quoted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from analyze.answers import SessionSummary
from capture.realtime.configuration import beta_path
from capture.recording.root import Root

AGAIN = "wiretape replay run {session} --to {target} --trials 5"
"""Sends a session again to where it went, for `fill_in`."""
_CONTINUED = " \\"
_INDENT = "  "
_HIDDEN = "[redacted]"
_SETTING = "session."


def fill_in(template: str, session: SessionSummary, root: Root) -> str:
    """Put a session and the target it went to into a signature's command."""
    words = [_word(word, session) for word in shlex.split(template)]
    return shlex.join([*words, *root.words])


def command_lines(command: str, width: int) -> list[str]:
    """Break a command before its options where it is wider than `width`; a shell takes the lines as one command."""
    if len(command) <= width:
        return [command]
    lines: list[str] = []
    for part in _parts(shlex.split(command)):
        room = width - len(_CONTINUED)
        if lines and len(lines[-1]) + 1 + len(part) <= room:
            lines[-1] += f" {part}"
        else:
            lines.append(f"{_INDENT if lines else ''}{part}")
    return [line + _CONTINUED for line in lines[:-1]] + lines[-1:]


def _word(word: str, session: SessionSummary) -> str:
    target = session.target
    if target is None or _HIDDEN in target:
        target = "TARGET"
    # Signatures name configuration paths as GA does.
    if session.dialect == "beta" and word.startswith(_SETTING):
        path, equals, value = word.removeprefix(_SETTING).partition("=")
        word = _SETTING + beta_path(path) + equals + value
    word = word.replace("{another_transcription_model}", _another_model(session.transcription_model))
    return word.replace("{session}", session.session_id).replace("{target}", target)


def _another_model(model: str | None) -> str:
    """Name a transcription model to try instead of one; a deployment's name may have the model's in it."""
    return "gpt-4o-mini-transcribe" if model is not None and "whisper" in model else "whisper-1"


def _parts(words: list[str]) -> Iterator[str]:
    """Give the command's own words, then each option with its value."""
    part: list[str] = []
    for word in words:
        if word.startswith("--") and part:
            yield shlex.join(part)
            part = []
        part.append(word)
    yield shlex.join(part)
