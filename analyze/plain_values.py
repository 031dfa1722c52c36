"""Values of answers and of rows as JSON can say them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from math import isfinite
from typing import Any


def plain_value(value: Any) -> Any:
    """Give what JSON can say: times as ISO 8601, bytes as hexadecimal, numbers that are none as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain_value(asdict(value))
    if isinstance(value, dict):
        return {str(name): plain_value(child) for name, child in value.items()}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, (Sequence, set)) and not isinstance(value, str):
        return [plain_value(child) for child in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
