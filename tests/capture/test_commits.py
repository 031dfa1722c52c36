"""Which commits are silence: of each turn its own audio counts, whenever the endpoint answers."""

from __future__ import annotations

import numpy as np

from capture.audio import PCM16_24K
from capture.commits import Commits
from capture.recording.audio_blocks import TrackWriter

LOUD = (np.sin(np.arange(4800)) * 8000).astype("<i2").tobytes()
QUIET = bytes(9600)
COMMIT, CLEAR = "input_audio_buffer.commit", "input_audio_buffer.clear"


def quiet(*said: bytes | str) -> list[str]:
    """Play audio, client events and `committed ITEM`; give the items that are silence."""
    commits, track = Commits(), TrackWriter("client")
    for seq, each in enumerate(said):
        if isinstance(each, bytes):
            track.feed(each, PCM16_24K)
        elif each.startswith("committed "):
            commits.take(each.removeprefix("committed "), seq, track)
        elif each == "empty":
            commits.refuse()
        else:
            commits.observe(each, track)
    track.finish()
    return [row["item_id"] for row in commits.quiet(track)]


def test_a_commit_of_silence() -> None:
    assert quiet(LOUD, COMMIT, "committed a", QUIET, COMMIT, "committed b", LOUD) == ["b"]


def test_the_next_turn_may_be_under_way_when_the_endpoint_answers() -> None:
    assert quiet(LOUD, COMMIT, LOUD, "committed a", COMMIT, QUIET, "committed b") == []
    assert quiet(QUIET, COMMIT, LOUD, "committed a", COMMIT, "committed b") == ["a"]


def test_what_was_cleared_is_of_no_turn() -> None:
    assert quiet(LOUD, CLEAR, QUIET, COMMIT, "committed a") == ["a"]


def test_a_refused_commit_makes_no_item() -> None:
    assert quiet(COMMIT, "empty", LOUD, COMMIT, "committed a") == []


def test_turn_detection_commits_what_it_heard() -> None:
    assert quiet(LOUD, QUIET, "committed a", QUIET, "committed b") == []


def test_without_audio_nothing_is_silence() -> None:
    commits = Commits()
    commits.observe(COMMIT, None)
    commits.take("a", 1, None)

    assert commits.quiet(None) == []
