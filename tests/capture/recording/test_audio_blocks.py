from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.audio import PCM16_24K, AudioFormat
from capture.recording.audio_blocks import TrackWriter, decode_block

ULAW = AudioFormat("audio/pcmu", 8000)
ALAW = AudioFormat("audio/pcma", 8000)
PCM16_8K = AudioFormat("audio/pcm", 8000)
SECOND = 48_000
Row = dict[str, Any]


def tone(seconds: float, *, level: float = 0.5, rate: int = 24_000) -> NDArray[np.int16]:
    at = np.arange(int(seconds * rate)) / rate
    return np.rint(np.sin(2 * np.pi * 440 * at) * level * 32767).astype(np.int16)


def noise(seconds: float, *, level: float = 0.5) -> NDArray[np.int16]:
    return np.rint(np.random.default_rng(1).uniform(-1, 1, int(seconds * 24_000)) * level * 32767).astype(np.int16)


def write(chunks: list[tuple[bytes, AudioFormat]]) -> list[Row]:
    track = TrackWriter("client")
    rows = [row for chunk, audio_format in chunks for row in track.feed(chunk, audio_format)]
    return rows + list(track.finish())


def joined(rows: list[Row]) -> bytes:
    return b"".join(map(decode_block, rows))


def test_a_track_is_cut_every_ten_seconds() -> None:
    audio = tone(25).tobytes()
    rows = write([(audio[at : at + 960], PCM16_24K) for at in range(0, len(audio), 960)])
    assert [(row["block"], row["start_byte"], row["bytes"]) for row in rows] == [
        (0, 0, 10 * SECOND),
        (1, 10 * SECOND, 10 * SECOND),
        (2, 20 * SECOND, 5 * SECOND),
    ]
    assert {row["codec"] for row in rows} == {"flac"}
    assert sum(len(row["data"]) for row in rows) < len(audio) / 2
    assert joined(rows) == audio


def test_blocks_do_not_heed_where_messages_end() -> None:
    audio = tone(21).tobytes()
    rows = write([(audio, PCM16_24K)])
    assert [row["bytes"] for row in rows] == [10 * SECOND, 10 * SECOND, SECOND]
    assert joined(rows) == audio


def test_an_odd_last_byte_gets_a_block_of_its_own() -> None:
    audio = tone(1).tobytes() + b"\x7f"
    rows = write([(audio, PCM16_24K)])
    assert [(row["codec"], row["bytes"], row["start_byte"]) for row in rows] == [
        ("flac", SECOND, 0),
        ("raw", 1, SECOND),
    ]
    assert "rms_dbfs" not in rows[1]
    assert joined(rows) == audio


def test_odd_chunks_go_on_where_the_last_one_stopped() -> None:
    audio = tone(1).tobytes()
    rows = write([(audio[:961], PCM16_24K), (audio[961:], PCM16_24K)])
    assert [row["codec"] for row in rows] == ["flac"]
    assert joined(rows) == audio


def test_a_change_of_format_ends_a_block() -> None:
    rows = write([(b"\x01\x02\x03", PCM16_24K), (b"\x7f" * 5, ULAW), (b"\x04" * 3, ALAW), (b"\0" * 4, PCM16_8K)])
    assert [(row["start_byte"], row["bytes"], row["format"], row["rate"], row["codec"]) for row in rows] == [
        (0, 3, "audio/pcm", 24_000, "raw"),
        (3, 5, "audio/pcmu", 8000, "raw"),
        (8, 3, "audio/pcma", 8000, "raw"),
        (11, 4, "audio/pcm", 8000, "raw"),
    ]
    assert joined(rows) == b"\x01\x02\x03" + b"\x7f" * 5 + b"\x04" * 3 + b"\0" * 4


def test_flac_that_is_no_smaller_is_not_kept() -> None:
    audio = noise(0.02, level=1).tobytes()
    (row,) = write([(audio, PCM16_24K)])
    assert row["codec"] == "raw"
    assert row["data"] == audio


def test_g711_stays_as_it_is() -> None:
    audio = bytes(range(256)) * 100
    for audio_format in (ULAW, ALAW):
        assert {row["codec"] for row in write([(audio, audio_format)])} == {"raw"}
        assert joined(write([(audio, audio_format)])) == audio


def test_no_audio_makes_no_block() -> None:
    assert write([]) == []
    assert write([(b"", PCM16_24K)]) == []


@given(
    chunks=st.lists(
        st.tuples(
            st.binary(max_size=60) | st.integers(1, 30_000).map(lambda n: b"\1\2" * n),
            st.sampled_from(
                (PCM16_24K, PCM16_8K, ULAW, ALAW, AudioFormat("audio/pcm", 1000), AudioFormat("audio/pcm", 384_000))
            ),
        ),
        max_size=8,
    )
)
def test_every_track_comes_back_byte_for_byte(chunks: list[tuple[bytes, AudioFormat]]) -> None:
    rows = write(chunks)
    assert joined(rows) == b"".join(chunk for chunk, _ in chunks)
    assert [row["block"] for row in rows] == list(range(len(rows)))
    assert [row["start_byte"] for row in rows] == [sum(row["bytes"] for row in rows[:n]) for n in range(len(rows))]
    assert all(row["bytes"] for row in rows)


def test_a_track_knows_where_it_is_and_how_long_it_plays() -> None:
    track = TrackWriter("server")
    list(track.feed(b"\0" * SECOND, PCM16_24K))
    list(track.feed(b"\0" * 4000, ULAW))
    assert track.position == SECOND + 4000
    assert track.played_ms == 1500


def test_chunks_sent_twice_are_counted_but_not_silence() -> None:
    voice, silence = tone(0.02).tobytes(), b"\0" * 960
    (row,) = write([(chunk, PCM16_24K) for chunk in (voice, voice, silence, silence, silence, voice)])
    assert row["duplicated_chunks"] == 1
    (row,) = write([(chunk, ULAW) for chunk in (b"\xff" * 160, b"\xff" * 160, bytes(range(160)), bytes(range(160)))])
    assert row["duplicated_chunks"] == 1


def test_a_hole_ends_a_block_and_moves_what_follows() -> None:
    audio = tone(2).tobytes()
    track = TrackWriter("client")
    rows = [*track.skip(SECOND, PCM16_24K), *track.feed(audio[:SECOND], PCM16_24K), *track.skip(8000, ULAW)]
    assert track.played_ms == 3000
    rows += [*track.feed(audio[SECOND:], PCM16_24K), *track.finish()]
    assert [(row["block"], row["start_byte"], row["bytes"]) for row in rows] == [
        (0, SECOND, SECOND),
        (1, 2 * SECOND + 8000, SECOND),
    ]
    assert joined(rows) == audio
    assert (track.position, track.played_ms) == (3 * SECOND + 8000, 4000)


def test_across_a_hole_no_chunk_is_a_repeat() -> None:
    chunk = tone(0.02).tobytes()
    track = TrackWriter("client")
    rows = [*track.feed(chunk, PCM16_24K), *track.skip(960, PCM16_24K), *track.feed(chunk, PCM16_24K), *track.finish()]
    assert [row["duplicated_chunks"] for row in rows] == [0, 0]
