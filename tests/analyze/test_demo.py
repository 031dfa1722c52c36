"""The demo, as a new user runs it: one command, no key, and the verdict at its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from capture.recording.root import Root


@pytest.mark.slow
def test_the_demo_names_the_combination_and_leaves_nothing_but_recordings(root: Root, tmp_path: Path) -> None:
    demo = wiretape("demo", "--plain", "--recordings", str(root.path), cwd=tmp_path)

    said = " ".join(demo.stdout.split())
    assert (
        "transcription fails at eastus2 with gpt-4o-transcribe, 5/5; 0/5 at swedencentral with gpt-4o-transcribe,"
        " 0/5 at eastus2 with whisper-1, 0/5 at swedencentral with whisper-1: it takes both." in said
    )
    assert "Neither the target (region eastus2) nor the transcription model alone explains it." in said
    assert "The same audio passes in the three other cells." in said
    assert "Other audio, other options, the realtime model and the dialect were not tested." in said
    assert "Traceback" not in demo.stderr

    sessions = pq.read_table(root.table("sessions")).to_pylist()
    captured = [session for session in sessions if session["role"] == "captured"]
    replayed = [session for session in sessions if session["role"] == "replayed"]
    assert len(captured) == 1
    assert len(replayed) == 20
    assert {session["replay_of"] for session in replayed} == {captured[0]["session_id"]}
    assert {session["complete"] for session in sessions} == {True}
    assert list(root.journal.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == [root.path.name]

    listed = wiretape("analyze", "verdict", "last", "--json", "--recordings", str(root.path), cwd=tmp_path)
    (verdict,) = json.loads(listed.stdout)
    assert verdict["pattern"] == "combination"
    assert {(cell["failed"], cell["trials"]) for cell in verdict["cells"]} == {(5, 5), (0, 5)}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_leaves_recordings_that_are_whole(root: Root, tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "wiretape", "demo", "--plain", "--recordings", str(root.path)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as demo:
        # Another process writes the run: there is no event to await.
        while not any(root.runs.glob("*.json")):
            time.sleep(0.05)
        demo.send_signal(number)
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Traceback" not in said
    assert "not recorded" not in said
    kept = (
        f"interrupted: what was recorded so far is kept in {root.path}; now: wiretape analyze --recordings {root.path}"
    )
    assert said.splitlines()[-1] == kept
    assert list(root.journal.iterdir()) == []
    sessions = pq.read_table(root.table("sessions")).to_pylist()
    assert {session["lost_bytes"] for session in sessions} == {0}
    assert {session["end_reason"] for session in sessions if session["role"] == "replayed"} <= {"interrupted"}


def wiretape(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wiretape", *arguments]
    # As in an office whose way out is a proxy, which knows nothing of this machine's loopback.
    environment = os.environ | dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True, timeout=120)
