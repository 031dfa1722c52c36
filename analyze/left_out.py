"""Say what of a session its recording does not hold though no recorder lost it: windows, unreadable lines; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyze.amounts import seconds
from capture.keeping import OUTSIDE_WINDOW
from capture.narration import counted, first_of
from capture.plain_text import visible

_SHOWN = 3


def windows_words(row: Mapping[str, Any]) -> str | None:
    """Say what windows left out of a session, by its row of the sessions table; None where it is kept whole."""
    if row.get("kept") != "window":
        return None
    gaps = [gap for gap in row.get("gaps") or () if gap["reason"] == OUTSIDE_WINDOW]
    # The two senders' gaps of one stretch begin and end together.
    stretches = sorted({(gap["from_ns"], gap["to_ns"]) for gap in gaps if None not in (gap["from_ns"], gap["to_ns"])})
    left_out_ms = sum(to_ns - from_ns for from_ns, to_ns in stretches) / 1e6
    told = ", ".join(f"{seconds(from_ns / 1e6)} to {seconds(to_ns / 1e6)} s" for from_ns, to_ns in stretches[:_SHOWN])
    more = ", …" if len(stretches) > _SHOWN else ""
    return (
        f"cut to the windows around its failures: {seconds(left_out_ms)} of {seconds(row['duration_ms'])} s are left"
        f" out ({told}{more}), all but configuration, items and answers as text"
    )


def unreadable_words(row: Mapping[str, Any]) -> str | None:
    """Say which messages of an imported file could not be read; None where there are none."""
    if row.get("role") != "imported":
        return None
    reasons = [visible(str(gap["reason"])) for gap in row.get("gaps") or () if gap["sender"] is None]
    if not reasons:
        return None
    return f"{counted(len(reasons), 'message')} could not be read: {first_of(reasons, _SHOWN)}"
