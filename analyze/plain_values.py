"""Values of answers and of rows as JSON can say them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from math import isfinite
from typing import Any

_AS_THEY_ARE = (str, int, bool, type(None))


def plain_value(value: Any) -> Any:
    """Give what JSON can say: times as ISO 8601, bytes as hexadecimal, numbers that are none as null."""
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_value(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(name): plain_value(child) for name, child in value.items()}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (Sequence, set)) and not isinstance(value, str):
        return [plain_value(child) for child in value]
    return value if isinstance(value, (str, int)) else str(value)
