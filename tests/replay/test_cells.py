"""The cells of a run whose variations lie anywhere, and whole trials of them against the simulator."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from capture.errors import UsageProblem
from capture.recorder import Recorder
from capture.recording.reader import open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from replay.cells import Variation, plan_run
from replay.client import Upgrade
from replay.matrix import plan_jobs, run_matrix
from replay.planning import make_plan
from replay.runs import RunRecording, write_overrides
from replay.simulator import load_scenario
from replay.source import Source, prepare
from replay.staging import stage
from replay.verdict import read_verdict

EAST = Target(name="eastus2", url="wss://east.example", region="eastus2")


@pytest.fixture
def source(script: Any) -> Source:
    script.server({"type": "session.created", "session": {"voice": "alloy"}})
    script.client({"type": "response.create", "response": {"instructions": "Be brief."}}, 20)
    return Source(
        RunRecording(session_id="s", target="eastus2", dialect="beta", model="rt", failure_keys=["response.done|||"]),
        make_plan(script.messages),
        Upgrade("/v1/realtime?model=rt"),
        "wss://east.example/v1/realtime?model=rt",
    )


def test_paths_anywhere_are_axes_and_the_recorded_value_is_the_baseline_s(source: Source) -> None:
    variations = [
        Variation("model", ("mini", "rt")),
        Variation("response.instructions", ("Sing.", "Be brief.")),
        Variation("dialect", ("ga", "beta")),
    ]
    run = plan_run([source], [EAST], variations=variations, settings={"voice": "alloy"})
    assert [axis.axis for axis in run.axes] == ["target", "model", "response.instructions", "dialect"]
    assert len(run.cells) == 8
    [home] = [cell for cell in run.cells if cell.baseline]
    assert home.cell == "eastus2 · model=rt · response.instructions=Be brief. · dialect=beta"
    assert (home.model, home.values["model"]) == ("rt", "rt")
    assert home.overrides["session.voice"] == "alloy"
    topics = [topic.what for topic in read_verdict(run).not_tested]
    assert "the dialect" not in topics
    assert "the realtime model" not in topics


def test_a_baseline_tells_where_it_is_not_as_recorded(source: Source) -> None:
    def unlike(*unset: str, **settings: str) -> list[str] | None:
        [home] = plan_run([source], [EAST], settings=settings, unset=unset).cells
        return home.unlike_recording

    assert unlike() == []
    assert unlike(voice="alloy", model="rt") == []
    assert unlike("response.instructions", voice="cedar", audio="silence") == [
        "session.voice",
        "audio",
        "response.instructions",
    ]
    run = plan_run([source], [EAST], variations=[Variation("voice", ("cedar", "alloy"))])
    assert [cell.unlike_recording for cell in run.cells] == [None, []]


def test_the_recorded_deployment_is_the_baseline_by_either_of_its_names(script: Any) -> None:
    configuration = {"input_audio_transcription": {"model": "transcribe-prod"}}
    script.server({"type": "session.created", "session": {}})
    script.client({"type": "session.update", "session": configuration}, 5)
    home = replace(EAST, name="dep-east", transcription_models={"gpt-4o-transcribe": "transcribe-prod"})
    recording = RunRecording(session_id="s", target="eastus2", dialect="beta")
    source = Source(recording, make_plan(script.messages), Upgrade("/v1/realtime"), EAST.url, home=home)
    for name in ("gpt-4o-transcribe", "transcribe-prod"):
        run = plan_run([source], [EAST], variations=[Variation("transcription_model", ("whisper-1", name))])
        [found] = [cell for cell in run.cells if cell.baseline]
        assert found.cell == f"eastus2 · input_audio_transcription.model={name}"


def test_a_value_that_a_connection_cannot_have_is_refused_for_every_target(source: Source) -> None:
    with pytest.raises(UsageProblem, match="is a credential"):
        plan_run([source], [EAST], settings={"connection.query.api-key": "x"})
    with pytest.raises(UsageProblem, match="cannot be unset"):
        plan_run([source], [EAST], unset=["connection.query.intent"])


@pytest.mark.slow
async def test_what_is_changed_anywhere_is_sent_and_written_down(simulate: Any, recorder: Recorder, root: Root) -> None:
    played = await stage(load_scenario("healthy_manual"), root, speed=8, sealer=Sealer(root, in_process=True))
    source = prepare(open_recording(root, played.session_ids[0]))
    async with simulate("healthy_manual") as simulator:
        [target, *_] = simulator.targets("gpt-realtime")
        settings = {
            "voice": "cedar",
            "response.instructions": "Sing.",
            "model": "gpt-realtime-mini",
            "connection.query.feature": "a b",
            "connection.header.X-Experiment": "7",
        }
        run = plan_run(
            [source], [target], variations=[Variation("dialect", ("ga", "beta"))], settings=settings, trials=1, speed=4
        )
        await run_matrix(run, plan_jobs(run, [source], [target]), root, recorder)
    by_dialect = {cell.values["dialect"]: cell.trials[0] for cell in run.cells}
    assert {trial.outcome for trial in by_dialect.values()} == {"ok"}, run.cells
    rewrites = pq.read_table(root.path / "rewrites").to_pylist()
    for dialect, trial in by_dialect.items():
        again = open_recording(root, trial.session_id)
        assert again.session["dialect"] == dialect
        assert "feature=a%20b" in again.session["url"]
        assert again.session["model"] == "gpt-realtime-mini"
        assert again.session["request_headers"]["x-experiment"] == "7"
        creates = [json.loads(m.content) for m in again.messages() if m.type == "response.create"]
        assert creates
        assert all(event["response"]["instructions"] == "Sing." for event in creates)
        paths = [row["path"] for row in rewrites if row["session_id"] == trial.session_id and row["kind"] == "override"]
        assert paths.count("response.instructions") == len(creates)
        assert set(paths) == {
            "session.audio.output.voice",
            "response.instructions",
            "connection.model",
            "connection.query.feature",
            "connection.header.X-Experiment",
        }
        assert json.loads(again.session["overrides"]).keys() == {*paths, "dialect"}


def test_what_is_given_twice_is_refused_and_not_left_out(source: Source) -> None:
    voice = "session.voice"
    twice = [Variation("voice", ("a", "b")), Variation(voice, ("c", "d"))]
    with pytest.raises(UsageProblem, match=f"{voice} is varied twice: give all its values at once"):
        plan_run([source], [EAST], variations=twice)
    with pytest.raises(UsageProblem, match=f"{voice} is both set and varied"):
        plan_run([source], [EAST], variations=twice[:1], settings={voice: "cedar"})
    with pytest.raises(UsageProblem, match="voice is set twice, by its name and by its path"):
        plan_run([source], [EAST], settings={"voice": "cedar", voice: "marin"})


def test_a_short_name_that_is_misspelt_is_told_the_right_one(source: Source) -> None:
    with pytest.raises(UsageProblem, match="has no 'transcription_modle': nearest are transcription_model"):
        plan_run([source], [EAST], settings={"transcription_modle": "whisper-1"})


def test_what_is_unset_stands_in_the_overrides_of_a_trial(source: Source) -> None:
    run = plan_run([source], [EAST], unset=["response.instructions"], settings={"model": "mini"})
    changed = {"connection.model": "mini", "unset": ["response.instructions"]}
    assert json.loads(write_overrides(run, run.cells[0])) == changed
    run.until_turn, run.longest_idle_s = 2, 0.5
    assert json.loads(write_overrides(run, run.cells[0])) == changed | {"until": 2, "skip_idle": 0.5}
