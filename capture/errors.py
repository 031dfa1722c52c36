"""Errors that people see: each says what is wrong, whose fault it is, and what to do next."""

from __future__ import annotations

from typing import ClassVar


class WiretapeError(Exception):
    """Something a user can act on; the front door prints it as one line and exits with `exit_code`."""

    exit_code: ClassVar[int] = 2


class UsageProblem(WiretapeError):
    """What was asked cannot be done as asked."""


class EndpointRefused(WiretapeError):
    """The endpoint cannot be reached or refused the session."""

    exit_code = 1

    def __init__(self, target: str, reason: str, *, status: int | None = None, body: str = "") -> None:
        super().__init__(target, reason)
        self.target = target
        self.reason = reason
        self.status = status
        """HTTP status of the refused upgrade; None when no HTTP answer came."""
        self.body = body

    def __str__(self) -> str:
        """Name the target, the status and the endpoint's own words."""
        said = f": {self.body.strip()[:500]}" if self.body.strip() else ""
        return f"{self.target} {self.reason}{said}"
