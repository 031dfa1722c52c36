"""Compare what session.update asked for with what session.updated echoed, in either dialect.

Aliases and filled-in defaults are no difference: a dated model for an undated one, the order of modalities, a rate that
was left out. What the echo does not mention is not known, and no difference either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from capture.realtime.audio_formats import parse_format
from capture.realtime.configuration import read_setting

Json = dict[str, Any]

_MISSING = object()
_INSTRUCTIONS = "instructions"


def list_not_honoured(asked: Json, echoed: Json, created: Json | None = None) -> list[str]:
    """List the settings that were echoed otherwise than asked, by their GA paths, in the order of their names.

    `asked` is all updates merged, `echoed` the session object that answered the last one, `created` the one before
    the first update: it tells the default instructions.
    """
    differing = [path for path, differs in _COMPARED.items() if _differs(asked, echoed, path, differs)]
    modalities = [_read(session, "output_modalities", "modalities") for session in (asked, echoed)]
    if _speaks_otherwise(*modalities):
        differing.append("output_modalities")
    if _lost_instructions(asked, echoed, created or {}):
        differing.append(_INSTRUCTIONS)
    return sorted(differing)


def _differs(asked: Json, echoed: Json, path: str, differs: Callable[[object, object], bool]) -> bool:
    values = [read_setting(session, path, missing=_MISSING) for session in (asked, echoed)]
    return _MISSING not in values and differs(*values)


def _differ_in_format(asked: object, echoed: object) -> bool:
    # xAI echoes "not specified": what is no format is not known.
    formats = parse_format(asked), parse_format(echoed)
    return None not in formats and formats[0] != formats[1]


def _differ_in_turn_detection(asked: object, echoed: object) -> bool:
    return (_word(asked, "type") or "none") != (_word(echoed, "type") or "none")


def _differ_in_transcription(asked: object, echoed: object) -> bool:
    models = _word(asked, "model"), _word(echoed, "model")
    if None in models:
        return (asked is None) != (echoed is None)
    return not _is_alias(*models)


def _differ_in_voice(asked: object, echoed: object) -> bool:
    voices = [_word(voice, "id") or _word(voice, "name") for voice in (asked, echoed)]
    return None not in voices and voices[0] != voices[1]


def _speaks_otherwise(asked: object, echoed: object) -> bool:
    # Endpoints add text to audio and put them in their own order; what counts is whether there is to be audio.
    return isinstance(asked, list) and isinstance(echoed, list) and ("audio" in asked) != ("audio" in echoed)


def _lost_instructions(asked: Json, echoed: Json, created: Json) -> bool:
    wanted, told = asked.get(_INSTRUCTIONS), echoed.get(_INSTRUCTIONS, _MISSING)
    # Empty ones ask for the default.
    return bool(wanted) and told != wanted and (not told or told == created.get(_INSTRUCTIONS))


def _is_alias(asked: str | None, echoed: str | None) -> bool:
    """Tell whether two names mean one model: `gpt-4o-transcribe` and `gpt-4o-transcribe-2025-03-20`."""
    return asked is not None and echoed is not None and (echoed.startswith(asked) or asked.startswith(echoed))


def _word(value: object, name: str) -> str | None:
    """Read a setting that is a word, or an object with the word under a name."""
    found = value.get(name) if isinstance(value, dict) else value
    return found if isinstance(found, str) else None


def _read(session: Json, *names: str) -> object:
    return next((session[name] for name in names if name in session), None)


_COMPARED: dict[str, Callable[[object, object], bool]] = {
    "audio.input.format": _differ_in_format,
    "audio.input.transcription": _differ_in_transcription,
    "audio.input.turn_detection": _differ_in_turn_detection,
    "audio.output.format": _differ_in_format,
    "audio.output.voice": _differ_in_voice,
}
