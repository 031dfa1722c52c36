"""`wiretape replay run`: what it reads, prints, and exits with."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from capture.call import CallPlan, place_call
from capture.errors import EndpointRefused, UsageProblem
from capture.recorder import Recorder
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import CONFIG_VARIABLE, Target
from replay.gates import parse_gates
from replay.run_command import _conclude, resume, run
from replay.run_request import RunRequest
from replay.runs import load_run
from tests.sample import CALL, SAMPLE
from tests.unread_pipe import unread_pipe

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
MODEL = "session.audio.input.transcription.model"


def test_an_unknown_session_and_an_unknown_target_are_refused(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.path.parent)
    with pytest.raises(UsageProblem, match="unknown target 'nowhere'"):
        run(RunRequest(["last"], ["nowhere"], [], []), root.path, dry_run=False, as_json=False)
    with pytest.raises(UsageProblem, match="no recordings in"):
        run(RunRequest(["last"], ["ws://127.0.0.1:9"], [], []), root.path, dry_run=False, as_json=False)


def test_a_proxy_that_cannot_be_used_is_told_before_the_first_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "socks5h://127.0.0.1:1")
    before = list_session_ids(SAMPLE)
    with pytest.raises(UsageProblem, match="HTTPS_PROXY names a proxy of kind socks5h"):
        run(RunRequest([CALL], ["ws://127.0.0.1:9"], [], []), SAMPLE.path, dry_run=False, as_json=False)
    assert list_session_ids(SAMPLE) == before


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def write(simulator: Any) -> Path:
        path = tmp_path / "wiretape.toml"
        tables = [
            f'[targets.{target.name}]\nurl = "{target.url}"\nmodel = "gpt-realtime"\nregion = "{target.region}"\n'
            for target in simulator.targets("gpt-realtime")
        ]
        path.write_text("\n".join(tables))
        monkeypatch.setenv(CONFIG_VARIABLE, str(path))
        return path

    return write


COMMAND = """
import sys
from capture.errors import WiretapeError
from replay.cli import app
if __name__ == "__main__":
    try:
        app(["run", *sys.argv[1:]])
    except WiretapeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
