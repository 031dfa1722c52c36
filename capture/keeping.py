"""Decide what to keep of a session that has ended: all of it, windows around its failures, or nothing; pure."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from capture.errors import UsageProblem
from capture.journal import Gap
from capture.recording.facts import KeepRule, Role, Sender

Kept = Literal["whole", "window", "none"]
Window = tuple[int, int]
"""First and last offset_ns that are kept, both included."""

OUTSIDE_WINDOW = "outside the window"
"""Reason of the gaps that a window leaves; they are no losses."""

MARGIN_NS = 10_000_000_000
"""A session that windows would make shorter by less than this is kept whole."""

_SECOND_NS = 1_000_000_000
_LONGEST_S = 1e9
"""No session is as long: who gives more, such as `--pre 1e300`, wants all there is."""
# What a replay has to send again, and what tells a reader which conversation the window is a part of.
_PINNED_TYPES = frozenset(
    {
        "session.created",
        "session.update",
        "session.updated",
        "transcription_session.created",
        "transcription_session.update",
        "transcription_session.updated",
        "input_audio_buffer.committed",
        "input_audio_buffer.timeout_triggered",
        "conversation.item.create",
        "conversation.item.created",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.done",
    }
)


class Decision(NamedTuple):
    """What becomes of a session."""

    kept: Kept
    windows: tuple[Window, ...] | None = None
    """What is kept, in order; None: everything."""


WHOLE = Decision("whole")
NOTHING = Decision("none", ())


def parse_keep(keep: str, pre_s: float | None = None, post_s: float | None = None) -> KeepRule:
    """Read `--keep all|failed|sample:P` and `--pre S --post S`; raises `UsageProblem`."""
    if (pre_s is None) != (post_s is None):
        raise UsageProblem("--pre and --post go together: give the seconds to keep before and after each failure")
    if pre_s is not None and post_s is not None and not (0 <= pre_s < float("inf") and 0 <= post_s < float("inf")):
        raise UsageProblem("--pre and --post take seconds, 0 or more")
    if keep == "all":
        return KeepRule(pre_s=pre_s, post_s=post_s)
    if keep == "failed":
        return KeepRule(keep="failed", pre_s=pre_s, post_s=post_s)
    return KeepRule(keep="sample", sample=_parse_share(keep), pre_s=pre_s, post_s=post_s)


def _parse_share(keep: str) -> float:
    name, _, text = keep.partition(":")
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if name != "sample" or not 0 <= share <= 1:
        raise UsageProblem(f"--keep takes all, failed, or sample:P with a share P from 0 to 1, not {keep!r}")
    return share


def has_windows(rule: KeepRule | None) -> bool:
    """Tell whether a rule cuts long sessions down to their failures."""
    return rule is not None and rule.pre_s is not None and rule.post_s is not None


def decide(
    rule: KeepRule | None,
    *,
    session_id: str,
    role: Role,
    outcome: str,
    failure_offsets_ns: Sequence[int] = (),
    duration_ns: int = 0,
) -> Decision:
    """Decide about a session by its outcome (`failed`, `incomplete`, `ok`); the same each time it is asked."""
    # A verdict names its trials, and rests on those that went well too.
    if rule is None or role == "replayed":
        return WHOLE
    # Incomplete sessions are kept like failed ones: the incident may be what is missing.
    if outcome == "ok":
        return WHOLE if _is_kept_though_ok(rule, session_id) else NOTHING
    if not has_windows(rule) or not failure_offsets_ns:
        return WHOLE
    windows = windows_around(failure_offsets_ns, rule.pre_s or 0.0, rule.post_s or 0.0)
    inside_ns = sum(max(0, min(to_ns, duration_ns) - max(from_ns, 0)) for from_ns, to_ns in windows)
    return Decision("window", windows) if duration_ns - inside_ns >= MARGIN_NS else WHOLE


def _is_kept_though_ok(rule: KeepRule, session_id: str) -> bool:
    if rule.keep == "sample":
        # Drawn from the id: sealing that is repeated after a crash decides as it did before.
        drawn = int.from_bytes(hashlib.blake2b(session_id.encode(), digest_size=8).digest()) / 2**64
        return drawn < rule.sample
    return rule.keep == "all"


def windows_around(failure_offsets_ns: Iterable[int], pre_s: float, post_s: float) -> tuple[Window, ...]:
    """Give the stretches around failures in order, those that touch merged into one."""
    pre_ns, post_ns = (int(min(seconds, _LONGEST_S) * _SECOND_NS) for seconds in (pre_s, post_s))
    windows: list[Window] = []
    for failure_ns in sorted(failure_offsets_ns):
        from_ns, to_ns = max(0, failure_ns - pre_ns), failure_ns + post_ns
        if windows and from_ns <= windows[-1][1]:
            windows[-1] = (windows[-1][0], to_ns)
        else:
            windows.append((from_ns, to_ns))
    return tuple(windows)


class WindowFilter:
    """Tells for each row of the events table whether windows keep it, and sums up what they leave out."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = windows
        self._starts = [from_ns for from_ns, _ in windows]
        self._left_out: dict[tuple[int, Sender], int] = {}

    def is_inside(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row lies in a window."""
        before = bisect_right(self._starts, row["offset_ns"])
        return before > 0 and row["offset_ns"] <= self._windows[before - 1][1]

    def is_pinned(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row is kept wherever it lies: the configuration, the conversation, the goodbye."""
        return row["kind"] == "close" or row.get("type") in _PINNED_TYPES

    def leave_out(self, row: Mapping[str, Any]) -> None:
        """Count a row that is not kept."""
        place = (bisect_right(self._starts, row["offset_ns"]), row["sender"])
        self._left_out[place] = self._left_out.get(place, 0) + row["wire_bytes"]

    def gaps(self, ended_ns: int) -> list[Gap]:
        """Give what was left out: for each sender and each stretch between windows, its bytes on the wire."""
        return [
            Gap(sender, *self._stretch(number, ended_ns), left_out, OUTSIDE_WINDOW)
            for (number, sender), left_out in sorted(self._left_out.items())
        ]

    def _stretch(self, number: int, ended_ns: int) -> Window:
        from_ns = self._windows[number - 1][1] if number else 0
        to_ns = self._starts[number] if number < len(self._starts) else max(from_ns, ended_ns)
        return from_ns, to_ns
