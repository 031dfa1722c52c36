"""What JSON may look like, declared; a value of another shape is a mistake that says so.

Codes and sentences follow error events seen on the wire (`…_below_min_value`, `…_above_max_value`,
`string_above_max_length`).
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pybase64

from replay.simulator.protocol.mistakes import (
    ClientMistake,
    json_type,
    missing_parameter,
    refuse_type,
    refuse_value,
    unknown_parameter,
)


class Shape(Protocol):
    """A set of JSON values."""

    @property
    def json_types(self) -> tuple[str, ...]:
        """JSON types of its values, named as error messages name them."""
        ...

    def check(self, value: object, path: str) -> None:
        """Raise `ClientMistake` for a value outside the set; `path` names it in the message."""
        ...


@dataclass(frozen=True)
class Anything:
    """Any JSON value."""

    json_types = ("any value",)

    def check(self, value: object, path: str) -> None:
        """Take it."""


@dataclass(frozen=True)
class Flag:
    """True or false."""

    json_types = ("a boolean",)

    def check(self, value: object, path: str) -> None:
        """Refuse what is no boolean."""
        if not isinstance(value, bool):
            raise refuse_type(self.json_types, value, path)


@dataclass(frozen=True)
class Text:
    """A string."""

    max_length: int | None = None
    pattern: str | None = None

    json_types = ("a string",)

    def check(self, value: object, path: str) -> None:
        """Refuse what is no string, too long, or of another pattern."""
        if not isinstance(value, str):
            raise refuse_type(self.json_types, value, path)
        if self.max_length is not None and len(value) > self.max_length:
            raise ClientMistake(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length {self.max_length}, "
                f"but got a string with length {len(value)} instead.",
                path,
            )
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise ClientMistake(
                "invalid_value",
                f"Invalid '{path}': string does not match pattern. "
                f"Expected a string that matches the pattern '{self.pattern}'.",
                path,
            )


@dataclass(frozen=True)
class Choice:
    """One of a few strings."""

    values: tuple[str, ...]

    json_types = ("a string",)

    def check(self, value: object, path: str) -> None:
        """Refuse any other string."""
        if not isinstance(value, str):
            raise refuse_type(self.json_types, value, path)
        if value not in self.values:
            raise refuse_value(value, self.values, path)


@dataclass(frozen=True)
class Whole:
    """An integer within bounds, both inclusive."""

    minimum: int | None = None
    maximum: int | None = None

    json_types = ("an integer",)

    def check(self, value: object, path: str) -> None:
        """Refuse decimals, and integers out of bounds."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise refuse_type(self.json_types, value, path)
        _check_bounds("integer", value, self.minimum, self.maximum, path)


