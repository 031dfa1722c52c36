"""Play a recorded track on this machine's audio device, where there is one.

The library that speaks to devices is an extra (`pip install 'wiretape[play]'`) and imported when something is played.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any

from capture.errors import UsageProblem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_INSTEAD = "write it as a WAV file and listen to it elsewhere"


class Playback:
    """A track that is being played; ends by itself, or by `stop`."""

    def __init__(self, samples: NDArray[np.int16], rate: int, *, backends: list[Any] | None = None) -> None:
        """Begin to play mono samples; `backends` chooses how to reach a device, None tries all.

        Raises `UsageProblem` where the extra is not installed, or no device can be opened.
        """
        try:
            import miniaudio  # type: ignore[import-not-found,unused-ignore]
        except ImportError as absent:
            raise UsageProblem(f"playing needs an extra: pip install 'wiretape[play]'; or {_INSTEAD}") from absent
        _hush_alsa()
        self.ended = Event()
        """Set when the last sample was handed to the device, or it was stopped."""
        try:
            self._device = miniaudio.PlaybackDevice(
                output_format=miniaudio.SampleFormat.SIGNED16, nchannels=1, sample_rate=rate, backends=backends
            )
            stream = self._frames(samples)
            next(stream)
            self._device.start(stream)
        except miniaudio.MiniaudioError as problem:
            # Its words, and a number beside them that nobody can look up.
            words = problem.args[0] if problem.args else problem
            raise UsageProblem(f"no audio device can be opened here ({words}): {_INSTEAD}") from problem

    def _frames(self, samples: NDArray[np.int16]) -> Generator[bytes, int, None]:
        """Hand out so many samples as the device asks for, from a thread of its own."""
        wanted = yield b""
        at = 0
        while at < len(samples):
            piece = samples[at : at + wanted]
            at += wanted
            wanted = yield piece.tobytes()
        self.ended.set()

    def stop(self) -> None:
        """Fall silent and let the device go."""
        self.ended.set()
        self._device.close()


def _hush_alsa() -> None:
    # ALSA tells what it misses (a card, samples in time) on stderr, where the screens are drawn. As its handler any
    # function of C will do that takes no arguments, so that none of Python's runs in its threads.
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(ctypes.CDLL(None).getpid)
