from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.audio import PCM16_24K, AudioFormat
from capture.errors import UsageProblem
from capture.recording.audio_blocks import TrackWriter
from capture.recording.reader import list_session_ids, open_recording, resolve_session
from capture.recording.root import Root
from capture.recording.schema import EVENTS, FORMAT_VERSION, SESSIONS, TABLES
from capture.recording.writer import SessionWriter

FIRST = "20260212T083055-4f3a9c12"
SECOND = "20260212T083055-0b00b135"
THIRD = "20260213T070000-4f3a9c12"
ULAW = AudioFormat("audio/pcmu", 8000)


def save(
    root: Root, session_id: str, *, started_at: int = 0, chunks: tuple[tuple[bytes, AudioFormat], ...] = ()
) -> None:
    track = TrackWriter("client")
    with SessionWriter(root, session_id) as writer:
        for seq, (audio, audio_format) in enumerate(chunks):
            row = {"audio_at": 10, "audio_track": "client", "audio_start": track.position, "audio_bytes": len(audio)}
            writer.add("events", _event(seq) | row)
            for block in track.feed(audio, audio_format):
                writer.add("audio", block)
        for block in track.finish():
            writer.add("audio", block)
        writer.commit({"started_at": started_at, "tags": {"caller": "a"}, "failure_keys": []})


def _event(seq: int) -> dict[str, Any]:
    return {
        "seq": seq,
        "offset_ns": seq * 1000,
        "at": seq,
        "sender": "client",
        "kind": "event",
        "type": "input_audio_buffer.append",
        "payload": f'{{"audio":"","n":{seq}}}',
        "redacted": False,
    }


def compact(root: Root, *session_ids: str) -> None:
    """Merge the files of sessions of one day into one a table, as compaction will."""
    for table, schema in TABLES.items():
        own = [root.table_file(table, session_id) for session_id in session_ids]
        found = [path for path in own if path.exists()]
        if found:
            merged = pa.concat_tables([pq.read_table(path, partitioning=None) for path in found])
            pq.write_table(merged.cast(schema), found[0].with_name("compacted-0.parquet"), row_group_size=3)
        for path in found:
            path.unlink()


# --- finding a recording --------------------------------------------------------------------------------------


def test_recordings_are_listed_oldest_first(root: Root) -> None:
    for session_id in (THIRD, FIRST, SECOND):
        save(root, session_id)
    assert list_session_ids(root) == [SECOND, FIRST, THIRD]


def test_an_id_a_unique_prefix_and_last_are_understood(root: Root) -> None:
    for session_id in (FIRST, THIRD):
        save(root, session_id)
    assert resolve_session(root, FIRST) == FIRST
    assert resolve_session(root, "20260213") == THIRD
    assert resolve_session(root, "last") == THIRD


def test_last_is_the_one_that_started_last_within_a_second(root: Root) -> None:
    save(root, FIRST, started_at=5)
    save(root, SECOND, started_at=6)
    assert resolve_session(root, "last") == SECOND


def test_an_unknown_id_names_the_nearest(root: Root) -> None:
    for session_id in (FIRST, THIRD):
        save(root, session_id)
    with pytest.raises(UsageProblem, match=r"no recording matches '20260212T083055-4f3a9c13' in .*; nearest: " + FIRST):
        resolve_session(root, "20260212T083055-4f3a9c13")


def test_an_ambiguous_prefix_lists_the_candidates(root: Root) -> None:
    for session_id in (FIRST, SECOND):
        save(root, session_id)
    with pytest.raises(UsageProblem, match=f"'20260212' begins 2 recordings: {SECOND}, {FIRST}; give more of the id"):
        resolve_session(root, "20260212")


def test_many_candidates_are_cut_short(root: Root) -> None:
    for number in range(9):
        save(root, f"20260212T083055-0000000{number}")
    with pytest.raises(UsageProblem, match=r"begins 9 recordings: .* and 4 more"):
        resolve_session(root, "2026")


def test_an_empty_root_says_how_to_record(root: Root) -> None:
    with pytest.raises(UsageProblem, match=r"there are no recordings in .*: make one with `wiretape capture call`"):
        resolve_session(root, "last")


def test_a_session_that_is_not_there_is_named(root: Root) -> None:
    save(root, FIRST)
    with pytest.raises(UsageProblem, match=f"there is no recording {SECOND} in "):
        open_recording(root, SECOND)


# --- reading it -----------------------------------------------------------------------------------------------


def test_messages_that_were_not_copied_are_told(root: Root) -> None:
    for session_id, events in ((FIRST, 1), (SECOND, 0)):
        with SessionWriter(root, session_id) as writer:
            writer.commit({"started_at": 0, "failure_keys": [], "events_sent": events, "events_received": 0})
    with pytest.raises(UsageProblem, match=f"recording {FIRST} cannot be read: its messages are missing: was all of"):
        list(open_recording(root, FIRST).messages())
    assert list(open_recording(root, SECOND).messages()) == []


