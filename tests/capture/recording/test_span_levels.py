from __future__ import annotations

import numpy as np

from capture.recording.span_levels import SpanLevels

FRAME_BYTES = 960


def frames(*powers: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(powers, np.float64)


def test_a_stretch_has_the_power_of_its_loudest_frame() -> None:
    spans = SpanLevels()
    spans.end("first", 2 * FRAME_BYTES)
    spans.take(0, FRAME_BYTES, frames(0.1, 0.3, 0.2, 0.05))
    spans.end("second", 4 * FRAME_BYTES)
    spans.finish(4 * FRAME_BYTES)

    assert spans.loudest == {"first": 0.3, "second": 0.2}


def test_a_stretch_may_span_blocks() -> None:
    spans = SpanLevels()
    spans.take(0, FRAME_BYTES, frames(0.1, 0.3))
    spans.end("long", 3 * FRAME_BYTES)
    spans.take(2 * FRAME_BYTES, FRAME_BYTES, frames(0.2, 0.9))

    assert spans.loudest == {"long": 0.3}


def test_several_stretches_may_end_in_one_block() -> None:
    spans = SpanLevels()
    for number, name in enumerate(("a", "b", "c"), start=1):
        spans.end(name, number * FRAME_BYTES)
    spans.take(0, FRAME_BYTES, frames(0.1, 0.2, 0.3, 0.4))

    assert spans.loudest == {"a": 0.1, "b": 0.2, "c": 0.3}


def test_a_frame_that_is_cut_in_two_is_of_neither() -> None:
    spans = SpanLevels()
    spans.end("quiet", FRAME_BYTES + 10)
    spans.take(0, FRAME_BYTES, frames(0.0, 0.8, 0.1))
    spans.end("next", 3 * FRAME_BYTES)
    spans.finish(3 * FRAME_BYTES)

    assert spans.loudest == {"quiet": 0.0, "next": 0.1}


def test_nothing_is_said_of_a_stretch_with_a_hole() -> None:
    spans = SpanLevels()
    spans.take(0, FRAME_BYTES, frames(0.1))
    spans.leave_out()
    spans.end("holed", 2 * FRAME_BYTES)
    spans.take(2 * FRAME_BYTES, FRAME_BYTES, frames(0.2))
    spans.end("whole", 3 * FRAME_BYTES)
    spans.finish(3 * FRAME_BYTES)

    assert spans.loudest == {"whole": 0.2}


def test_nothing_is_said_of_no_audio() -> None:
    spans = SpanLevels()
    spans.end("empty", 0)
    spans.finish(0)

    assert spans.loudest == {}
