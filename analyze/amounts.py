"""Amounts of time as pages and screens write them."""

from __future__ import annotations


def milliseconds(value: float | None) -> str:
    """Write whole milliseconds with thousands separators; nothing where there is no value."""
    return "" if value is None else f"{value:,.0f}"


def seconds(value_ms: float | None) -> str:
    """Write milliseconds as seconds with one decimal; nothing where there is no value."""
    return "" if value_ms is None else f"{value_ms / 1000:,.1f}"
