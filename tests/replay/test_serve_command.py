"""The command that serves a recording: where it listens, how it ends, what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from capture.errors import UsageProblem
from capture.recording.root import Root
from capture.sealing import Sealer
from replay.serve_command import run_serve
from replay.simulator.scenario import load_scenario
from replay.staging import stage
from tests.sample import CALL, SAMPLE
from tests.unread_pipe import unread_pipe

HOME = Path(__file__).parents[2]


@pytest.fixture
async def recorded(root: Root) -> Root:
    """Give a root with one recording: closed after the first session.update."""
    scenario = load_scenario("close_1000_after_session_update")
    await stage(scenario, root, speed=8, sealer=Sealer(root, in_process=True))
    return root


def serve(root: Root, *options: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "wiretape.py", "replay", "serve", "last", "--recordings", str(root.path), *options]
    return subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=stderr, text=True)


def test_last_is_the_call_and_not_one_of_its_replays() -> None:
    with serve(SAMPLE) as server:
        assert server.stderr is not None
        assert server.stderr.readline().startswith(f"serving {CALL} ")
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)


def test_it_tells_where_it_listens_and_ends_with_the_first_client(recorded: Root) -> None:
    with serve(recorded, "--once", "--speed", "max") as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with connect(f"{url}/v1/realtime", proxy=None) as client:
            assert '"session.created"' in str(client.recv())
            client.send('{"type": "response.create"}')
        out, told = server.communicate(timeout=30)
    assert (server.returncode, out) == (0, "")
    lines = [line.rstrip() for line in told.splitlines()]
    assert "client 1: connected to /v1/realtime" in lines
    assert ("client 1: unexpected: response.create #1 has no counterpart in the recording: nothing answers it") in lines
    assert any("closed_early: the client is gone, with 1 message still to be sent" in line for line in lines)
    assert lines[-1].endswith("1/2 messages sent, 2 divergences")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_on_a_signal(recorded: Root, number: signal.Signals) -> None:
    with serve(recorded) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ws://127.0.0.1:")
        server.send_signal(number)
        _, told = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "Traceback" not in told


def test_a_recording_that_is_not_there_is_refused(root: Root) -> None:
    with pytest.raises(UsageProblem, match="there are no recordings"):
        run_serve("last", root.path, listen="127.0.0.1:0", speed="1", timeout_s=15, once=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_terminal_that_is_stopped_holds_up_no_client_and_not_its_end(recorded: Root, number: signal.Signals) -> None:
    with unread_pipe() as pipe, serve(recorded, "--speed", "max", stderr=pipe.writing) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for _ in range(2):
            with connect(f"{url}/v1/realtime", proxy=None) as client:
                assert '"session.created"' in str(client.recv())
        server.send_signal(number)
        assert server.wait(60) == 0
