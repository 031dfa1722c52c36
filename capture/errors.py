"""Errors that people see: each says what is wrong, whose fault it is, and what to do next."""

from __future__ import annotations

import errno
import logging
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar


def describe_fault(error: BaseException) -> str:
    """Name a fault of ours by its type and place, and what the system says of it.

    Never its message or repr: those of a UnicodeError or a KeyError quote what was being worked on, and with it
    what was said in a call.
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    stack = traceback.walk_tb(error.__traceback__)
    places = [f"{Path(frame.f_code.co_filename).name}:{line}" for frame, line in stack]
    return f"{type(error).__name__} at {' > '.join(places)}" if places else type(error).__name__


class GuestLog(logging.LoggerAdapter[logging.Logger]):
    """A log in somebody's program: what its handlers raise goes no further, for that would reach their call."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.getLogger(name), {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Tell the log, in the caller's name."""
        kwargs.setdefault("stacklevel", 2)
        with suppress(Exception):
            super().log(level, msg, *args, **kwargs)


class WiretapeError(Exception):
    """Something a user can act on; the front door prints it as one line and exits with `exit_code`."""

    exit_code: ClassVar[int] = 2


class UsageProblem(WiretapeError):
    """What was asked cannot be done as asked."""


class OutOfFiles(UsageProblem):
    """The process may open no further file: what it cannot read is sound for all anybody knows."""

    def __init__(self) -> None:
        super().__init__("no more files can be opened here: allow more first, with `ulimit -n 1024`")


def is_out_of_files(error: OSError) -> bool:
    """Tell whether an error means that no further file can be opened, by this process or on this machine."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


class EndpointRefused(WiretapeError):
    """The endpoint cannot be reached or refused the session."""

    exit_code = 1

    def __init__(
        self,
        target: str,
        reason: str,
        *,
        status: int | None = None,
        body: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(target, reason)
        self.target = target
        self.reason = reason
        self.status = status
        """HTTP status of the refused upgrade; None when no HTTP answer came."""
        self.body = body
        self.headers = dict(headers or {})
        """Of that answer, names in lower case; empty when none came."""

    def __str__(self) -> str:
        """Name the target, the status and the endpoint's own words."""
        said = f": {self.body.strip()[:500]}" if self.body.strip() else ""
        return f"{self.target} {self.reason}{said}"
