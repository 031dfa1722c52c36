"""Read the close codes that logs tell, and spell close frames from them (RFC 6455, 5.5.1 and 7.4); pure."""

from __future__ import annotations


def close_code(value: object) -> int | None:
    """Read a code; None where it is none that a connection can close with."""
    return value if type(value) is int and 1000 <= value < 5000 else None


def close_payload(code: int, reason: str | None) -> bytes:
    """Spell what a close frame carries: the code, then the reason."""
    return code.to_bytes(2, "big") + (reason or "").encode("utf-8", "replace")