@dataclass(frozen=True)
class Number:
    """A number within bounds, both inclusive."""

    minimum: float | None = None
    maximum: float | None = None

    json_types = ("a number",)

    def check(self, value: object, path: str) -> None:
        """Refuse what is no number, or out of bounds."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise refuse_type(self.json_types, value, path)
        _check_bounds("decimal", value, self.minimum, self.maximum, path)


def _check_bounds(kind: str, value: float, minimum: float | None, maximum: float | None, path: str) -> None:
    if minimum is not None and value < minimum:
        raise ClientMistake(
            f"{kind}_below_min_value",
            f"Invalid '{path}': {kind} below minimum value. Expected a value >= {minimum}, but got {value} instead.",
            path,
        )
    if maximum is not None and value > maximum:
        raise ClientMistake(
            f"{kind}_above_max_value",
            f"Invalid '{path}': {kind} above maximum value. Expected a value <= {maximum}, but got {value} instead.",
            path,
        )


MAX_AUDIO_BYTES = 15 * 1024 * 1024
"""Most audio that one event may carry."""


@dataclass(frozen=True)
class Audio:
    """Audio in base64."""

    json_types = ("a string",)

    def check(self, value: object, path: str) -> None:
        """Refuse what `decode_audio` refuses."""
        if not isinstance(value, str):
            raise refuse_type(self.json_types, value, path)
        decode_audio(value, path)


def decode_audio(value: str, path: str) -> bytes:
    """Decode the audio of an event; `ClientMistake` for what is no base64, empty, or over the limit."""
    expected = f"Invalid '{path}'. Expected base64-encoded audio bytes (mono PCM16 at 24kHz) but got"
    try:
        audio = pybase64.b64decode(value, validate=True)
    except (Base64Error, ValueError) as error:
        raise ClientMistake("invalid_value", f"{expected} an invalid value.", path) from error
    if not audio:
        raise ClientMistake("invalid_value", f"{expected} empty bytes.", path)
    if len(audio) > MAX_AUDIO_BYTES:
        raise ClientMistake("invalid_value", f"{expected} {len(audio)} bytes, which is over 15 MiB.", path)
    return audio


@dataclass(frozen=True)
class Nullable:
    """Null, or a value of another shape."""

    shape: Shape

    @property
    def json_types(self) -> tuple[str, ...]:
        """Those of the shape, and null."""
        return (*self.shape.json_types, "null")

    def check(self, value: object, path: str) -> None:
        """Take null, check all else."""
        if value is not None:
            self.shape.check(value, path)


@dataclass(frozen=True)
class TextMap:
    """An object of any names with short strings, as `metadata` is."""

    max_pairs: int
    max_key_length: int
    max_value_length: int

    json_types = ("an object",)

    def check(self, value: object, path: str) -> None:
        """Refuse too many pairs, long names, and values that are no short strings."""
        if not isinstance(value, dict):
            raise refuse_type(self.json_types, value, path)
        if len(value) > self.max_pairs:
            raise ClientMistake(
                "object_above_max_properties",
                f"Invalid '{path}': too many properties. Expected an object with at most {self.max_pairs} "
                f"properties, but got an object with {len(value)} properties instead.",
                path,
            )
        for name, entry in value.items():
            Text(max_length=self.max_key_length).check(name, path)
            Text(max_length=self.max_value_length).check(entry, f"{path}.{name}")


@dataclass(frozen=True)
class ListOf:
    """An array of values of one shape."""

    shape: Shape

    json_types = ("an array",)

    def check(self, value: object, path: str) -> None:
        """Check every value, named by its index."""
        if not isinstance(value, list):
            raise refuse_type(self.json_types, value, path)
        for index, entry in enumerate(value):
            self.shape.check(entry, f"{path}[{index}]")


@dataclass(frozen=True)
class Table:
    """An object with known fields."""

    fields: Mapping[str, Shape]
    required: tuple[str, ...] = ()

    json_types = ("an object",)

    def check(self, value: object, path: str) -> None:
        """Refuse missing fields first (as the real endpoint does), then unknown ones, then check each."""
        if not isinstance(value, dict):
            raise refuse_type(self.json_types, value, path)
        prefix = f"{path}." if path else ""
        for name in self.required:
            if name not in value:
                raise missing_parameter(f"{prefix}{name}")
        for name in value:
            if name not in self.fields:
                raise unknown_parameter(f"{prefix}{name}")
        for name, entry in value.items():
            self.fields[name].check(entry, f"{prefix}{name}")


@dataclass(frozen=True)
class Tagged:
    """An object whose shape is told by one of its fields."""

    tag: str
    tables: Mapping[str, Shape]

    json_types = ("an object",)

    def check(self, value: object, path: str) -> None:
        """Check the tag, then the rest by it."""
        if not isinstance(value, dict):
            raise refuse_type(self.json_types, value, path)
        name = f"{path}.{self.tag}" if path else self.tag
        if self.tag not in value:
            raise missing_parameter(name)
        Choice(tuple(self.tables)).check(value[self.tag], name)
        self.tables[value[self.tag]].check(value, path)


@dataclass(frozen=True)
class Either:
    """A value of one of several shapes that differ in their JSON type."""

    shapes: tuple[Shape, ...]

    @property
    def json_types(self) -> tuple[str, ...]:
        """Those of all the shapes."""
        return tuple(name for shape in self.shapes for name in shape.json_types)

    def check(self, value: object, path: str) -> None:
        """Check by the shape of its JSON type."""
        kind = json_type(value)
        for shape in self.shapes:
            if kind in shape.json_types:
                shape.check(value, path)
                return
        raise refuse_type(self.json_types, value, path)
