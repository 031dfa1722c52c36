from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from capture.playback import Playback

MS = 1_000_000


def played(*pieces: tuple[int, float], answer: str = "item_1") -> Playback:
    """Play pieces of (when they came, how long they play), in milliseconds."""
    playback = Playback()
    for seq, (at_ms, audio_ms) in enumerate(pieces):
        playback.take(seq, at_ms * MS, answer, audio_ms)
    return playback


def test_audio_that_comes_faster_than_it_plays_leaves_nobody_waiting() -> None:
    assert played((1000, 200), (1050, 200), (1100, 200)).underruns == []


def test_a_gap_is_waited_for_once_what_came_before_is_played() -> None:
    playback = played((1000, 200), (1050, 200), (3250, 200))

    assert playback.underruns == [{"seq": 2, "offset_ns": 3250 * MS, "wait_ms": 1850.0}]


def test_after_a_wait_the_next_piece_is_due_anew() -> None:
    assert [each["wait_ms"] for each in played((0, 100), (1100, 100), (1200, 100), (1900, 100)).underruns] == [
        1000,
        600,
    ]


def test_a_hiccup_is_bridged_by_the_player() -> None:
    assert played((0, 100), (250, 100)).underruns == []


def test_between_two_items_nobody_counts() -> None:
    playback = played((0, 100))
    playback.take(1, 5000 * MS, "item_2", 100)
    playback.take(2, 5100 * MS, "item_2", 100)

    assert playback.underruns == []


def test_after_lost_audio_nobody_counts() -> None:
    playback = played((0, 100))
    playback.interrupt()
    playback.take(1, 5000 * MS, "item_1", 100)

    assert playback.underruns == []


def test_audio_of_no_item_may_pause_as_it_likes() -> None:
    """GPT-Live and translations stream audio without ids, and are silent between two answers."""
    playback = Playback()
    for seq, at_ms in enumerate((0, 5000)):
        playback.take(seq, at_ms * MS, None, 100)

    assert playback.underruns == []


@given(st.lists(st.tuples(st.integers(200, 5000), st.floats(1, 100)), min_size=25, max_size=60))
def test_the_longest_waits_are_kept_in_their_order(gaps: list[tuple[int, float]]) -> None:
    at_ms, pieces = 0, []
    for gap_ms, audio_ms in gaps:
        at_ms += gap_ms
        pieces.append((at_ms, audio_ms))
    underruns = played(*pieces).underruns

    assert len(underruns) <= 20
    assert [each["seq"] for each in underruns] == sorted(each["seq"] for each in underruns)
    assert all(each["wait_ms"] >= 200 for each in underruns)
