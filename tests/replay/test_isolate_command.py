"""`wiretape replay isolate`: what it reads, tells, prints, and exits with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from capture.errors import UsageProblem
from capture.recording.reader import list_session_ids
from capture.recording.root import Root
from capture.targets import CONFIG_VARIABLE, Target, load_targets
from replay.client import Upgrade
from replay.isolate_command import IsolateRequest, find_baseline, find_home, isolate
from replay.planning import make_plan
from replay.runs import RunRecording, load_run
from replay.source import Source
from tests.sample import CALL, SAMPLE

PROGRAM = """
import sys
from capture.errors import WiretapeError
from replay.cli import app
if __name__ == "__main__":
    try:
        app(["isolate", *sys.argv[1:]])
    except WiretapeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
"""


def test_a_proxy_that_cannot_be_used_is_told_before_the_first_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "socks5h://127.0.0.1:1")
    before = list_session_ids(SAMPLE)
    request = IsolateRequest(CALL, ["ws://127.0.0.1:9"], baseline="ws://127.0.0.1:9")
    with pytest.raises(UsageProblem, match="HTTPS_PROXY names a proxy of kind socks5h"):
        isolate(request, SAMPLE.path, dry_run=False, as_json=False)
    assert list_session_ids(SAMPLE) == before


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def write(simulator: Any) -> None:
        path = tmp_path / "wiretape.toml"
        tables = [
            f'[targets.{target.name}]\nurl = "{target.url}"\nmodel = "gpt-realtime"\nregion = "{target.region}"\n'
            for target in simulator.targets("gpt-realtime")
        ]
        path.write_text("\n".join(tables))
        monkeypatch.setenv(CONFIG_VARIABLE, str(path))

    return write


async def start(root: Root, *arguments: str) -> Any:
    program = root.path.parent / "program.py"
    program.write_text(PROGRAM)
    # A process of its own: sealing spawns another, and Ctrl-C is a signal to a process.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        *arguments,
        "--recordings",
        str(root.path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def source_at(target: str | None, url: str = "") -> Source:
    return Source(RunRecording(session_id="s", target=target, region="west"), make_plan([]), Upgrade("/"), url)


def test_the_baseline_is_the_recorded_target_wherever_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    home = Target(name="home", url="wss://home.example/x", region="west")
    twin = Target(name="twin", url="wss://twin.example/x", region="west")
    assert find_baseline(source_at("home"), [twin, home], None) is home
    assert find_baseline(source_at("other", "wss://home.example/x"), [twin, home], None) is home
    assert find_baseline(source_at("ws://127.0.0.1:9/x"), [twin], None).url == "ws://127.0.0.1:9/x"
    assert find_baseline(source_at("gone"), [twin], None) is twin
    assert find_baseline(source_at("gone"), [twin], "ws://127.0.0.1:9").url == "ws://127.0.0.1:9"
    with pytest.raises(UsageProblem, match="the recorded target gone is not known here: name it with --baseline"):
        find_baseline(source_at("gone"), [], None)
    imported = source_at("gone")
    imported = replace(imported, recording=msgspec.structs.replace(imported.recording, target=None))
    with pytest.raises(UsageProblem, match="the recording does not tell its target: name it with --baseline"):
        find_baseline(imported, [], None)


AT_HOME = """
[targets.east-mini]
url = "wss://home.example/openai/v1/realtime"
model = "gpt-realtime-mini"

