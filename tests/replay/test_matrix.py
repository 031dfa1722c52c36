"""Targets x variations x trials: cells, baseline, order, and a whole run over real sockets."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import Counter
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from capture.errors import UsageProblem
from capture.recorder import Recorder
from capture.recording.root import Root
from capture.targets import Target
from replay.adaptation import adapt_for
from replay.attempts import Job
from replay.budget import spent_by
from replay.cells import Variation, plan_run
from replay.client import Upgrade
from replay.matrix import plan_jobs, run_matrix, unplayed
from replay.planning import make_plan
from replay.resuming import take_over
from replay.runs import Run, RunRecording, Trial, TrialOutcome, as_text, decode_run, encode_run, load_run
from replay.source import Source, prepare
from replay.verdict import read_verdict

MODEL = "session.audio.input.transcription.model"
EAST = Target(name="eastus2", url="wss://east.example/openai/v1/realtime", region="eastus2")
WEST = Target(name="westus", url="wss://west.example/openai/v1/realtime", region="westus")
BOTH_MODELS = Variation(MODEL, ("gpt-4o-transcribe", "whisper-1"))


@pytest.fixture
def source(script: Any) -> Source:
    configuration = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    script.server({"type": "session.created", "session": {}}).client(
        {"type": "session.update", "session": configuration}, 5
    )
    return Source(
        recording=RunRecording(session_id="20261123T011500-4f3a9c12", target="eastus2", region="eastus2"),
        plan=make_plan(script.append(10).messages),
        upgrade=Upgrade("/openai/v1/realtime"),
        url="wss://east.example/openai/v1/realtime",
    )


def names(run: Run) -> list[str]:
    return [cell.cell for cell in run.cells]


def baseline(run: Run) -> str:
    [found] = [cell.cell for cell in run.cells if cell.baseline]
    return found


def test_cells_are_every_target_with_every_combination(source: Source) -> None:
    run = plan_run([source], [EAST, WEST], variations=[BOTH_MODELS])
    assert names(run) == [
        "eastus2 · transcription.model=gpt-4o-transcribe",
        "eastus2 · transcription.model=whisper-1",
        "westus · transcription.model=gpt-4o-transcribe",
        "westus · transcription.model=whisper-1",
    ]
    assert [axis.axis for axis in run.axes] == ["target", MODEL]
    assert run.cells[0].values == {"target": "eastus2", MODEL: "gpt-4o-transcribe"}
    assert run.cells[0].overrides == {MODEL: "gpt-4o-transcribe"}


def test_the_baseline_is_the_recording_as_it_was(source: Source) -> None:
    assert (
        baseline(plan_run([source], [WEST, EAST], variations=[BOTH_MODELS]))
        == "eastus2 · transcription.model=whisper-1"
    )


def test_the_recorded_target_is_known_by_its_url_and_by_its_region_too(source: Source) -> None:
    by_url = Target(name=EAST.url, url=EAST.url)
    by_region = Target(name="another", url="wss://other.example/x", region="eastus2")
    assert baseline(plan_run([source], [WEST, by_url])) == EAST.url
    assert baseline(plan_run([source], [WEST, by_region])) == "another"
    assert baseline(plan_run([source], [by_region, WEST, EAST])) == "eastus2"


def test_of_two_targets_at_the_recorded_url_the_one_with_the_recorded_model_is_the_baseline(source: Source) -> None:
    asked = Upgrade("/openai/v1/realtime?model=gpt-realtime")
    recorded = dataclasses.replace(source, upgrade=asked, recording=RunRecording(session_id="s", target=EAST.url))
    mini = Target(name="mini", url=EAST.url, model="gpt-realtime-mini")
    full = Target(name="full", url=EAST.url, model="gpt-realtime")
    assert baseline(plan_run([recorded], [mini, full])) == "full"
    assert baseline(plan_run([recorded], [mini, WEST])) == "mini"


def test_each_recording_has_cells_and_a_baseline_of_its_own(source: Source) -> None:
    recording = RunRecording(session_id="20261123T020000-aaaaaaaa", target="westus", region="westus")
    other = dataclasses.replace(source, recording=recording, url="wss://west.example/openai/v1/realtime")
    run = plan_run([source, other], [EAST, WEST])
    assert [(cell.session_id[-8:], cell.cell) for cell in run.cells if cell.baseline] == [
        ("4f3a9c12", "eastus2"),
        ("aaaaaaaa", "westus"),
    ]
    jobs = plan_jobs(run, [source, other], [EAST, WEST])
    assert all(job.source.recording.session_id == job.cell.session_id for job in jobs)


def test_without_the_recorded_cell_the_first_is_the_baseline(source: Source) -> None:
    assert baseline(plan_run([source], [WEST])) == "westus"
    run = plan_run([source], [WEST, EAST], settings={MODEL: "gpt-4o-transcribe"})
    assert baseline(run) == "westus"


def test_the_audio_is_an_axis_whose_baseline_is_what_was_recorded(source: Source) -> None:
    run = plan_run([source], [EAST], variations=[Variation("audio", ("silence", "recorded", "noise:20"))])
    assert names(run) == ["eastus2 · audio=silence", "eastus2 · audio=recorded", "eastus2 · audio=noise:20"]
    assert baseline(run) == "eastus2 · audio=recorded"
    assert adapt_for(run.cells[1], source, {"eastus2": EAST}).plan.steps == source.plan.steps
    assert "audio" in [
        change.kind for step in adapt_for(run.cells[0], source, {"eastus2": EAST}).plan.steps for change in step.changes
    ]


def test_audio_that_is_no_choice_or_is_chosen_twice_is_refused(source: Source) -> None:
    with pytest.raises(UsageProblem, match="noise takes a ratio"):
        plan_run([source], [EAST], settings={"audio": "noise:loud"})
    with pytest.raises(UsageProblem, match="chosen twice"):
        plan_run([source], [EAST], settings={"audio": "silence"}, variations=[Variation("audio", ("recorded",))])


def test_a_recorded_deployment_name_is_the_model_it_deploys(source: Source, script: Any) -> None:
    east = Target(name="eastus2", url=EAST.url, transcription_models={"gpt-4o-transcribe": "whisper-1"})
    run = plan_run([source], [east], variations=[BOTH_MODELS])
    assert baseline(run) == "eastus2 · transcription.model=gpt-4o-transcribe"


def test_a_target_is_asked_for_its_own_deployment(source: Source) -> None:
    west = Target(name="westus", url=WEST.url, transcription_models={"whisper-1": "our-whisper"})
    run = plan_run([source], [west])
    plan = adapt_for(run.cells[0], source, {"westus": west}).plan
    assert "our-whisper" in str(plan.steps[0].content)


def test_a_target_of_the_other_dialect_is_asked_in_it(source: Source) -> None:
    recorded = dataclasses.replace(source, recording=RunRecording(session_id="s", dialect="ga"))
    old = Target(name="old", url="wss://old.example", provider="azure", dialect="beta")
    run = plan_run([recorded], [old, EAST], trials=1)
    by_target = {job.target.name: job for job in plan_jobs(run, [recorded], [old, EAST])}
    assert by_target["eastus2"].upgrade is recorded.upgrade
    assert by_target["eastus2"].plan.changes == []
    assert by_target["old"].upgrade.path_and_query == "/openai/realtime?api-version=2025-04-01-preview"
    assert "input_audio_transcription" in str(by_target["old"].plan.steps[0].content)


def test_a_recording_without_a_dialect_is_sent_as_it_is(source: Source) -> None:
    old = Target(name="old", url="wss://old.example", dialect="beta")
    [job] = plan_jobs(plan_run([source], [old], trials=1), [source], [old])
    assert (job.plan.changes, job.upgrade) == ([], source.upgrade)


def test_what_is_unset_is_a_change_so_no_cell_is_the_recording_as_it_was(source: Source) -> None:
    run = plan_run([source], [WEST, EAST], unset=[MODEL])
    assert [cell.unset for cell in run.cells] == [[MODEL], [MODEL]]
    assert baseline(run) == "westus"
    plan = adapt_for(run.cells[0], source, {"westus": WEST}).plan
    assert [(change.kind, change.path) for change in plan.changes] == [("unset", MODEL)]


def test_other_protocols_are_refused_with_the_reason(source: Source, script: Any) -> None:
    live = Target(name="live", url="wss://api.openai.com/v1/live/sessions")
    with pytest.raises(UsageProblem, match=r"target live cannot be replayed to: GPT-Live .* is no dialect"):
        plan_run([source], [live])
    vllm = dataclasses.replace(source, plan=make_plan(script.server({"type": "transcription.done"}).messages))
    with pytest.raises(UsageProblem, match=r"recording .* cannot be replayed: vLLM's own transcription protocol"):
        plan_run([vllm], [EAST])
    gemini = dataclasses.replace(source, url="wss://generativelanguage.googleapis.com/ws/x")
    with pytest.raises(UsageProblem, match=r"recording .* cannot be replayed: Gemini Live"):
        plan_run([gemini], [EAST])


def test_every_block_holds_each_cell_once_in_an_order_of_its_own(source: Source) -> None:
    run = plan_run([source], [EAST, WEST], variations=[BOTH_MODELS], trials=6, seed=1)
    jobs = plan_jobs(run, [source], [EAST, WEST])
    blocks = [[job.cell.cell for job in jobs if job.trial == trial] for trial in range(1, 7)]
    assert [job.trial for job in jobs] == sorted(job.trial for job in jobs)
    assert all(sorted(block) == sorted(names(run)) for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1
    again = plan_jobs(run, [source], [EAST, WEST])
    assert [job.cell.cell for job in again] == [job.cell.cell for job in jobs]


def test_what_cannot_be_asked_is_said_before_anything_is_sent(source: Source) -> None:
    with pytest.raises(UsageProblem, match=rf"nearest are {MODEL}"):
        plan_run([source], [EAST], settings={"session.audio.input.transcription.modle": "x"})
    with pytest.raises(UsageProblem, match="target eastus2 is given twice"):
        plan_run([source], [EAST, EAST])
    with pytest.raises(UsageProblem, match="at least one target"):
        plan_run([source], [])


def test_values_are_written_as_on_the_command_line() -> None:
    assert [as_text(value) for value in ("a", True, None, 500, {"a": 1})] == ["a", "true", "null", "500", '{"a": 1}']


@pytest.mark.slow
async def test_a_run_over_two_regions_and_two_models_finds_the_combination(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate() as simulator:
        targets = simulator.targets("gpt-realtime")
        source = prepare(await call(targets[0], transcription="gpt-4o-transcribe"))
        run = plan_run([source], targets, variations=[BOTH_MODELS], trials=5, concurrency=20)
        heard: list[Trial] = []
        await run_matrix(
            run,
            plan_jobs(run, [source], targets),
            root,
            recorder,
            on_progress=lambda _, trial: heard.append(trial) if trial else None,
        )
    assert run.status == "done"
    assert load_run(root, run.run_id) == run
    assert len(heard) == 20
    counts = {cell.cell: Counter(trial.outcome for trial in cell.trials) for cell in run.cells}
    assert counts == {
        "eastus2 · transcription.model=gpt-4o-transcribe": {"failed": 5},
        "eastus2 · transcription.model=whisper-1": {"ok": 5},
        "swedencentral · transcription.model=gpt-4o-transcribe": {"ok": 5},
        "swedencentral · transcription.model=whisper-1": {"ok": 5},
    }
    assert [trial.trial for trial in run.cells[0].trials] == [1, 2, 3, 4, 5]
    verdict = read_verdict(run)
    assert verdict.pattern == "combination"
    assert "at eastus2 with gpt-4o-transcribe, 5/5" in verdict.sentence


@pytest.mark.slow
async def test_a_cancelled_run_keeps_what_was_done(simulate: Any, call: Any, recorder: Recorder, root: Root) -> None:
    async with simulate() as simulator:
        targets = simulator.targets("gpt-realtime")
        source = prepare(await call(targets[0], transcription="whisper-1"))
        run = plan_run([source], targets, trials=50, concurrency=1)
        done = asyncio.Event()

        def note(_: Job, trial: Trial | None) -> None:
            if trial is not None:
                done.set()

        async with asyncio.TaskGroup() as tasks:
            jobs = plan_jobs(run, [source], targets)
            running = tasks.create_task(run_matrix(run, jobs, root, recorder, on_progress=note))
            await done.wait()
            running.cancel()
    kept = load_run(root, run.run_id)
    assert kept.status == "interrupted"
    assert kept.ended_at is not None
    assert kept.finished_trials == 1


@pytest.mark.slow
async def test_a_run_whose_file_can_no_longer_be_written_ends_in_one_sentence(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate() as simulator:
        targets = simulator.targets("gpt-realtime")
        source = prepare(await call(targets[0], transcription="whisper-1"))
        run = plan_run([source], targets, trials=2, concurrency=8)
        begun: list[Job] = []

        def note(job: Job, _: Trial | None) -> None:
            if not begun:
                file = root.runs / f"{run.run_id}.json"
                file.unlink()
                file.mkdir()
            begun.append(job)

        with pytest.raises(UsageProblem, match=rf"runs/{run.run_id}\.json cannot be written: "):
            await run_matrix(run, plan_jobs(run, [source], targets), root, recorder, on_progress=note)


def test_what_said_nothing_is_made_again_and_its_sessions_stay_counted(source: Source) -> None:
    run = plan_run([source], [EAST], trials=4)
    [cell] = run.cells
    outcomes: tuple[TrialOutcome, ...] = ("ok", "throttled", "not_run")
    made = [Trial(trial=n, block=n, session_id=f"t{n}", outcome=outcome) for n, outcome in enumerate(outcomes, 1)]
    cell.trials = list(made)
    jobs = plan_jobs(run, [source], [EAST])
    assert [job.trial for job in unplayed(run, jobs)] == [2, 3, 4]
    assert (cell.trials, cell.remade) == (made[:1], made[1:])
    # Stopped and taken up once more.
    again = plan_run([source], [EAST], trials=4)
    take_over(decode_run(encode_run(run)), again)
    assert [job.trial for job in unplayed(again, jobs)] == [2, 3, 4]
    assert spent_by(again).sessions == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "reason", "note"),
    [
        (1000, "", "closed_by_endpoint"),
        (1011, "out of capacity", "closed_by_endpoint: close: server 1011 out of capacity"),
    ],
)
async def test_a_trial_cut_short_is_not_ok_and_says_what_the_endpoint_said(
    simulate: Any, call: Any, recorder: Recorder, root: Root, code: int, reason: str, note: str
) -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.send('{"type": "session.created", "session": {}}')
        await connection.recv()
        await connection.close(code, reason)

    async with simulate() as simulator:
        source = prepare(await call(simulator.targets("gpt-realtime")[0], transcription="whisper-1"))
    async with serve_websockets(hang_up, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        polite = Target(name="polite", url=f"ws://127.0.0.1:{port}/realtime")
        run = plan_run([source], [polite], trials=1)
        await run_matrix(run, plan_jobs(run, [source], [polite]), root, recorder)
    [trial] = run.cells[0].trials
    assert (trial.outcome, trial.note) == ("failed_otherwise", note)


def test_a_credential_that_is_varied_names_no_cell(script: Any) -> None:
    def tools(label: str, token: str) -> list[dict[str, str]]:
        return [{"type": "mcp", "server_label": label, "authorization": token}]

    script.server({"type": "session.created", "session": {}}).client(
        # As a recording holds it.
        {"type": "session.update", "session": {"type": "realtime", "tools": tools("a", "[redacted]")}},
        5,
    )
    source = Source(RunRecording(session_id="s", target="eastus2"), make_plan(script.messages), Upgrade("/"), EAST.url)
    varied = Variation("session.tools", (tools("b", "t0ken"), tools("a", "t0ken")))
    run = plan_run([source], [EAST], variations=[varied])
    assert [axis.values for axis in run.axes[1:]] == [[as_text(tools(label, "[redacted]")) for label in "ba"]]
    assert "t0ken" not in str(names(run)) + str([cell.values for cell in run.cells])
    # The recorded tools with their credential put back are the recording as it was.
    assert '"server_label": "a"' in baseline(run)
    plan = adapt_for(run.cells[0], source, {"eastus2": EAST}).plan
    assert json.loads(str(plan.steps[0].content))["session"]["tools"] == tools("b", "t0ken")
    with pytest.raises(UsageProblem, match=r"values of session\.tools differ only in a credential"):
        plan_run([source], [EAST], variations=[Variation("session.tools", (tools("a", "1"), tools("a", "2")))])
