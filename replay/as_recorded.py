"""What stands in the way of a replay that changes nothing. Pure.

The endpoint's ids are exempt, for without new ones nothing that refers to an item could be sent; so are the key and
the address, which are the target's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from capture.errors import UsageProblem
from capture.redaction import redact_setting
from replay.plan import Plan
from replay.rewrite import Change


def obstacles(plan: Plan, handshake: Sequence[Change]) -> list[str]:
    """List what of an adapted plan and of its handshake is not as it was recorded."""
    return [
        *(_told(change) for change in [*handshake, *plan.changes]),
        *(f"not sent: {what}" for what in plan.not_sent),
    ]


def refuse(found: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Refuse a run whose cells, each with its obstacles, are not all as recorded.

    Raises `UsageProblem` with the whole list.
    """
    lines = [f"  {cell}: {what}" for cell, in_cell in found for what in in_cell]
    if lines:
        raise UsageProblem("\n".join(["--as-recorded: this would be changed, so nothing was sent:", *lines]))


def _told(change: Change) -> str:
    before, after = (redact_setting(change.path, text) for text in (change.before, change.after))
    return f"{change.kind} {change.path}: {before or 'nothing'} → {after or 'nothing'}"
