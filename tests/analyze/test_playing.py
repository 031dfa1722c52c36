from __future__ import annotations

import sys
from contextlib import suppress

import numpy as np
import pytest

from analyze.playing import Playback
from analyze.track_audio import track_samples
from capture.errors import UsageProblem
from capture.recording.reader import open_recording
from capture.recording.root import Root


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    with pytest.raises(UsageProblem, match=r"pip install 'wiretape\[play\]'; or write it as a WAV file"):
        Playback(np.zeros(10, np.int16), 24_000)


def test_a_track_plays_to_its_end_or_until_it_is_stopped(root: Root, ok_session: str) -> None:
    miniaudio = pytest.importorskip("miniaudio")
    samples, rate = track_samples(open_recording(root, ok_session), "server")
    assert (len(samples), rate) == (960, 24_000)
    # A device that hears nothing, at the pace of one that does.
    nowhere = [miniaudio.Backend.NULL]
    played = Playback(samples, rate, backends=nowhere)
    assert played.ended.wait(10)
    played.stop()
    long = Playback(np.zeros(rate * 60, np.int16), rate, backends=nowhere)
    assert not long.ended.is_set()
    long.stop()
    assert long.ended.is_set()


def test_where_there_is_no_device_it_says_so(root: Root, ok_session: str) -> None:
    miniaudio = pytest.importorskip("miniaudio")
    with pytest.raises(UsageProblem, match="no audio device can be opened here"):
        Playback(np.zeros(10, np.int16), 24_000, backends=[miniaudio.Backend.WINMM])


def test_what_alsa_tells_stays_off_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("miniaudio")
    # Without a card ALSA names each of its files that say so; where there is one, silence is played.
    with suppress(UsageProblem):
        Playback(np.zeros(10, np.int16), 24_000).stop()
    assert "ALSA" not in capfd.readouterr().err


def test_no_number_of_the_library_stands_in_what_is_said() -> None:
    miniaudio = pytest.importorskip("miniaudio")
    with pytest.raises(UsageProblem, match=r"no audio device can be opened here \([a-z ]+\): write it"):
        Playback(np.zeros(10, np.int16), 24_000, backends=[miniaudio.Backend.WINMM])