"""


async def start(root: Root, *arguments: str, stderr: int = subprocess.PIPE) -> Any:
    program = root.path.parent / "program.py"
    program.write_text(COMMAND)
    # A process of its own: sealing spawns another, and Ctrl-C is a signal to a process.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        *arguments,
        "--recordings",
        str(root.path),
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.slow
async def test_it_prints_the_table_the_verdict_and_the_next_command(
    simulate: Any, call: Any, configured: Any, root: Root
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        arguments = ["last", "--to", "eastus2", "--to", "swedencentral", "--trials", "4", "--expect", "failed"]
        process = await start(root, *arguments)
        out, err = await process.communicate()
    stdout, stderr = out.decode(), err.decode()
    assert process.returncode == 0, stderr
    rows = [line.split() for line in stdout.splitlines()]
    assert rows[1][:4] == ["▲", "eastus2", "(baseline)", "4/4"]
    assert rows[2][:3] == ["●", "swedencentral", "0/4"]
    assert "transcription fails at eastus2, 4/4; 0/4 at swedencentral: it is the target eastus2." in stdout
    saved = load_run(root, "last")
    assert f"look further: wiretape analyze verdict {saved.run_id} --recordings {root.path}" in stderr


@pytest.mark.slow
async def test_json_says_the_same_and_a_gate_sets_the_exit_status(
    simulate: Any, call: Any, configured: Any, root: Root
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        options = ["--speed", "max", "--clock", "absolute", "--on-new-tool", "empty"]
        process = await start(root, "last", "--to", "eastus2", "--trials", "1", "--json", "--expect", "ok", *options)
        out, _ = await process.communicate()
    assert process.returncode == 1
    printed = json.loads(out)
    [cell] = printed["cells"]
    assert (printed["status"], cell["cell"], cell["trials"][0]["outcome"]) == ("done", "eastus2", "failed")
    assert printed["verdicts"][0]["pattern"] == "nothing_varied"
    saved = load_run(root, "last")
    assert (saved.speed, saved.clock, saved.on_new_tool) == (math.inf, "absolute", "empty")


@pytest.mark.slow
async def test_ctrl_c_keeps_what_was_done_and_says_so(simulate: Any, call: Any, configured: Any, root: Root) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        process = await start(root, "last", "--to", "eastus2", "--trials", "50", "--concurrency", "1")
        await asyncio.wait_for(_until_one_trial_is_saved(root), 60)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130, err.decode()
    assert "not recorded" not in err.decode()
    saved = load_run(root, "last")
    assert saved.status == "interrupted"
    assert f"{saved.finished_trials} of 50 trials were done and are kept in run {saved.run_id}" in err.decode()
    assert not list(root.journal.glob("*.journal"))


@pytest.mark.slow
async def test_a_killed_run_goes_on_with_what_is_missing(
    simulate: Any, call: Any, configured: Any, root: Root, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with simulate() as simulator:
        configuration = configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        process = await start(
            root, "last", "--to", "swedencentral", "--trials", "4", "--speed", "20", "--concurrency", "1"
        )
        await asyncio.wait_for(_until_one_trial_is_saved(root), 60)
        process.kill()
        await process.wait()
        killed = load_run(root, "last")
        assert (killed.status, 0 < killed.finished_trials < 4) == ("running", True)

        asked = RunRequest([], [], [], [], trials=9, max_sessions=3)
        for given, refusal in ((["max_sessions"], "beyond --max-sessions 3"), (["trials"], "leave out --trials")):
            with pytest.raises(UsageProblem, match=refusal):
                resume("last", asked, given, root.path, dry_run=False, as_json=False)
        elsewhere = configuration.read_text()
        configuration.write_text(elsewhere.replace("gpt-realtime", "gpt-realtime-mini"))
        with pytest.raises(UsageProblem, match="target swedencentral has another model now: gpt-realtime-mini"):
            resume("last", asked, [], root.path, dry_run=False, as_json=False)
        configuration.write_text(elsewhere)

        gates = ["--expect", "no-failures", "--expect", "max-latency-ms=60000", "--expect", "same-outcome"]
        report = tmp_path / "junit.xml"
        resumed = await start(root, "--resume", killed.run_id, *gates, "--junit", str(report), "--json")
        out, err = await resumed.communicate()
    told = err.decode()
    done = load_run(root, "last")
    assert f"run {killed.run_id} goes on after {killed.finished_trials} of 4 trials" in told
    assert (done.run_id, done.status) == (killed.run_id, "done")
    [before], [after] = killed.cells, done.cells
    assert [trial.trial for trial in after.trials] == [1, 2, 3, 4]
    assert after.trials[: len(before.trials)] == before.trials
    # The recording failed where these are ok.
    printed = json.loads(out)
    assert [(each["expect"], each["met"]) for each in printed["expectations"]] == [
        ("no-failures", True),
        ("max-latency-ms=60000", True),
        ("same-outcome", False),
    ]
    assert resumed.returncode == 1
    assert "--expect same-outcome: missed: swedencentral: 4 ok of 4 trials, where the recording was failed" in told
    assert "where the recording was failed" in report.read_text()
    # Nothing is missing: nothing is sent, and the answer is the same.
    capsys.readouterr()
    expecting = RunRequest([], [], [], [], expect=["ok"])
    assert resume(killed.run_id, expecting, ["expect"], root.path, dry_run=False, as_json=False) == 0
    assert load_run(root, "last") == done
    told = capsys.readouterr().err
    assert f"run {killed.run_id} is done: nothing is left to make" in told
    assert "go on with" not in told


@pytest.mark.slow
async def test_last_is_the_last_call_and_not_a_trial_of_it(
    simulate: Any, call: Any, configured: Any, root: Root
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        recording = await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        for _ in range(2):
            process = await start(root, "last", "--to", "eastus2", "--trials", "1")
            _, err = await process.communicate()
            assert f" of {recording.session_id}: 1 cell x 1 trial, 8 at a time" in err.decode()


async def _until_one_trial_is_saved(root: Root) -> None:
    # Another process writes the file: there is no event to await.
    while True:
        if any(root.runs.glob("*.json")) and load_run(root, "last").finished_trials:
            return
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_dry_run_shows_the_changes_and_sends_nothing(
    simulate: Any, call: Any, configured: Any, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
    request = RunRequest(["last"], ["eastus2"], [f"{MODEL}=gpt-4o-transcribe,whisper-1"], [], trials=3)
    assert run(request, root.path, dry_run=True, as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [len(cell["changes"]) for cell in printed["cells"]] == [0, 1]
    estimate = printed["estimate"]
    assert (estimate["sessions"], estimate["tokens_from"]) == (6, "as the recorded responses used")
    row = open_recording(root, list_session_ids(root)[-1]).session
    assert (estimate["input_tokens"], estimate["output_tokens"]) == (6 * row["input_tokens"], 6 * row["output_tokens"])
    assert estimate["sent_minutes"] == pytest.approx(6 * row["audio_in_ms"] / 60_000, abs=0.001)
    with pytest.raises(UsageProblem, match="this would go beyond --max-sessions 5: 6 sessions"):
        run(replace(request, max_sessions=5), root.path, dry_run=False, as_json=False)
    capsys.readouterr()
    queries = ["connection.query.trace=1", "connection.query.api_version=2026-01-01"]
    assert run(replace(request, settings=queries), root.path, dry_run=True, as_json=False) == 0
    shown = capsys.readouterr()
    assert '"gpt-4o-transcribe" → "whisper-1"' in shown.out
    assert 'connection.query.api_version: absent → "2026-01-01"' in " ".join(shown.out.split())
    [warning] = [line for line in shown.err.splitlines() if " known to no " in line]
    assert warning.startswith("connection.query.api_version is known to no recording, target or protocol here, and is ")
    assert warning.endswith("sent so: is it connection.query.api-version?")
    assert "nothing was sent" in shown.err
    assert not root.runs.exists()


@pytest.mark.slow
async def test_as_recorded_says_what_stands_in_the_way_and_sends_nothing(
    simulate: Any, call: Any, configured: Any, root: Root
) -> None:
    async with simulate() as simulator:
        configured(simulator)
        await call(simulator.targets("gpt-realtime")[0], transcription="whisper-1")
        preview = f"{simulator.origin}/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"
        unset = f"--unset={MODEL}"
        refused = await start(root, "last", "--to", "eastus2", "--to", preview, unset, "--as-recorded")
        _, err = await refused.communicate()
        assert not root.runs.exists()
        granted = await start(root, "last", "--to", "eastus2", "--trials", "1", "--as-recorded", "--expect", "ok")
        _, granted_err = await granted.communicate()
    told = err.decode()
    assert refused.returncode == 2, told
    assert f'  eastus2: unset {MODEL}: "whisper-1" → nothing\n' in told
    assert f"  {preview}: dialect session.type: " in told
    assert f"  {preview}: dialect url: " in told
    assert granted.returncode == 0, granted_err.decode()
    trial = load_run(root, "last").cells[0].trials[0].session_id
    rewrites = pq.read_table(root.table("rewrites")).to_pylist() if root.table("rewrites").exists() else []
    assert [row for row in rewrites if row["session_id"] == trial] == []


@pytest.mark.slow
async def test_what_the_target_s_dialect_has_nothing_for_is_told_in_one_line(
    simulate: Any, call: Any, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    async with simulate() as simulator:
        await call(simulator.targets("gpt-realtime")[0], transcription="whisper-1")
    beta = f"{simulator.origin}/openai/realtime?api-version=2025-04-01-preview&deployment=d"
    path = "session.audio.input.turn_detection.idle_timeout_ms"
    request = RunRequest(["last"], [beta], [], [f"{path}=6000", "session.truncation=auto"])
    assert run(request, root.path, dry_run=True, as_json=True) == 0
    shown = capsys.readouterr()
    left_out = [line for line in shown.err.splitlines() if "left out" in line]
    assert left_out == [f"{beta} speaks a dialect that has nothing for {path}, session.truncation: left out"]
    [cell] = json.loads(shown.out)["cells"]
    assert cell["url"].endswith("/openai/realtime")
    assert {"kind": "dialect", "path": path, "before": "6000", "after": ""} in cell["changes"]


@pytest.mark.slow
async def test_a_path_the_recording_never_had_is_refused_with_the_nearest(simulate: Any, call: Any, root: Root) -> None:
    async with simulate() as simulator:
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
    misspelt = MODEL.replace("model", "modle")
    for vary, settings in (([f"{misspelt}=a,b"], []), ([], [f"{misspelt}=a"])):
        request = RunRequest(["last"], [simulator.url("eastus2")], vary, settings)
        with pytest.raises(UsageProblem, match=rf"the recorded session has no '{misspelt}': nearest are {MODEL}"):
            run(request, root.path, dry_run=False, as_json=False)
    assert not root.runs.exists()


async def test_a_recording_without_a_message_of_its_client_has_nothing_to_replay(
    root: Root, question_clip: Path
) -> None:
    nowhere = Target(name="nowhere", url="ws://127.0.0.1:1")
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        await place_call(nowhere, CallPlan(clip=question_clip), recorder)
    request = RunRequest(["last"], [nowhere.url], [], [])
    with pytest.raises(UsageProblem, match="holds no message of its client: there is nothing to replay"):
        run(request, root.path, dry_run=False, as_json=False)


@pytest.mark.slow
async def test_when_no_target_takes_a_session_the_reason_is_an_error(simulate: Any, call: Any, root: Root) -> None:
    async with simulate() as simulator:
        await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
    request = RunRequest(["last"], [simulator.url("eastus2")], [], [], trials=2)
    with pytest.raises(EndpointRefused, match=r"no target took a session: .*cannot be reached"):
        await asyncio.to_thread(run, request, root.path, dry_run=False, as_json=True)
    assert [trial.outcome for trial in load_run(root, "last").cells[0].trials] == ["not_run", "not_run"]


@pytest.mark.slow
async def test_sessions_that_were_throttled_are_spent_and_a_report_that_fails_comes_after_the_result(
    simulate: Any, call: Any, root: Root, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    report = tmp_path / "report" / "junit.xml"

    def refuse(connection: ServerConnection, request: Any) -> Any:
        asked.append(request.path)
        if report.parent.exists():
            report.parent.rmdir()
        return connection.respond(429, "slow down\n")

    async def never(_: ServerConnection) -> None:
        raise AssertionError("the upgrade was refused")

    async with simulate() as simulator:
        await call(simulator.targets("gpt-realtime")[0], transcription="whisper-1")
    async with serve_websockets(never, "127.0.0.1", 0, process_request=refuse) as server:
        busy = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/realtime"
        request = RunRequest(["last"], [busy], [], [], trials=3, retries=0, max_sessions=3, junit=report)
        with pytest.raises(UsageProblem, match=r"junit\.xml cannot be written: there is no folder"):
            await asyncio.to_thread(run, request, root.path, dry_run=False, as_json=True)
        assert asked == []
        report.parent.mkdir()
        capsys.readouterr()
        with pytest.raises(UsageProblem, match=r"junit\.xml cannot be written"):
            await asyncio.to_thread(run, request, root.path, dry_run=False, as_json=True)
        [cell] = json.loads(capsys.readouterr().out)["cells"]
        assert [trial["outcome"] for trial in cell["trials"]] == ["throttled"] * 3
        capped = RunRequest([], [], [], [], max_sessions=3)
        with pytest.raises(UsageProblem, match=r"beyond --max-sessions 3: 3 sessions.* after 3 sessions"):
            await asyncio.to_thread(resume, "last", capped, {"max_sessions"}, root.path, dry_run=False, as_json=True)
        assert len(asked) == 3
        other = replace(request, trials=1, junit=None)
        with pytest.raises(EndpointRefused, match=r"no target took a session: .*HTTP 429"):
            await asyncio.to_thread(run, other, root.path, dry_run=False, as_json=True)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--set", "--vary"])
async def test_neither_a_credential_that_is_set_nor_what_must_not_be_kept_is_kept_or_printed(
    option: str, simulate: Any, call: Any, configured: Any, root: Root, tmp_path: Path
) -> None:
    secrets = (b"planted-token", b"planted-header")
    tool = {
        "type": "mcp",
        "server_label": "crm",
        "authorization": "planted-token",
        "headers": {"X-C": "planted-header"},
    }
    async with simulate() as simulator:
        configured(simulator)
        recording = await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
        arguments = ["last", "--to", "swedencentral", "--trials", "1", "--redact", "transcripts"]
        arguments += [f"{option}=session.tools={json.dumps([tool])}", "--json", "--junit", str(tmp_path / "junit.xml")]
        process = await start(root, *arguments)
        out, err = await process.communicate()
        dry = await start(root, *arguments, "--dry-run")
        dry_out, dry_err = await dry.communicate()
    assert (process.returncode, dry.returncode) == (0, 0), err.decode() + dry_err.decode()
    places = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240 - all is over
    rows = {name: pq.read_table(root.table(name)).to_pylist() for name in ("sessions", "events", "rewrites")}
    places += [out, err, dry_out, dry_err, str(rows).encode()]
    assert [secret for secret in secrets for place in places if secret in place] == []
    # It was sent all the same, and only its value is missing.
    [trial] = [row for row in rows["sessions"] if row["session_id"] != recording.session_id]
    assert [kept["authorization"] for kept in json.loads(trial["overrides"])["session.tools"]] == ["[redacted]"]
    heard = [
        json.loads(row["payload"])["transcript"]
        for row in rows["events"]
        if row["session_id"] == trial["session_id"] and row["type"] == TRANSCRIBED
    ]
    assert [set(text) for text in heard] == [{"x"}]


def test_a_gate_that_is_missed_sets_the_exit_status_whoever_has_stopped_reading(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done, request = load_run(SAMPLE, "last"), RunRequest([CALL], [], [], [], expect=["ok"])
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert _conclude(done, parse_gates(request.expect), SAMPLE, request, finished=True, as_json=False) == 1
    assert "look further" not in capfd.readouterr().err


@pytest.mark.slow
async def test_a_log_that_nobody_reads_holds_up_no_trial_and_has_the_last_line(
    simulate: Any, call: Any, configured: Any, root: Root
) -> None:
    with unread_pipe() as pipe:
        async with simulate() as simulator:
            configured(simulator)
            await call(simulator.targets("gpt-realtime")[0], transcription="gpt-4o-transcribe")
            arguments = ["last", "--to", "eastus2", "--trials", "2", "--speed", "4"]
            process = await start(root, *arguments, stderr=pipe.writing)
            async with asyncio.timeout(60):
                # Another process plays it: there is no event to await.
                while not is_done(root):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        said = pipe.read_to_end().splitlines()
        assert await process.wait() == 0
    run_id = load_run(root, "last").run_id
    assert said[0].startswith(f"run {run_id} of ")
    assert sorted(line[: len("  eastus2 1/2: failed,")] for line in said[1:3]) == [
        *("  eastus2 1/2: failed,", "  eastus2 2/2: failed,"),
    ]
    assert said[-1] == f"look further: wiretape analyze verdict {run_id} --recordings {root.path}"


def is_done(root: Root) -> bool:
    return any(root.runs.glob("*.json")) and load_run(root, "last").status == "done"
