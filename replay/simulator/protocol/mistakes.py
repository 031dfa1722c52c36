"""What a client may do wrong, in the words of the real endpoint.

Codes and sentences follow error events seen on the wire (`unknown_parameter`, `missing_required_parameter`,
`invalid_value`, `invalid_type`).
"""

from __future__ import annotations

from collections.abc import Mapping


class ClientMistake(Exception):
    """A client event that is refused: it becomes an `error` event, and the session goes on."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        """Path of the field at fault, such as `session.audio.output.voice`; None where it is no single field."""


def json_type(value: object) -> str:
    """Name the JSON type of a value as error messages do."""
    names: Mapping[type, str] = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")


def list_words(words: tuple[str, ...], last: str = "and") -> str:
    """Join words as a sentence does: `a`, `a and b`, `a, b, and c`."""
    if len(words) < 3:
        return f" {last} ".join(words)
    return f"{', '.join(words[:-1])}, {last} {words[-1]}"


def refuse_type(json_types: tuple[str, ...], value: object, path: str) -> ClientMistake:
    """Make the mistake of a value that is of none of these JSON types (`an object`, `a string` and so on)."""
    expected = list_words(json_types, "or")
    prefix = "one of " if len(json_types) > 1 else ""
    return ClientMistake(
        "invalid_type",
        f"Invalid type for '{path}': expected {prefix}{expected}, but got {json_type(value)} instead.",
        path,
    )


def refuse_value(value: object, supported: tuple[str, ...], path: str) -> ClientMistake:
    """Make the mistake of a value that is none of the supported ones."""
    quoted = list_words(tuple(f"'{name}'" for name in supported))
    return ClientMistake("invalid_value", f"Invalid value: '{value}'. Supported values are: {quoted}.", path)


def missing_parameter(path: str) -> ClientMistake:
    """Make the mistake of a required field that is not there."""
    return ClientMistake("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def unknown_parameter(path: str) -> ClientMistake:
    """Make the mistake of a field that is not known."""
    return ClientMistake("unknown_parameter", f"Unknown parameter: '{path}'.", path)
