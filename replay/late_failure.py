"""Tell of a recorded failure that came when nothing was owed: a replay has to stay for it as its client did; pure.

Most failures are answers to something, and whoever waits for the answer meets them. A refusal of what needs no answer,
an error out of the blue, and a close in the middle of a silence come only to those who are still there.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture.realtime.progress import Progress


@dataclass(frozen=True, slots=True)
class LateFailure:
    """The last failure of a recorded session that nothing else waits for."""

    after_ns: int
    """Recorded time from when all was sent and answered to the failure; below zero where more was sent behind it."""
    errors: int | None = None
    """Errors of that kind that the session had with it; None of a close, which ends a replay by itself."""


class LateFailures:
    """Follows a recorded session; tell it of each message behind `progress`, the session as it stands then."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._errors = 0
        self._failed_ns = 0
        self._settled_ns = 0
        self._is_owed = False

    def observe(self, at_ns: int, sender: str) -> None:
        """Take in that a message came."""
        progress = self._progress
        is_owed = progress.speech_is_open or bool(progress.missing())
        if sender == "client" or (self._is_owed and not is_owed):
            self._settled_ns = at_ns
        self._is_owed = is_owed
        if progress.unowed_errors > self._errors:
            self._errors, self._failed_ns = progress.unowed_errors, at_ns

    def last(self, closed_ns: int | None) -> LateFailure | None:
        """Give the last one; `closed_ns` is when the endpoint ended the session, where that was a failure.

        None where there was none, and where something was owed to the end: that is waited for in any case.
        """
        if self._is_owed:
            return None
        if closed_ns is not None:
            return LateFailure(closed_ns - self._settled_ns)
        return LateFailure(self._failed_ns - self._settled_ns, self._errors) if self._errors else None
