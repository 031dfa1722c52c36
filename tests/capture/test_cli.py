"""`wiretape capture …` as it is typed: what is printed where, and with which exit status."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from typer.testing import CliRunner

from capture.audio import read_clip
from capture.cli import app
from capture.errors import EndpointRefused, UsageProblem
from capture.recorder import Recorder
from capture.recording.facts import HandshakeRequest, HandshakeResponse, KeepRule, SessionEnd
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.recording.writer import SessionWriter
from capture.sealing import Sealer
from replay.simulator import serve


@pytest.fixture
def word(question_clip: Path, tmp_path: Path) -> Path:
    samples, rate = read_clip(question_clip)
    path = tmp_path / "word.wav"
    soundfile.write(path, samples[: rate * 6 // 10], rate)
    return path


@pytest.fixture
def simulator_url() -> Iterator[str]:
    """Serve the simulator on a loop of its own: the commands bring theirs."""
    ready: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with serve([]) as simulator:
            await ready.put(simulator.url("eastus2"))
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    yield asyncio.run_coroutine_threadsafe(ready.get(), loop).result(timeout=10)
    loop.call_soon_threadsafe(stop.set)
    thread.join(timeout=10)
    loop.close()


def leave_journal(root: Root, **facts: Any) -> str:
    """Leave what a crash leaves: a session's journal that nobody seals."""
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        recording = recorder.start_session(recorder.new_facts(target="somewhere", **facts))
        recording.fact(SessionEnd(offset_ns=1))
    return recording.session_id


def leave_exchange(root: Root, **facts: Any) -> str:
    """Leave a plain request that was answered."""
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        recording = recorder.start_session(recorder.new_facts(target="somewhere", **facts))
        recording.fact(HandshakeRequest(offset_ns=0, method="GET", path="/", headers=[]))
        recording.fact(HandshakeResponse(offset_ns=0, status=200, headers=[]))
        recording.fact(SessionEnd(offset_ns=1))
    return recording.session_id


@pytest.fixture
def run(root: Root, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("WIRETAPE_RECORDINGS", str(root.path))
    # What a terminal would be told in colour is not the matter here.
    monkeypatch.setenv("NO_COLOR", "1")
    return CliRunner()


def test_a_call_prints_its_id_alone_on_stdout(run: CliRunner, root: Root, simulator_url: str, word: Path) -> None:
    asked = run.invoke(app, ["call", "--to", simulator_url, "--audio", str(word), "--turns", "manual"])
    assert asked.exit_code == 0
    [session_id] = list_session_ids(root)
    assert asked.stdout == f"{session_id}\n"
    assert "ok · 1 turn" in asked.stderr


def test_a_call_in_json_says_what_was_heard(run: CliRunner, simulator_url: str, word: Path) -> None:
    call = ["call", "--to", simulator_url, "--audio", str(word), "--turns", "manual", "--json"]
    asked = run.invoke(app, [*call, "--transcription", "whisper-1", "--set", "session.audio.output.voice=marin"])
    told = json.loads(asked.stdout)
    assert (told["outcome"], told["turns"], told["notes"]) == ("ok", 1, [])
    assert len(told["heard"]) == len(told["answers"]) == 1


def test_a_refused_call_prints_its_id_all_the_same(run: CliRunner, root: Root, word: Path) -> None:
    asked = run.invoke(app, ["call", "--to", "ws://127.0.0.1:1", "--audio", str(word)])
    assert isinstance(asked.exception, EndpointRefused)
    assert asked.stdout.split() == list_session_ids(root)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["call", "--to", "nowhere", "--audio", "x.wav"], "unknown target 'nowhere'"),
        (["call", "--to", "ws://h", "--audio", "no-such-file.wav"], "no audio file"),
        (["call", "--to", "ws://h", "--audio", "x.wav", "--set", "nonsense"], "PATH=VALUE"),
        (["proxy", "--to", "ws://h", "--tag", "nonsense"], "--tag"),
        (["proxy", "--to", "ws://h", "--keep", "nonsense"], "--keep takes all, failed, or sample:P"),
        (["proxy", "--to", "ws://h", "--pre", "30"], "--pre and --post go together"),
        (["prune"], "--older-than AGE, --max-bytes SIZE or --journals-older-than AGE"),
        (["prune", "--keep-failed"], "say what is to go"),
        (["prune", "--older-than", "30"], "an age is a number with its unit"),
        (["proxy", "--to", "ws://h", "--listen", "nonsense"], "HOST:PORT"),
        (["proxy", "--to", "ws://h", "--redact", "speech"], "transcripts, audio"),
        (["call", "--to", "ws://h", "--audio", "x.wav", "--redact", "/(/"], "no regular expression"),
        (["proxy", "--to", "ws://h", "--listen", "0.0.0.0:0"], "WIRETAPE_CLIENT_TOKEN"),
    ],
)
def test_misuse_is_one_sentence_that_says_what_to_do(run: CliRunner, arguments: list[str], said: str) -> None:
    asked = run.invoke(app, arguments)
    assert isinstance(asked.exception, UsageProblem)
    assert said in str(asked.exception)
    assert asked.stdout == ""


