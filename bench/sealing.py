"""Measure sealing: a session of ten minutes -> Parquet, its size, and how fast it is read back.

Run `python bench/sealing.py [--quick] [--json FILE]`. CPU seconds are this process's own; sizes are compared with
the same messages as JSON lines, gzip and zstd, and with bare FLAC files of the two tracks. What those files and
websockets' own `Frame.parse` of the same frames cost is measured in the same run: machines differ, ratios less.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pybase64
import soundfile
from numpy.typing import NDArray
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from capture.audio import read_clip
from capture.journal import Direction, JournalWriter
from capture.recording.facts import HandshakeResponse, SessionEnd, SessionFacts, encode_fact
from capture.recording.reader import open_recording
from capture.recording.root import Root, new_session_id
from capture.sealing import seal

CLIPS = Path(__file__).parents[1] / "replay" / "simulator" / "clips"
CHUNK_MS, DELTA_MS, RATE = 20, 100, 24_000
CYCLE_MS = 10_000
"""One turn: the question, a pause, the answer."""
Result = TypeVar("Result")


def main() -> int:
    """Run the measurement, print the table, and say whether the targets are met."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--quick", action="store_true", help="one minute of audio instead of ten")
    options.add_argument("--json", type=Path, metavar="FILE")
    chosen = options.parse_args()
    minutes = 1 if chosen.quick else 10
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Root(Path(folder)), minutes)
    failed = report(figures, minutes)
    if chosen.json:
        chosen.json.write_text(json.dumps({"minutes": minutes, **figures, "missed": failed}, indent=2) + "\n")
    return 1 if failed else 0


