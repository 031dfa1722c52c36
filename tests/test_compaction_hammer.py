"""Sealing, compaction that is killed again and again, and readers, all on one day: each session exactly once."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from websockets.frames import Frame, Opcode

from analyze.store import Store, open_store
from capture.compaction import compact_date
from capture.journal import Direction, JournalWriter
from capture.recording.facts import HandshakeResponse, SessionEnd, SessionFacts, encode_fact
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealing import seal

DATE = "2026-02-12"
ROUNDS, KILLS, COMPACTIONS = 6, 4, 5
ENOUGH_SESSIONS = 60
Said = list[str]

COMPACTING = """
    import sys
    from pathlib import Path
    from capture.compaction import compact_date
    from capture.recording.root import Root

    print("ready", flush=True)
    while True:
        result = compact_date(Root(Path(sys.argv[1])), sys.argv[2], at_least=1, grace_s=float(sys.argv[3]))
        if result.sessions:
            print(result.sessions, flush=True)
"""


def speech(random: Random) -> Said:
    """Make up what a client says: some of it audio."""
    audio = [base64.b64encode(random.randbytes(random.randint(1, 2000))).decode() for _ in range(random.randint(1, 9))]
    return [
        json.dumps({"type": kind, "audio" if kind.startswith("input") else "text": each})
        for each in audio
        for kind in ("input_audio_buffer.append", "note")
    ]


def record(root: Root, session_id: str, said: Said) -> None:
    writer = JournalWriter(root.journal, tick_s=0.001)
    journal = writer.open(session_id)
    url = "wss://example.azure.com/openai/v1/realtime"
    journal.append(
        Direction.FACT,
        0,
        encode_fact(SessionFacts(session_id=session_id, started_at_us=1_770_885_055_000_000, url=url)),
    )
    journal.append(Direction.FACT, 0, encode_fact(HandshakeResponse(offset_ns=0, status=101, headers=[])))
    for number, text in enumerate(said):
        journal.append(Direction.CLIENT, number, Frame(Opcode.TEXT, text.encode()).serialize(mask=True))
    journal.append(Direction.FACT, 10**9, encode_fact(SessionEnd(offset_ns=10**9, closed_by="client")))
    journal.close()
    writer.close()
    seal(root.path, session_id)


class Recording:
    """Seals session after session in a thread of its own; `known` are those that are committed."""

    def __init__(self, root: Root) -> None:
        self.known: dict[str, Said] = {}
        self._root = root
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        random = Random(1)
        while not self._stopped.is_set():
            session_id, said = f"20260212T08{random.randrange(60):02}00-{random.getrandbits(32):08x}", speech(random)
            record(self._root, session_id, said)
            self.known[session_id] = said
            if len(self.known) > ENOUGH_SESSIONS:
                self._stopped.wait(0.2)


class Compacting:
    """Compacts without a pause in processes of its own, each killed after a few compactions and a moment."""

    def __init__(self, root: Root) -> None:
        self.compacted = self.killed = 0
        self._root = root
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        random = Random(2)
        command = [sys.executable, "-c", textwrap.dedent(COMPACTING), str(self._root.path), DATE]
        while not self._stopped.is_set():
            # With a grace both the old files and the new ones are there for a while.
            grace_s = "0.3" if self.killed % 2 else "0"
            with subprocess.Popen([*command, grace_s], stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for _ in range(random.randint(1, 4)):
                    if process.stdout.readline().strip().isdigit():
                        self.compacted += 1
                    if self._stopped.is_set():
                        break
                self._stopped.wait(random.random() / 20)
                process.kill()
                self.killed += 1


@contextmanager
def under_way(root: Root) -> Iterator[tuple[Recording, Compacting]]:
    recording, compacting = Recording(root), Compacting(root)
    recording.thread.start()
    compacting.thread.start()
    try:
        yield recording, compacting
    finally:
        compacting.stop()
        recording.stop()
        recording.thread.join()
        # It waits for a compaction to tell of; there may be none left.
        record(root, "20260212T235959-0000ffff", ["{}"])
        compacting.thread.join()


def check_reader(root: Root, random: Random, known: dict[str, Said]) -> None:
    """Check that the reader sees all sessions, and some of them whole."""
    listed = list_session_ids(root)
    assert set(known) <= set(listed)
    for session_id in random.sample(sorted(known), min(3, len(known))):
        assert [message.content for message in open_recording(root, session_id).messages()] == known[session_id]


def check_store(store: Store, known: dict[str, Said]) -> None:
    """Check that the store sees all sessions, each once, with all its events and all its audio."""
    store.refresh()
    sessions = store.tuples("SELECT session_id, COUNT(*) FROM sessions GROUP BY ALL")
    assert dict.fromkeys(known, 1).items() <= dict(sessions).items()
    events = store.tuples("SELECT session_id, COUNT(*), COUNT(DISTINCT seq) FROM events GROUP BY ALL")
    counted = {session_id: (len(said), len(said)) for session_id, said in known.items()}
    assert counted.items() <= {session_id: (count, seqs) for session_id, count, seqs in events}.items()
    audio = store.tuples("SELECT session_id, CAST(SUM(bytes) AS BIGINT) FROM audio GROUP BY ALL")
    assert {session_id: audio_bytes(said) for session_id, said in known.items()}.items() <= dict(audio).items()


def check_near(store: Store, random: Random, known: dict[str, Said]) -> None:
    """Check questions about one session, which read few files."""
    for session_id in random.sample(sorted(known), min(2, len(known))):
        sql = "SELECT COUNT(*) FROM events WHERE session_id = ?"
        assert store.tuples(sql, [session_id], only=[session_id]) == [(len(known[session_id]),)]


def audio_bytes(said: Said) -> int:
    return sum(len(base64.b64decode(json.loads(text).get("audio", ""))) for text in said)


@pytest.mark.slow
# It keeps both processors busy by itself.
@pytest.mark.alone
def test_each_session_is_seen_exactly_once_at_every_moment(root: Root) -> None:
    random, rounds = Random(3), 0
    with under_way(root) as (recording, compacting), open_store(root) as store:
        while rounds < ROUNDS or compacting.killed < KILLS or compacting.compacted < COMPACTIONS:
            assert recording.thread.is_alive()
            assert compacting.thread.is_alive()
            # Only what was committed before a look must be in it.
            known = dict(recording.known)
            check_reader(root, random, known)
            check_store(store, known)
            check_near(store, random, known)
            rounds += 1
    compact_date(root, DATE, at_least=1, grace_s=0)
    assert list(root.path.rglob("*.tmp")) == []
    assert {path.name[:9] for path in root.path.rglob("*.parquet")} == {"compacted"}
    with open_store(root) as store:
        check_store(store, recording.known)
        assert store.unreadable == {}
    for session_id, said in recording.known.items():
        assert [message.content for message in open_recording(root, session_id).messages()] == said