def test_messages_come_back_with_their_audio(root: Root) -> None:
    wave = np.arange(24_000, dtype="<i2").tobytes()
    save(root, FIRST, chunks=((wave, PCM16_24K), (b"\x01\x02\x03", PCM16_24K), (b"\x7f" * 7, ULAW)))
    messages = list(open_recording(root, FIRST).messages())
    texts = [
        f'{{"audio":"{base64.b64encode(audio).decode()}","n":{n}}}'
        for n, audio in enumerate((wave, b"\x01\x02\x03", b"\x7f" * 7))
    ]
    assert [message.content for message in messages] == texts
    assert [message.offset_ns for message in messages] == [0, 1000, 2000]
    assert {message.type for message in messages} == {"input_audio_buffer.append"}
    assert set(messages[0].row) == set(EVENTS.names)
    assert messages[0].row["payload"] == '{"audio":"","n":0}'
    assert messages[0].row["error_code"] is None
    assert messages[1].row["at"].isoformat() == "1970-01-01T00:00:00.000001+00:00"


def test_messages_may_span_blocks(root: Root) -> None:
    wave = np.tile(np.arange(-12_000, 12_000, dtype="<i2"), 35).tobytes()
    chunks = tuple((wave[at : at + 700_001], PCM16_24K) for at in range(0, len(wave), 700_001))
    save(root, FIRST, chunks=chunks)
    read = [message.content for message in open_recording(root, FIRST).messages()]
    assert read == [f'{{"audio":"{base64.b64encode(audio).decode()}","n":{n}}}' for n, (audio, _) in enumerate(chunks)]


def test_a_track_comes_in_spans_of_one_format(root: Root) -> None:
    save(
        root,
        FIRST,
        chunks=((b"\x01\x02\x03", PCM16_24K), (b"\x7f" * 7, ULAW), (b"\x05", PCM16_24K), (b"\x06", PCM16_24K)),
    )
    recording = open_recording(root, FIRST)
    assert recording.audio("client") == [
        (PCM16_24K, b"\x01\x02\x03"),
        (ULAW, b"\x7f" * 7),
        (PCM16_24K, b"\x05\x06"),
    ]
    assert recording.audio("server") == []


def test_the_session_row_has_every_column(root: Root) -> None:
    save(root, FIRST)
    session = open_recording(root, FIRST).session
    assert set(session) == set(SESSIONS.names)
    assert session["tags"] == {"caller": "a"}
    assert session["failure_keys"] == []
    assert session["region"] is None


def test_compacted_files_hold_the_same_sessions(root: Root) -> None:
    chunks = ((b"\x01\x02\x03", PCM16_24K), (b"\x7f" * 7, ULAW))
    save(root, FIRST, chunks=chunks)
    save(root, SECOND, chunks=((b"\x09\x09", PCM16_24K), *chunks))
    before = {found: list(open_recording(root, found).messages()) for found in (FIRST, SECOND)}
    compact(root, FIRST, SECOND)
    assert list_session_ids(root) == [SECOND, FIRST]
    assert {found: list(open_recording(root, found).messages()) for found in (FIRST, SECOND)} == before
    assert open_recording(root, SECOND).audio("client")[0] == (PCM16_24K, b"\x09\x09\x01\x02\x03")


def test_columns_that_came_later_are_null_in_older_files(root: Root) -> None:
    save(root, FIRST, chunks=((b"\x01\x02", PCM16_24K),))
    for name in ("events", "sessions"):
        path = root.table_file(name, FIRST)
        column = "pinned" if name == "events" else "drift_us"
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns([column]), path)
    recording = open_recording(root, FIRST)
    assert recording.session["drift_us"] is None
    assert next(recording.messages()).row["pinned"] is None


def test_a_recording_of_a_later_format_is_not_taken_for_one_of_ours(root: Root) -> None:
    with SessionWriter(root, FIRST) as writer:
        writer.add("events", _event(0))
        writer.commit({"format_version": FORMAT_VERSION + 1})
    with pytest.raises(UsageProblem, match=rf"recording {FIRST} was written by a newer wiretape \(format 2\): update"):
        open_recording(root, FIRST)


# --- what was not kept ----------------------------------------------------------------------------------------


