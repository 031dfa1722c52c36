"""Follow what a client committed, and which of it was silence throughout; pure.

The endpoint takes in what was sent when the client asked, and says so later: meanwhile the next turn may be under way.
Where the endpoint's turn detection commits, it heard something, and nobody knows which audio it took in.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capture.recording.audio_blocks import TrackWriter

Row = dict[str, Any]

_KEPT = 100
_NOBODYS = ""
"""Name of a stretch of the track that is not asked about."""
_COMMIT, _CLEAR = "input_audio_buffer.commit", "input_audio_buffer.clear"


class Commits:
    """Takes in commits of both sides; gives those of silence."""

    def __init__(self) -> None:
        self._asked: deque[str] = deque()
        """Stretches whose commit is not answered yet."""
        self._asks = 0
        self._taken: dict[str, tuple[int, str]] = {}
        """Stretch to the seq of its committed event and the item that was made of it."""

    def observe(self, event_type: str | None, track: TrackWriter | None) -> None:
        """Take in an event of the client; `track` is what it sent so far."""
        if event_type not in (_COMMIT, _CLEAR):
            return
        name = _NOBODYS
        if event_type == _COMMIT:
            self._asks += 1
            name = str(self._asks)
            self._asked.append(name)
        if track is not None:
            track.end_span(name)

    def take(self, item_id: str, seq: int, track: TrackWriter | None) -> None:
        """Take in that the endpoint made an item."""
        if self._asked:
            self._taken[self._asked.popleft()] = seq, item_id
        elif track is not None:
            track.end_span(_NOBODYS)

    def refuse(self) -> None:
        """Take in that the endpoint had nothing to take in."""
        if self._asked:
            self._asked.popleft()

    def quiet(self, track: TrackWriter | None) -> list[Row]:
        """Give the commits of silence in their order: seq, item_id, loudest_dbfs; call it when the track has ended."""
        levels = track.quiet_spans() if track is not None else {}
        found = [
            {"seq": self._taken[name][0], "item_id": self._taken[name][1], "loudest_dbfs": level}
            for name, level in levels.items()
            if name in self._taken
        ]
        return found[:_KEPT]
