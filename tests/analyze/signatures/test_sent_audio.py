"""Faults of the sent audio, from transcripts: the signatures say what `audio_health` says."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from analyze.findings import Finding
from analyze.queries import Queries
from analyze.store import open_store
from capture.audio import PCM16_24K, AudioFormat, read_clip, resample
from capture.recording.facts import KeepRule
from capture.recording.root import Root
from tests.analyze.signatures.conftest import Line, NamesOf, Record, answer, opening, transcribed

ULAW = AudioFormat("audio/pcmu", 8000)
CLIPS = Path(__file__).parents[3] / "replay" / "simulator" / "clips"
CHUNK_MS = 20
AUDIO_SIGNATURES = {
    "audio_bytes_swapped",
    "audio_chunks_duplicated",
    "audio_chunks_missing",
    "audio_clipped",
    "audio_too_quiet",
    "audio_wrong_format",
    "audio_wrong_rate",
}

SPOKEN = np.concatenate([read_clip(CLIPS / f"{name}.flac")[0] for name in ("question_weather", "answer_paris")])


def louder(gain_db: float) -> bytes:
    return np.clip(SPOKEN * 10 ** (gain_db / 20), -32768, 32767).astype("<i2").tobytes()


def turn(chunks: Iterable[tuple[float, bytes]]) -> list[Line]:
    """Give a whole session in which one turn is spoken in such chunks, heard and answered."""
    appends: list[Line] = [
        (
            1000 + at_ms,
            "client",
            {"type": "input_audio_buffer.append", "audio": base64.b64encode(chunk).decode()},
        )
        for at_ms, chunk in chunks
    ]
    heard_ms = appends[-1][0] + 100
    committed = {"type": "input_audio_buffer.committed", "item_id": "item_u1"}
    return [
        *opening(turn_detection=None),
        *appends,
        (heard_ms, "client", {"type": "input_audio_buffer.commit"}),
        (heard_ms + 10, "server", committed),
        *transcribed(heard_ms + 200),
        (heard_ms + 250, "client", {"type": "response.create"}),
        *answer(heard_ms + 300),
    ]


def live(audio: bytes, audio_format: AudioFormat = PCM16_24K) -> list[tuple[float, bytes]]:
    size = int(audio_format.bytes_per_ms * CHUNK_MS)
    return [(CHUNK_MS * n, audio[at : at + size]) for n, at in enumerate(range(0, len(audio), size))]


def as_if(audio_format: AudioFormat) -> list[tuple[float, bytes]]:
    """Send another format than the session's."""
    return live(audio_format.encode(resample(SPOKEN, 24_000, audio_format.rate)), audio_format)


CLEAN = live(SPOKEN.tobytes())
FAULTS = {
    "audio_clipped": live(louder(30)),
    "audio_too_quiet": live(louder(-36)),
    "audio_wrong_rate": as_if(AudioFormat("audio/pcm", 8000)),
    "audio_bytes_swapped": live(SPOKEN.astype(">i2").tobytes()),
    "audio_wrong_format": as_if(ULAW),
    "audio_chunks_duplicated": [each for n, each in enumerate(CLEAN) for _ in range(2 if n % 7 == 3 else 1)],
    "audio_chunks_missing": [each for n, each in enumerate(CLEAN) if n % 7 != 3],
}


def test_every_fault_has_its_transcript() -> None:
    assert FAULTS.keys() == AUDIO_SIGNATURES


def test_each_fault_of_the_audio_has_its_own_name(
    root: Root, record: Record, findings: Callable[[], list[Finding]]
) -> None:
    sessions = {name: record(turn(chunks)) for name, chunks in FAULTS.items()}

    found = {finding.session_id: finding for finding in findings()}
    assert {session_id: finding.name for session_id, finding in found.items()} == {
        session_id: name for name, session_id in sessions.items()
    }
    with open_store(root) as store:
        queries = Queries(store)
        for name, session_id in sessions.items():
            (row,) = queries.rows_at(session_id, found[session_id].evidence)
            faults = [fact.name for fact in queries.audio_health(session_id).facts if fact.severity == "fault"]
            assert (faults, row.type, found[session_id].explains) == ([name], "input_audio_buffer.committed", ())


def test_clean_audio_has_no_finding(names_of: NamesOf) -> None:
    cases = {
        f"{gain_db} dB, {pace} times as fast": turn((at_ms / pace, chunk) for at_ms, chunk in live(louder(gain_db)))
        for gain_db in (-26, -12, 0, 9)
        for pace in (1.0, 0.9, 4.0)
    }

    assert names_of(cases) == {}


def test_a_muted_microphone_is_no_fault_of_the_audio(record: Record, names: Callable[[], dict[str, list[str]]]) -> None:
    record(turn(live(bytes(48 * 3000))))

    assert not AUDIO_SIGNATURES & {name for found in names().values() for name in found}


def test_signatures_draw_the_line_where_the_judgement_does(
    root: Root, record: Record, names: Callable[[], dict[str, list[str]]]
) -> None:
    gains_db = {record(turn(live(louder(gain_db)))): gain_db for gain_db in (16, 18, 20, 22, -30, -31, -32, -33)}

    named = names()
    found = {gain_db: named.get(session_id, []) for session_id, gain_db in gains_db.items()}

    with open_store(root) as store:
        judged = {gain_db: Queries(store).audio_health(session_id).facts for session_id, gain_db in gains_db.items()}
    assert found == {
        gain_db: [fact.name for fact in facts if fact.severity == "fault"] for gain_db, facts in judged.items()
    }
    # On both sides of both lines.
    assert {tuple(each) for each in found.values()} == {(), ("audio_clipped",), ("audio_too_quiet",)}


def test_a_recording_of_an_earlier_version_is_judged_by_what_it_has(
    root: Root, record: Record, findings: Callable[[], list[Finding]]
) -> None:
    session_id = record(turn(FAULTS["audio_clipped"]))
    for table, columns in (
        ("audio", ["level_range_db", "bandwidth_hz", "looks_like"]),
        ("sessions", ["pacing_ratio", "longest_append_gap_ms", "audio_missing_ms"]),
    ):
        path = root.table_file(table, session_id)
        pq.write_table(pq.ParquetFile(path).read().drop_columns(columns), path)

    assert [finding.name for finding in findings()] == ["audio_clipped"]
    with open_store(root) as store:
        health = Queries(store).audio_health(session_id)
    assert ([fact.name for fact in health.facts], health.is_measured) == (["audio_clipped"], False)


def test_what_a_long_call_may_lose_is_no_fault_of_the_window_that_is_kept_of_it(
    root: Root, record: Record, names: Callable[[], dict[str, list[str]]]
) -> None:
    # Half a second of a minute, long before the failure.
    spoken = [each for n, each in enumerate(live(np.tile(SPOKEN, 8).tobytes())) if n % 25 != 3 or n > 1600]
    said = turn(spoken)
    failed_ms = said[-1][0] + 100
    failed: Line = (failed_ms, "server", {"type": "error", "error": {"type": "server_error", "message": "The server."}})

    cut = record([*said, failed], keep_rule=KeepRule(keep="failed", pre_s=5.0, post_s=1.0))

    assert not AUDIO_SIGNATURES & {name for found in names().values() for name in found}
    with open_store(root) as store:
        health = Queries(store).audio_health(cut)
    assert (health.is_cut, [fact.name for fact in health.facts]) == (True, [])
