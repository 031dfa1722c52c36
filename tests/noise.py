"""Large messages of noise, which sealing gets through fast."""

from __future__ import annotations

from random import Random

_OF_EVERY_VALUE = 4096
_WITHOUT_ASCII = bytes(value | 0x80 for value in range(256))


def noise(size: int, seed: int | None = None) -> bytes:
    """Give random bytes, without ASCII where they are more than 4 KiB.

    Sealing looks for secrets in whatever holds a quote or an equals sign, and all noise does: half a second of it for
    each MiB, which is not what tests of large messages are about.
    """
    content = Random(seed).randbytes(size)
    return content if size <= _OF_EVERY_VALUE else content.translate(_WITHOUT_ASCII)
