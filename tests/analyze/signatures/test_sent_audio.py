"""Faults of the sent audio, from transcripts: the signatures say what `audio_health` says."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from analyze.findings import Finding
from analyze.queries import Queries
from analyze.store import open_store
from capture.audio import PCM16_24K, AudioFormat, read_clip, resample
from capture.recording.root import Root
from tests.analyze.signatures.conftest import Line, Record, answer, opening, transcribed

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


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_each_fault_of_the_audio_has_its_own_name(
    name: str, root: Root, record: Record, findings: Callable[[], list[Finding]]
) -> None:
    session_id = record(turn(FAULTS[name]))

    (finding,) = findings()
    assert (finding.session_id, finding.name, finding.explains) == (session_id, name, ())
    with open_store(root) as store:
        health = Queries(store).audio_health(session_id)
        (seq,) = finding.evidence
        (event,) = store.rows("SELECT type FROM events WHERE session_id = ? AND seq = ?", [session_id, seq])
    assert [fact.name for fact in health.facts if fact.severity == "fault"] == [name]
    assert event["type"] == "input_audio_buffer.committed"


@pytest.mark.parametrize("gain_db", [-26, -12, 0, 9])
@pytest.mark.parametrize("pace", [1.0, 0.9, 4.0])
def test_clean_audio_has_no_finding(
    gain_db: float, pace: float, record: Record, findings: Callable[[], list[Finding]]
) -> None:
    record(turn((at_ms / pace, chunk) for at_ms, chunk in live(louder(gain_db))))

    assert findings() == []


def test_a_muted_microphone_is_no_fault_of_the_audio(record: Record, names: Callable[[], dict[str, list[str]]]) -> None:
    record(turn(live(bytes(48 * 3000))))

    assert not AUDIO_SIGNATURES & {name for found in names().values() for name in found}


@pytest.mark.parametrize("gain_db", [16, 18, 20, 22, -30, -31, -32, -33])
def test_signatures_draw_the_line_where_the_judgement_does(
    gain_db: float, root: Root, record: Record, findings: Callable[[], list[Finding]]
) -> None:
    session_id = record(turn(live(louder(gain_db))))

    with open_store(root) as store:
        facts = Queries(store).audio_health(session_id).facts
    assert [finding.name for finding in findings()] == [fact.name for fact in facts if fact.severity == "fault"]


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
