"""The tokens a session may use: a bucket that refills by the minute, as `rate_limits.updated` tells of it."""

from __future__ import annotations

from replay.simulator.clock import NS_PER_S
from replay.simulator.faults.effects import ResponseFailed
from replay.simulator.session.conversation import Json

_WINDOW_S = 60


class TokenBudget:
    """Holds `per_minute` tokens and fills up evenly."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._used = 0.0
        self._told_ns = 0

    def spend(self, tokens: int, now_ns: int) -> None:
        """Take tokens out; what a response used is taken though it was more than there was."""
        self._refill(now_ns)
        self._used += tokens

    def is_spent(self, now_ns: int) -> bool:
        """Tell whether nothing is left for another response."""
        self._refill(now_ns)
        return self._used >= self._per_minute

    def refuse(self, now_ns: int) -> ResponseFailed:
        """Tell how a response fails that finds nothing left; it uses nothing."""
        self._refill(now_ns)
        wait_s = max(0.0, self._used - self._per_minute + 1) * _WINDOW_S / self._per_minute
        return ResponseFailed(
            type="invalid_request_error",
            code="rate_limit_exceeded",
            message=f"Rate limit reached on tokens per min (TPM): Limit {self._per_minute}. "
            f"Please try again in {wait_s:.3f}s.",
            input_tokens=0,
            output_tokens=0,
        )

    def show(self, now_ns: int) -> Json:
        """Show it as an entry of `rate_limits.updated`."""
        self._refill(now_ns)
        used = round(self._used)
        return {
            "name": "tokens",
            "limit": self._per_minute,
            "remaining": max(0, self._per_minute - used),
            "reset_seconds": round(used * _WINDOW_S / self._per_minute, 3),
        }

    def _refill(self, now_ns: int) -> None:
        gained = (now_ns - self._told_ns) / NS_PER_S * self._per_minute / _WINDOW_S
        self._used = max(0.0, self._used - gained)
        self._told_ns = now_ns
