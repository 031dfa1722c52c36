"""Numbers of scenario files and their bounds; one out of them is refused with its place when the file is read."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Ordinal = Annotated[int, Meta(ge=1)]
"""Of things that are counted from 1; also how many there are of what comes at least once."""
Plural = Annotated[int, Meta(ge=2)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
