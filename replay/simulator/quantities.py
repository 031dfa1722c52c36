"""Numbers of scenario files and their bounds; one out of them is refused with its place when the file is read."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Ordinal = Annotated[int, Meta(ge=1)]
"""Of things that are counted from 1; also how many there are of what comes at least once."""
Plural = Annotated[int, Meta(ge=2)]
_MOST = 1e9
"""In seconds some thirty years: what is longer than that no clock can tell."""
NotNegative = Annotated[float, Meta(ge=0, le=_MOST)]
Positive = Annotated[float, Meta(gt=0, le=_MOST)]
Decibels = Annotated[float, Meta(ge=-200, le=200)]
Share = Annotated[float, Meta(ge=0, le=1)]

_LONGEST_REASON_BYTES = 123


def check_close(code: int, reason: str) -> None:
    """Raise `ValueError` for what no close frame may hold."""
    # 1005, 1006 and 1015 stand for closes without a code.
    if code in (1004, 1005, 1006, 1015) or not (1000 <= code <= 1014 or 3000 <= code <= 4999):
        raise ValueError(f"{code} is no close code that may be sent")
    if len(reason.encode()) > _LONGEST_REASON_BYTES:
        raise ValueError(f"the reason of a close has more than the {_LONGEST_REASON_BYTES} bytes that its frame takes")