def measure(root: Root, minutes: int) -> dict[str, float]:
    """Seal one session and weigh the result."""
    messages = list(conversation(minutes))
    # The sealer's process lives as long as the proxy: its imports are not part of a session's price.
    open_recording(root, seal(root.path, write_journal(root, messages[:100])).session_id)
    # Of short sessions as many as come to ten minutes: one alone takes half as long again on a bad moment.
    session_ids = [write_journal(root, messages) for _ in range(10 // minutes)]
    seal_s = median_cpu_s(partial(seal, root.path, session_id) for session_id in session_ids)
    audio = [sent(track) for track in tracks(minutes)]
    flac_s, flacs = cpu_s(lambda: [flac(track) for track in audio])
    decode_s, _ = cpu_s(lambda: [soundfile.read(io.BytesIO(encoded), dtype="int16") for encoded in flacs])
    frames = [(sender, frame(sender, text)) for sender, _, text in messages]
    parse_s, _ = cpu_s(lambda: [parse(*encoded) for encoded in frames])
    lines = b"".join(json_line(*message) for message in messages)
    return {
        "messages": len(messages),
        "json_lines_mb": len(lines) / 1e6,
        "gzip_mb": len(gzip.compress(lines, 6)) / 1e6,
        "zstd_mb": len(pa.compress(lines, codec="zstd", asbytes=True)) / 1e6,
        "flac_mb": sum(map(len, flacs)) / 1e6,
        "recording_mb": sum(file.stat().st_size for file in root.path.rglob(f"{session_ids[0]}.parquet")) / 1e6,
        "flac_encode_s": flac_s,
        "flac_decode_s": decode_s,
        "frame_parse_s": parse_s,
        "seal_cpu_s": seal_s,
        **read_back(root, session_ids),
    }


def read_back(root: Root, session_ids: Sequence[str]) -> dict[str, float]:
    """Time reading all messages of a session with their audio, and the events' typed columns alone."""
    whole_s = median_cpu_s(partial(read_whole, root, session_id) for session_id in session_ids)
    import pyarrow.parquet as pq

    events = root.table_file("events", session_ids[0])
    pq.read_table(events, columns=["seq"])
    typed = ["seq", "offset_ns", "sender", "type", "item_id", "error_code"]
    events_s, _ = cpu_s(lambda: pq.read_table(events, columns=typed))
    return {"read_cpu_s": whole_s, "events_cpu_s": events_s}


def read_whole(root: Root, session_id: str) -> None:
    """Read all messages of a session."""
    deque(open_recording(root, session_id).messages(), maxlen=0)


def median_cpu_s(works: Iterable[Callable[[], object]]) -> float:
    """Run some pieces of work of one kind; gives the median of their CPU seconds."""
    return median(cpu_s(work)[0] for work in works)


def cpu_s(work: Callable[[], Result]) -> tuple[float, Result]:
    """Do the work; return the CPU seconds it took, and what it gave."""
    before_s = time.process_time()
    result = work()
    return time.process_time() - before_s, result


def report(figures: dict[str, float], minutes: int) -> list[str]:
    """Print the table and return the targets that were missed."""
    for name, figure in figures.items():
        print(f"{name:16} {figure:12,.3f}")
    share = minutes / 10
    targets = {
        "at most 1.05 x the bare FLAC": figures["recording_mb"] <= 1.05 * figures["flac_mb"],
        "3.2 x smaller than JSON lines": figures["json_lines_mb"] >= 3.2 * figures["recording_mb"],
        "1.6 x smaller than gzip": figures["gzip_mb"] >= 1.6 * figures["recording_mb"],
        "1.6 x smaller than zstd": figures["zstd_mb"] >= 1.6 * figures["recording_mb"],
        "10 minutes sealed in 1 s of CPU": figures["seal_cpu_s"] <= share,
        "10 minutes read in 0.5 s of CPU": figures["read_cpu_s"] <= 0.5 * share,
        "events alone in 20 ms of CPU": figures["events_cpu_s"] <= 0.020,
    }
    missed = [target for target, met in targets.items() if not met]
    smaller = figures["json_lines_mb"] / figures["recording_mb"]
    print(
        f"{minutes} min: {figures['recording_mb']:.2f} MB, {smaller:.1f} x smaller than JSON lines,"
        f" {figures['recording_mb'] / figures['flac_mb']:.3f} x bare FLAC; sealed in {figures['seal_cpu_s']:.2f} s CPU,"
        f" {figures['seal_cpu_s'] / (figures['flac_encode_s'] + figures['frame_parse_s']):.1f} x FLAC and Frame.parse;"
        f" read in {figures['read_cpu_s']:.2f} s, {figures['read_cpu_s'] / figures['flac_decode_s']:.1f} x FLAC; "
        + (f"MISSED: {', '.join(missed)}" if missed else "all targets met")
    )
    return missed


def conversation(minutes: int) -> Iterator[tuple[str, int, str]]:
    """Make the messages of a session: sender, offset in ns, text; real speech, never twice the same bytes."""
    client, server = tracks(minutes)
    chunk, delta = CHUNK_MS * RATE // 1000, DELTA_MS * RATE // 1000
    for start in range(0, len(client), chunk):
        offset_ns = start * 1_000_000_000 // RATE
        yield "client", offset_ns, append(client[start : start + chunk])
        piece = server[start : start + delta]
        if start % delta == 0 and piece.any():
            yield "server", offset_ns + 1_000, audio_delta(piece, start)


def tracks(minutes: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Make the callers' track (speech over room noise) and the assistant's (speech, else nothing)."""
    noise = np.random.default_rng(0)
    question, _ = read_clip(CLIPS / "question_weather.flac")
    answer, _ = read_clip(CLIPS / "answer_paris.flac")
    cycle, pause = CYCLE_MS * RATE // 1000, RATE // 2
    client, server = [], []
    for _ in range(minutes * 60_000 // CYCLE_MS):
        room = noise.normal(0, 12, cycle)
        room[: len(question)] += question * noise.uniform(0.5, 0.9)
        client.append(room)
        spoken = np.zeros(cycle)
        begin = len(question) + pause
        spoken[begin : begin + len(answer)] = answer * noise.uniform(0.5, 0.9)
        server.append(spoken)
    return np.concatenate(client).astype("<i2"), np.concatenate(server).astype("<i2")


def append(samples: NDArray[np.int16]) -> str:
    """Compose a client's append."""
    return json.dumps({"type": "input_audio_buffer.append", "audio": pybase64.b64encode_as_string(samples.tobytes())})


def audio_delta(samples: NDArray[np.int16], number: int) -> str:
    """Compose an endpoint's audio delta."""
    turn = number // (CYCLE_MS * RATE // 1000)
    ids = {"response_id": f"resp_{turn:021}", "item_id": f"item_{turn:021}", "output_index": 0, "content_index": 0}
    spoken = pybase64.b64encode_as_string(samples.tobytes())
    return json.dumps(
        {"type": "response.output_audio.delta", "event_id": f"event_{number:021}", **ids, "delta": spoken}
    )


def write_journal(root: Root, messages: list[tuple[str, int, str]]) -> str:
    """Write the journal that a proxy would have left."""
    session_id = new_session_id()
    facts: list[Any] = [
        SessionFacts(session_id=session_id, started_at_us=int(time.time() * 1e6)),
        HandshakeResponse(offset_ns=0, status=101, headers=[]),
    ]
    writer = JournalWriter(root.journal, buffer_limit_bytes=1 << 30)
    journal = writer.open(session_id)
    for fact in facts:
        journal.append(Direction.FACT, 0, encode_fact(fact))
    for sender, offset_ns, text in messages:
        journal.append(Direction.CLIENT if sender == "client" else Direction.SERVER, offset_ns, frame(sender, text))
    journal.append(Direction.FACT, messages[-1][1], encode_fact(SessionEnd(offset_ns=messages[-1][1])))
    journal.close()
    writer.close()
    return session_id


def frame(sender: str, text: str) -> bytes:
    """Frame a message as its sender does."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=sender == "client")


def parse(sender: str, encoded: bytes) -> Frame:
    """Parse a frame with websockets alone."""
    reader = StreamReader()
    reader.feed_data(encoded)
    parsing = Frame.parse(reader.read_exact, mask=sender == "client")
    try:
        next(parsing)
    except StopIteration as parsed:
        return cast("Frame", parsed.value)
    raise AssertionError("the frame is not whole")


def json_line(sender: str, offset_ns: int, text: str) -> bytes:
    """Compose the line a plain logger would write."""
    return f'{{"t":{offset_ns},"dir":"{sender}","event":{text}}}\n'.encode()


def sent(track: NDArray[np.int16]) -> NDArray[np.int16]:
    """Leave out the silence between answers, which was never sent."""
    pieces = track.reshape(-1, DELTA_MS * RATE // 1000)
    return pieces[pieces.any(axis=1)].ravel()


def flac(samples: NDArray[np.int16]) -> bytes:
    """Compress samples as one FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
