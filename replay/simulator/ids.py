"""Ids of one session: the same seed and connection number give the same ids."""

from __future__ import annotations

import random
import string

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LENGTHS = {"call": 16}
_USUAL_LENGTH = 21


class IdSource:
    """Seeded ids and chances of one connection.

    Every kind of id has a stream of its own: how many events were sent (which depends on timing) does not change
    which item and response ids follow.
    """

    def __init__(self, seed: int, connection: int) -> None:
        self._seed = f"{seed}:{connection}"
        self._streams: dict[str, random.Random] = {}

    def make(self, prefix: str) -> str:
        """Make the next id of a kind: `item` gives `item_…` with 21 characters, as the real endpoint's."""
        length = _LENGTHS.get(prefix, _USUAL_LENGTH)
        return f"{prefix}_{''.join(self._stream(prefix).choices(_BASE62, k=length))}"

    def make_request_id(self) -> str:
        """Make the next request id of the handshake: a UUID, as in `apim-request-id`."""
        digits = f"{self._stream('request').getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def chance(self, name: str) -> float:
        """Draw the next number in [0, 1) of a named stream."""
        return self._stream(f"chance {name}").random()

    def _stream(self, name: str) -> random.Random:
        if name not in self._streams:
            self._streams[name] = random.Random(f"{self._seed}:{name}")  # noqa: S311 - ids, no secrets
        return self._streams[name]