def save_with_holes(root: Root, chunks: list[bytes], kept: set[int]) -> None:
    track = TrackWriter("client")
    with SessionWriter(root, FIRST) as writer:
        for seq, audio in enumerate(chunks):
            row = {"audio_at": 10, "audio_track": "client", "audio_start": track.position, "audio_bytes": len(audio)}
            if seq in kept:
                writer.add("events", _event(seq) | row | {"pinned": seq % 2 == 0})
            blocks = track.feed(audio, PCM16_24K) if seq in kept else track.skip(len(audio), PCM16_24K)
            for block in blocks:
                writer.add("audio", block)
        for block in track.finish():
            writer.add("audio", block)
        writer.commit({"started_at": 0, "failure_keys": [], "kept": "window"})


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=12),
    draw=st.sets(st.integers(0, 11)),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_messages_around_holes_come_back_byte_for_byte(root: Root, chunks: list[bytes], draw: set[int]) -> None:
    kept = {seq for seq in draw if seq < len(chunks)}
    # Each example writes the same session anew.
    root.table_file("audio", FIRST).unlink(missing_ok=True)
    save_with_holes(root, chunks, kept)
    recording = open_recording(root, FIRST)
    texts = {seq: f'{{"audio":"{base64.b64encode(audio).decode()}","n":{seq}}}' for seq, audio in enumerate(chunks)}
    assert [(m.seq, m.content) for m in recording.messages()] == [(seq, texts[seq]) for seq in sorted(kept)]
    assert [m.is_pinned for m in recording.messages()] == [seq % 2 == 0 for seq in sorted(kept)]
    track = b"".join(chunks)
    spans = recording.spans("client")
    assert all(track[span.start_byte :].startswith(span.audio) for span in spans)
    assert sum(len(span.audio) for span in spans) == sum(len(chunks[seq]) for seq in kept)
    # Of a stretch of the track only the blocks are read that hold some of it.
    middle = range(len(track) // 2, len(track) // 2 + 1)
    assert all(track[span.start_byte :].startswith(span.audio) for span in recording.spans("client", middle))
    assert recording.spans("client", range(len(track), len(track) + 10)) == []
    # Two spans never touch: what lies between them is a hole.
    assert all(before.start_byte + len(before.audio) < after.start_byte for before, after in pairwise(spans))


# --- what is damaged or foreign -------------------------------------------------------------------------------


def test_corrupt_and_foreign_files_do_not_take_the_root_down(root: Root, caplog: pytest.LogCaptureFixture) -> None:
    save(root, FIRST, chunks=((b"\x01\x02", PCM16_24K),))
    save(root, SECOND)
    compact(root, FIRST, SECOND)
    for table in ("sessions", "events", "audio"):
        folder = root.table_file(table, FIRST).parent
        (folder / "broken.parquet").write_bytes(b"PAR1 not really")
        pq.write_table(pa.table({"someone": ["else"]}), folder / "alien.parquet")
        pq.write_table(pa.table({"session_id": [1, 2]}), folder / "another.parquet")
    assert resolve_session(root, "last") in (FIRST, SECOND)
    assert len(list(open_recording(root, FIRST).messages())) == 1
    assert "broken.parquet is passed over" in caplog.text


def test_a_damaged_recording_is_named(root: Root) -> None:
    save(root, FIRST, chunks=((b"\x01\x02", PCM16_24K),))
    root.table_file("events", FIRST).write_bytes(b"nothing")
    with pytest.raises(UsageProblem, match=rf"recording {FIRST} cannot be read: .*/events/.*\.parquet"):
        list(open_recording(root, FIRST).messages())
    root.table_file("sessions", FIRST).write_bytes(b"nothing")
    with pytest.raises(UsageProblem, match=f"recording {FIRST} cannot be read"):
        open_recording(root, FIRST)


def test_last_passes_over_a_damaged_recording(root: Root, caplog: pytest.LogCaptureFixture) -> None:
    save(root, FIRST)
    save(root, THIRD)
    root.table_file("sessions", THIRD).write_bytes(b"nothing")
    assert resolve_session(root, "last") == FIRST
    assert THIRD in caplog.text


def test_missing_audio_is_named(root: Root) -> None:
    save(root, FIRST, chunks=((b"\x01\x02", PCM16_24K),))
    root.table_file("audio", FIRST).unlink()
    with pytest.raises(
        UsageProblem, match=f"recording {FIRST} cannot be read: the audio of message 0 is missing or damaged"
    ):
        list(open_recording(root, FIRST).messages())


def test_damaged_audio_is_named(root: Root) -> None:
    wave = np.arange(24_000, dtype="<i2").tobytes()
    save(root, FIRST, chunks=((wave, PCM16_24K),))
    path = root.table_file("audio", FIRST)
    table = pq.read_table(path, partitioning=None)
    for damaged in (b"fLaC but no more", table.column("data")[0].as_py()[:-20]):
        pq.write_table(table.set_column(table.column_names.index("data"), "data", [[damaged]]), path)
        with pytest.raises(UsageProblem, match="the audio of message 0 is missing or damaged"):
            list(open_recording(root, FIRST).messages())
        with pytest.raises(UsageProblem, match="the audio of its track client is damaged: block 0"):
            open_recording(root, FIRST).audio("client")


def test_a_missing_block_is_never_filled_with_another(root: Root) -> None:
    save(root, FIRST, chunks=((b"\x01\x02", PCM16_24K), (b"\x03", ULAW), (b"\x04", ULAW)))
    path = root.table_file("audio", FIRST)
    pq.write_table(pq.read_table(path, partitioning=None).slice(1), path)
    with pytest.raises(UsageProblem, match="the audio of message 0 is missing"):
        list(open_recording(root, FIRST).messages())