[targets.east]
url = "wss://home.example/openai/v1/realtime"
model = "gpt-realtime"
api_key_env = "EAST_KEY"
"""


@pytest.mark.parametrize("recorded_as", ["east", "wss://home.example/openai/v1/realtime?model=gpt-realtime"])
def test_the_baseline_is_in_the_configuration_also_where_another_model_at_its_url_is_to_be_tried(
    recorded_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wiretape.toml"
    path.write_text(AT_HOME)
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    url = "wss://home.example/openai/v1/realtime?model=gpt-realtime"
    recording = RunRecording(session_id="s", target=recorded_as, dialect="ga", model="gpt-realtime")
    source = Source(recording, make_plan([]), Upgrade("/openai/v1/realtime?model=gpt-realtime"), url)
    mini, beta = load_targets()["east-mini"], replace(load_targets()["east"], name="east-beta", dialect="beta")
    elsewhere = Target(name="sweden", url="wss://sweden.example/openai/v1/realtime")
    for given in ([elsewhere], [mini], [beta, elsewhere]):
        baseline = find_baseline(source, given, None)
        assert (baseline.name, baseline.api_key_env) == ("east", "EAST_KEY")


def test_deployments_are_those_of_the_baseline_or_of_what_is_configured_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wiretape.toml"
    path.write_text('[targets.east]\nurl = "wss://home.example/x"\ntranscription_models = {whisper-1 = "heard"}\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    by_url = Target(name="wss://home.example/x", url="wss://home.example/x")
    elsewhere = Target(name="elsewhere", url="wss://elsewhere.example/x")
    assert find_home(source_at(by_url.name, by_url.url), by_url).transcription_models == {"whisper-1": "heard"}
    assert find_home(source_at("gone", by_url.url), elsewhere) is elsewhere


@pytest.mark.slow
async def test_it_tells_what_it_tries_and_prints_the_verdict(
    simulate: Any, call: Any, configured: Any, root: Root
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        arguments = ["last", "--to", "swedencentral", "--speed", "50", "--concurrency", "8"]
        out, err = await (await start(root, *arguments)).communicate()
    saved = load_run(root, "last")
    told = err.decode().splitlines()
    assert told[0].startswith(f"run {saved.run_id} isolates {saved.recordings[0].session_id}: 2 single changes; about")
    assert told[1:-1] == [
        "opening: does the failure come again?",
        "  1 failed",
        "blocks: 2 open, to 6 trials a cell",
        *[line for line in told if line in ("  6 failed, 12 ok", "  12 ok, 6 failed")][:1],
        "blocks: 2 open, to 12 trials a cell",
        *[line for line in told if line in ("  6 failed, 12 ok", "  12 ok, 6 failed")][1:],
        "  implicated: transcription model = whisper-1, 0/12 (baseline 12/12)",
        "  implicated: target = swedencentral, 0/12 (baseline 12/12)",
        "control: does it still fail?",
        "  1 failed",
        "stopped: nothing more to decide, after 38 trials",
    ]
    assert told[-1] == f"tests, intervals, sessions: wiretape analyze verdict {saved.run_id} --recordings {root.path}"
    printed = out.decode().splitlines()
    assert printed[0].startswith("With this session transcription fails at eastus2 with gpt-4o-transcribe, 12/12;")
    assert printed[4].split() == ["target", "swedencentral", "0/12", "12/12", "implicated"]


@pytest.mark.slow
async def test_ctrl_c_keeps_what_was_done_and_gives_the_verdict_so_far_and_it_goes_on(
    simulate: Any, call: Any, configured: Any, root: Root
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        process = await start(root, "last", "--to", "swedencentral", "--speed", "50", "--json")
        await asyncio.wait_for(_until_blocks_began(root), 60)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        saved = load_run(root, "last")
        # The caps are of the whole run: what is left of them is one block of three.
        limit = str(saved.finished_trials + len(saved.cut_short_ms) + 3)
        capped = await start(root, "--resume", "last", "--max-sessions", limit, "--concurrency", "8")
        _, capped_err = await capped.communicate()
    assert process.returncode == 130, err.decode()
    stopped = load_run(root, "last")
    assert (saved.status, stopped.status, stopped.run_id) == ("interrupted", "interrupted", saved.run_id)
    assert f"go on with: wiretape replay isolate --resume {saved.run_id} --recordings {root.path}" in err.decode()
    told = capped_err.decode()
    assert f"run {saved.run_id} goes on after {saved.finished_trials} of at most 300 trials" in told
    assert f"stopped: --max-sessions, the rest is open, after {stopped.finished_trials} trials" in told
    assert saved.finished_trials <= stopped.finished_trials <= int(limit)
    printed = json.loads(out)
    assert (printed["status"], printed["pattern"]) == ("interrupted", "undecided")
    assert not list(root.journal.glob("*.journal"))


async def _until_blocks_began(root: Root) -> None:
    # Another process writes the file: there is no event to await.
    while True:
        if any(root.runs.glob("*.json")) and load_run(root, "last").finished_trials > 1:
            return
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_dry_run_shows_cells_changes_and_costs_and_sends_nothing(
    simulate: Any, call: Any, configured: Any, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
    request = IsolateRequest("last", ["swedencentral"], max_trials=30)
    assert isolate(request, root.path, dry_run=True, as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {cell["cell"]: cell["changes"] for cell in printed["cells"]} == {
        "eastus2": [],
        "swedencentral": [],
        "eastus2 · transcription model=whisper-1": [
            'session.audio.input.transcription.model: "gpt-4o-transcribe" → "whisper-1"'
        ],
    }
    assert printed["estimate"]["sessions_if_certain"] == printed["estimate"]["sessions_at_most"] == 30
    request = replace(request, axes=["connection.query.intend=realtime"])
    assert isolate(request, root.path, dry_run=True, as_json=False) == 0
    shown = capsys.readouterr()
    assert "eastus2 (baseline)" in shown.out
    assert "connection.query.intend is known to no " in shown.err
    assert "is it connection.query.intent?" in shown.err
    assert "about 30 sessions" in shown.err
    assert "output tokens (as the recorded responses used)" in shown.err
    assert "nothing was sent" in shown.err
    assert not root.runs.exists()


@pytest.mark.slow
async def test_a_target_of_another_dialect_is_shown_with_its_handshake_and_all_that_changes(
    simulate: Any, call: Any, configured: Any, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        preview = f"{simulator.origin}/openai/realtime?api-version=2025-04-01-preview"
    assert isolate(IsolateRequest("last", [preview], max_trials=30), root.path, dry_run=True, as_json=True) == 0
    [cell] = [cell for cell in json.loads(capsys.readouterr().out)["cells"] if cell["cell"] == preview]
    assert cell["url"].endswith("/openai/realtime")
    handshake, *configuration = (change for change in cell["changes"] if not change.startswith("url: api-version"))
    assert handshake.startswith("url: /eastus2/openai/v1/realtime?model=gpt-realtime → /eastus2/openai/realtime?")
    assert any(change.startswith("session.audio.input.transcription: ") for change in configuration)


@pytest.mark.slow
async def test_a_session_that_did_not_fail_has_nothing_to_isolate(
    simulate: Any, call: Any, configured: Any, root: Root
) -> None:
    async with simulate("healthy") as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="whisper-1")
    with pytest.raises(UsageProblem, match="did not fail: there is nothing to isolate"):
        isolate(IsolateRequest("last", ["swedencentral"]), root.path, dry_run=False, as_json=False)