def test_a_call_keeps_its_length_and_not_its_words(run: CliRunner, root: Root, simulator_url: str, word: Path) -> None:
    call = ["call", "--to", simulator_url, "--audio", str(word), "--turns", "manual", "--json"]
    asked = run.invoke(app, [*call, "--transcription", "whisper-1", "--redact", "transcripts,audio"])
    told = json.loads(asked.stdout)
    recording = open_recording(root, told["session_id"])
    texts = [str(message.content) for message in recording.messages()]
    assert (told["outcome"], told["audio_in_ms"] > 500) == ("ok", True)
    for said in [*told["heard"], *told["answers"]]:
        assert set(said) == {"x"}
        assert [text for text in texts if f'"{said}"' in text]
    for track in ("client", "server"):
        assert {sample for _, audio in recording.audio(track) for sample in audio} == {0}


def test_recover_seals_what_a_crash_left(run: CliRunner, root: Root) -> None:
    session_id = leave_journal(root)
    asked = run.invoke(app, ["recover"])
    assert (asked.exit_code, asked.stdout) == (0, f"{session_id}\n")
    assert list_session_ids(root) == [session_id]
    assert run.invoke(app, ["recover", "--json"]).stdout == '{\n  "recovered": [],\n  "failed": []\n}\n'


def test_recover_of_a_foreign_file_recovers_nothing(run: CliRunner, root: Root) -> None:
    root.journal.mkdir(parents=True)
    (root.journal / "20260101T000000-00000000.journal").write_bytes(b"this is no journal")
    asked = run.invoke(app, ["recover", "--json"])
    assert asked.exit_code == 1
    assert [failed["session_id"] for failed in json.loads(asked.stdout)["failed"]] == ["20260101T000000-00000000"]


def test_recover_with_loss_has_its_own_exit_status(run: CliRunner, root: Root) -> None:
    leave_journal(root)
    (root.journal / "20260101T000000-00000000.journal").write_bytes(b"this is no journal")
    assert run.invoke(app, ["recover"]).exit_code == 3


def test_recover_leaves_out_what_is_not_to_be_kept(run: CliRunner, root: Root) -> None:
    # A plain exchange, and so one that went well without a conversation.
    session_id = leave_exchange(root, keep_rule=KeepRule(keep="failed"))
    asked = run.invoke(app, ["recover"])
    assert (asked.exit_code, asked.stdout) == (0, "")
    assert f"{session_id} ok: not kept" in asked.stderr
    assert list_session_ids(root) == []


def test_prune_prints_what_went(run: CliRunner, root: Root) -> None:
    session_id = leave_journal(root)
    run.invoke(app, ["recover"])
    rehearsed = run.invoke(app, ["prune", "--max-bytes", "0", "--dry-run"])
    assert (rehearsed.exit_code, rehearsed.stdout) == (0, f"{session_id}\n")
    assert "would remove 1 recording, 0 journals" in rehearsed.stderr
    spared = run.invoke(app, ["prune", "--max-bytes", "0", "--keep-failed"])
    assert (spared.exit_code, spared.stdout) == (0, "")
    assert f"kept 1 recording, failed or incomplete (--keep-failed): {session_id}" in spared.stderr
    assert list_session_ids(root) == [session_id]
    told = json.loads(run.invoke(app, ["prune", "--max-bytes", "0", "--json"]).stdout)
    assert [one["session_id"] for one in told["recordings"]] == [session_id]
    assert (told["dry_run"], told["bytes_left"], told["spared_failed"]) == (False, 0, [])
    assert told["bytes"] == told["recordings"][0]["bytes"] > 0
    assert list_session_ids(root) == []


