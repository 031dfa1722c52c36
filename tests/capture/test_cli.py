"""`wiretape capture …` as it is typed: what is printed where, and with which exit status."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
import soundfile
from typer.testing import CliRunner

from capture.audio import read_clip
from capture.cli import app
from capture.errors import EndpointRefused, UsageProblem
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
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
    ("path", "status", "said"),
    [("/nowhere", 404, "404"), (None, None, "cannot be reached: ")],
    ids=["404", "no answer"],
)
def test_a_refused_call_in_json_says_how_it_ended(
    run: CliRunner, root: Root, simulator_url: str, word: Path, path: str | None, status: int | None, said: str
) -> None:
    url = "ws://127.0.0.1:1" if path is None else urljoin(simulator_url, path)
    asked = run.invoke(app, ["call", "--to", url, "--audio", str(word), "--json"])
    assert isinstance(asked.exception, EndpointRefused)
    assert asked.exception.status == status
    told = json.loads(asked.stdout)
    assert [told["session_id"]] == list_session_ids(root)
    assert (told["outcome"], told["handshake_status"], told["turns"]) == ("failed", status, 0)
    assert said in told["first_error"]


def test_a_refused_call_prints_its_id_on_stdout_though_stderr_is_a_terminal_with_a_bar(root: Root, word: Path) -> None:
    ours, terminal = pty.openpty()
    command = ["call", "--to", "ws://127.0.0.1:1", "--audio", str(word), "--recordings", str(root.path)]
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "wiretape", "capture", *command],
            stdout=subprocess.PIPE,
            stderr=terminal,
            env=os.environ | {"TERM": "xterm-256color"},
            text=True,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(terminal)
    assert (ended.returncode, ended.stdout.split()) == (1, list_session_ids(root))


def test_a_proxy_that_cannot_be_used_is_told_before_a_call_is_placed(
    run: CliRunner, root: Root, simulator_url: str, word: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "socks5h://127.0.0.1:1")
    asked = run.invoke(app, ["call", "--to", simulator_url, "--audio", str(word)])
    assert isinstance(asked.exception, UsageProblem)
    assert "HTTPS_PROXY names a proxy of kind socks5h" in str(asked.exception)
    assert (asked.stdout, list_session_ids(root)) == ("", [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["call", "--to", "nowhere", "--audio", "x.wav"], "unknown target 'nowhere'"),
        (["proxy", "--to", "ws://h", "--redact", ""], "--redact has an empty rule"),
        (["proxy", "--to", "ws://h", "--drain", "nan"], "--drain takes seconds"),
        (["call", "--to", "ws://h", "--audio", "x.wav", "--timeout", "nan"], "--timeout takes seconds"),
        (["compact", "--grace", "inf"], "--grace takes seconds"),
        (["compact", "--grace", "nan"], "--grace takes seconds"),
        (["prune", "--older-than", "999999d"], "an age is 100 years at most"),
        (["prune", "--journals-older-than", "999999d"], "an age is 100 years at most"),
        (["call", "--to", "ws://a..b/v1", "--audio", "x.wav"], "'a..b' is no name of a host"),
        (["proxy", "--to", "wss://contoso..openai.azure.com"], "'contoso..openai.azure.com' is no name of a host"),
        (["proxy", "--to", "ws://h", "--listen", "a..b:1"], "--listen takes HOST:PORT"),
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
