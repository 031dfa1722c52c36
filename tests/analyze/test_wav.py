from __future__ import annotations

import wave
from pathlib import Path

import pytest

from analyze.wav import wav_paths, write_track
from capture.errors import UsageProblem
from capture.recording.reader import open_recording
from capture.recording.root import Root


def test_a_track_plays_as_it_was_sent(root: Root, failed_session: str, tmp_path: Path) -> None:
    recording = open_recording(root, failed_session)
    path = tmp_path / "client.wav"
    assert write_track(recording, "client", path) == 100.0
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
        assert sound.readframes(2400) == recording.audio("client")[0][1]


def test_a_file_is_its_owners_and_takes_the_place_of_another_only_when_it_may(
    root: Root, failed_session: str, tmp_path: Path
) -> None:
    recording = open_recording(root, failed_session)
    path = tmp_path / "client.wav"
    write_track(recording, "client", path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"mine")
    with pytest.raises(UsageProblem, match=r"client\.wav exists already"):
        write_track(recording, "client", path)
    assert path.read_bytes() == b"mine"
    write_track(recording, "client", path, overwrite=True)
    assert path.read_bytes().startswith(b"RIFF")
    assert list(tmp_path.glob("*client*")) == [path]


def test_what_cannot_be_written_says_why(root: Root, failed_session: str, tmp_path: Path) -> None:
    recording = open_recording(root, failed_session)
    with pytest.raises(UsageProblem, match="has no other audio"):
        write_track(recording, "other", tmp_path / "x.wav")
    with pytest.raises(UsageProblem, match="it is no regular file"):
        write_track(recording, "client", tmp_path, overwrite=True)
    with pytest.raises(UsageProblem, match="cannot be written: No such file"):
        write_track(recording, "client", tmp_path / "no" / "such.wav")


@pytest.mark.parametrize("session_id", ["../../etc/motd", "/etc/motd", "a\0b"])
def test_a_session_that_is_called_by_a_path_is_written_to_no_other_folder(session_id: str, tmp_path: Path) -> None:
    assert {path.parent for path in wav_paths(session_id, tmp_path).values()} == {tmp_path}
    assert not any("\0" in path.name for path in wav_paths(session_id, tmp_path).values())