def test_list_gives_a_line_a_recording(run: CliRunner, root: Root) -> None:
    assert run.invoke(app, ["list"]).stdout == ""
    session_id = leave_journal(root)
    run.invoke(app, ["recover"])
    [line] = run.invoke(app, ["list"]).stdout.splitlines()
    assert line.split()[0] == session_id
    assert line.split()[2] == "somewhere"
    [row] = json.loads(run.invoke(app, ["list", "--json"]).stdout)
    assert row["session_id"] == session_id


def test_list_passes_over_a_file_that_cannot_be_read_and_names_it(run: CliRunner, root: Root) -> None:
    session_id = leave_journal(root)
    run.invoke(app, ["recover"])
    damaged = root.table_file("sessions", "20260101T000000-00000000")
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"this is no Parquet")
    asked = run.invoke(app, ["list"])
    assert asked.exit_code == 0
    assert [line.split()[0] for line in asked.stdout.splitlines()] == [session_id]
    assert "20260101T000000-00000000" in asked.stderr


def test_compact_gives_a_line_a_day_and_says_what_it_leaves_alone(run: CliRunner, root: Root) -> None:
    assert run.invoke(app, ["compact"]).stderr == "nothing to compact\n"
    for session_id in ("20260212T083055-0000000a", "20260212T083056-0000000b", "20260213T083056-0000000c"):
        with SessionWriter(root, session_id) as writer:
            writer.add("events", {"seq": 0, "offset_ns": 0})
            writer.commit({})
    damaged = root.table_file("sessions", "20260212T090000-0000000d")
    damaged.write_bytes(b"this is no Parquet")
    asked = run.invoke(app, ["compact"])
    assert asked.exit_code == 0
    assert asked.stdout.startswith("2026-02-12  2 sessions  4 -> 2 files  ")
    assert len(asked.stdout.splitlines()) == 1
    assert f"{damaged} is left as it is: " in asked.stderr
    assert asked.stderr.endswith("compacted 2 sessions of 1 day\n")
    assert len(list_session_ids(root)) == 4
    assert len(list(root.path.rglob("*.parquet"))) == 4 + 2 + 2 + 1


def test_compact_takes_a_named_day_and_tells_json(run: CliRunner, root: Root) -> None:
    with SessionWriter(root, "20260212T083055-0000000a") as writer:
        writer.commit({})
    asked = run.invoke(app, ["compact", "--date", "2026-02-12", "--grace", "0", "--json"])
    told = json.loads(asked.stdout)
    assert (told["failed"], [(one["date"], one["sessions"]) for one in told["dates"]]) == ([], [("2026-02-12", 1)])
    assert list_session_ids(root) == ["20260212T083055-0000000a"]


def test_compact_says_which_day_it_could_not_take(run: CliRunner, root: Root) -> None:
    with SessionWriter(root, "20260212T083055-0000000a") as writer:
        writer.commit({})
    root.manifests.mkdir()
    root.manifest_file("2026-02-12").write_bytes(b"?")
    asked = run.invoke(app, ["compact"])
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert "2026-02-12 is left as it is: " in asked.stderr
    assert isinstance(run.invoke(app, ["compact", "--date", "today"]).exception, UsageProblem)


def test_list_shows_what_is_no_recording_yet_after_the_recordings(run: CliRunner, root: Root) -> None:
    sealed_id = leave_journal(root)
    run.invoke(app, ["recover"])
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        live = recorder.start_session(recorder.new_facts(target="somewhere"))
        while not root.journal_of(live.session_id).exists():
            time.sleep(0.001)
        rows = json.loads(run.invoke(app, ["list", "--json"]).stdout)
        assert [(row["session_id"], row["state"]) for row in rows] == [
            (sealed_id, "sealed"),
            (live.session_id, "live"),
        ]
        assert rows[0].keys() == rows[1].keys()
        assert "  live · 0:00:0" in run.invoke(app, ["list"]).stdout.splitlines()[1]
    assert "left behind: run wiretape capture recover" in run.invoke(app, ["list"]).stdout.splitlines()[1]


def test_recover_names_what_is_in_quarantine_and_what_to_do_with_it(run: CliRunner, root: Root) -> None:
    root.quarantine.mkdir(parents=True)
    (root.quarantine / "20260101T000000-00000000.journal").write_bytes(b"this is no journal")
    asked = run.invoke(app, ["recover"])
    assert (asked.exit_code, asked.stdout) == (0, "")
    assert "in quarantine: 1 that could not be sealed twice; to try again" in asked.stderr
