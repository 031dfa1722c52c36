"""What a player asks of whoever plays for it: send, wait, write down, end."""

from __future__ import annotations

from dataclasses import dataclass

from replay.rewrite import Change


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message now."""

    step: int
    content: str | bytes
    due_ns: int | None
    """When it was due; None where it was not due at a time."""
    changes: tuple[Change, ...] = ()
    is_binary: bool = False


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Call `tick` at this time, or `receive` as soon as an event is there."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Diverged:
    """The new session went another way than the recording."""

    step: int
    kind: str
    expected: str
    seen: str
    action: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to do."""

    reason: str
    """`completed` (all was sent, nothing is owed), or what ended it early."""


Action = Send | WaitUntil | Diverged | Finished
