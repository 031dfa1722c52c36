"""A recorded track as one piece of sound, to be written or played."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from capture.audio import resample
from capture.errors import UsageProblem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capture.recording.reader import Recording


def track_samples(recording: Recording, track: str) -> tuple[NDArray[np.int16], int]:
    """Give one track (`client`, `server` or `other`) as mono samples, with their rate.

    Of a session that was not kept whole the spans are joined: an hour of silence in place of a hole helps nobody.
    Raises `UsageProblem` where the session has no such audio.
    """
    spans = recording.audio(track)
    if not spans:
        raise UsageProblem(f"session {recording.session_id} has no {track} audio")
    # A track that changes its format has one rate here: the one it began with.
    rate = spans[0][0].rate
    parts = [resample(span.decode(encoded), span.rate, rate) for span, encoded in spans]
    return np.concatenate(parts).astype(np.int16), rate
