"""Follow what a listener would have heard of the answers, and how long they would have waited inside one; pure."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

WAIT_MS = 200.0
"""Shorter waits are what a player's own buffer bridges."""
_KEPT = 20


class Playback:
    """Plays each answer from its first audio on; notes where the next audio came later than it was due."""

    def __init__(self) -> None:
        self._underruns: list[Row] = []
        self._answer: str | None = None
        self._heard_until_ns = 0.0

    def take(self, seq: int, offset_ns: int, answer: str | None, audio_ms: float) -> None:
        """Take in the audio of one message; `answer` is the id of the item it belongs to."""
        if answer is None or answer != self._answer:
            # Between two items an endpoint may think, or wait for a tool: only the pieces of one follow closely.
            self._answer, self._heard_until_ns = answer, offset_ns
        wait_ms = (offset_ns - self._heard_until_ns) / 1e6
        if wait_ms > 0:
            self._heard_until_ns = offset_ns
            if wait_ms >= WAIT_MS:
                self._note({"seq": seq, "offset_ns": offset_ns, "wait_ms": wait_ms})
        self._heard_until_ns += audio_ms * 1e6

    def interrupt(self) -> None:
        """Take in that audio was lost: what comes next may continue an answer of which some was played already."""
        self._answer = None

    @property
    def underruns(self) -> list[Row]:
        """Waits of 200 ms and more, the longest 20 of them in the order they came: seq, offset_ns, wait_ms."""
        return sorted(self._underruns, key=lambda underrun: underrun["seq"])

    def _note(self, underrun: Row) -> None:
        self._underruns.append(underrun)
        if len(self._underruns) > _KEPT:
            self._underruns.remove(min(self._underruns, key=lambda each: each["wait_ms"]))
