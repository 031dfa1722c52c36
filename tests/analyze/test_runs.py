"""Runs of replay: listed, found, and put together from what each session says of itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from analyze.printing.decision import verdict_json
from analyze.runs import find_run, find_run_id, list_runs
from analyze.store import open_store
from capture.errors import UsageProblem
from capture.recording.root import Root
from replay.runs import Run, encode_run, save_run
from replay.verdict import read_verdict
from tests.analyze.conftest import FAILED_KEY, Trace

MODEL = "session.audio.input.transcription.model"
FAILED = {"outcome": "failed", "failure_keys": [FAILED_KEY]}


def test_runs_are_read_off_their_sessions(root: Root) -> None:
    for number, outcome in enumerate(("failed", "ok", "throttled")):
        replayed = {"role": "replayed", "run_id": "r1", "replay_of": "x", "cell": f"c{number % 2}"}
        Trace(f"20260212T08300{number}-0000000a", replayed | {"trial_outcome": outcome}).write(root)
    Trace("20260213T083000-0000000a", {"run_id": "r2", "replay_of": "x", "trial_outcome": "ok"}).write(root)
    with open_store(root) as store:
        newest, oldest = list_runs(store)
    assert (newest.run_id, newest.trials) == ("r2", 1)
    assert (oldest.cells, oldest.trials, oldest.failed, oldest.ok, oldest.not_counted) == (2, 3, 1, 1, 1)
    assert oldest.replay_of == ("x",)


def replays(root: Root, run_id: str, hour: int, target: str, outcome: str, of: str, **more: object) -> None:
    for number in range(6):
        trial = {"role": "replayed", "run_id": run_id, "replay_of": of, "target": target, "region": target, "block": 1}
        ended = FAILED if outcome == "failed" else {}
        Trace(f"20260213T{hour:02}000{number}-0000000a", trial | {"trial_outcome": outcome} | ended | more).write(root)


def test_several_runs_are_one_and_a_run_without_a_file_is_read_off_its_sessions(
    root: Root, failed_session: str
) -> None:
    overrides = json.dumps({MODEL: "whisper-1"})
    replays(root, "r20260213T080000-0001", 8, "azure-eastus2", "failed", failed_session)
    replays(root, "r20260213T090000-0002", 9, "azure-eastus2", "ok", failed_session, overrides=overrides)
    replays(root, "r20260213T100000-0003", 10, "azure-sweden", "ok", failed_session)
    with open_store(root) as store:
        verdict = read_verdict(
            find_run(store, ["r20260213T080000-0001", "r20260213T090000-0002", "r20260213T100000-0003"])
        )
        alone = find_run(store, ["r20260213T100000-0003"])
        assert find_run(store, ["last"]).run_id == alone.run_id == find_run_id(store, "last")
    assert verdict.pattern == "combination"
    assert verdict.session_id == failed_session
    # What the recording asked for is read from the recording.
    assert "fails at azure-eastus2 with gpt-4o-transcribe, 6/6;" in verdict.sentence
    assert "The trials are those of three runs (r20260213T080000-0001, " in verdict.sentence
    assert [(cell.cell, len(cell.trials)) for cell in alone.cells] == [("azure-sweden", 6)]


def test_the_last_run_whose_file_is_damaged_is_read_off_its_sessions_too(root: Root, failed_session: str) -> None:
    last = "r20260213T080000-0001"
    replays(root, last, 8, "azure-eastus2", "failed", failed_session)
    root.runs.mkdir()
    (root.runs / f"{last}.json").write_text('{"run_id": "r2026')
    with open_store(root) as store:
        for text in ("last", "r20260213", last):
            verdict = read_verdict(find_run(store, [text]))
            assert verdict.run_id == last
            assert verdict.sentence.startswith("With this session transcription fails at azure-eastus2, 6/6")
            assert verdict.sentence.endswith(
                " The file of the run is gone or cannot be read: this is read off its sessions."
            )
            assert find_run_id(store, text) == last
        (root.runs / "r20260214T080000-0002.json").write_text("")
        with pytest.raises(UsageProblem, match=f"is no run that can be read: .*; the run before it is {last}"):
            find_run(store, ["last"])


def test_the_sessions_of_a_run_without_a_file_are_found_by_its_id(root: Root, failed_session: str) -> None:
    replays(root, "r20260213T080000-0001", 8, "azure-eastus2", "failed", failed_session)
    with open_store(root) as store:
        assert find_run_id(store, "r20260213T080000-0001") == "r20260213T080000-0001"
        with pytest.raises(UsageProblem, match="there are no runs"):
            find_run_id(store, "r20260213T080000-0002")


def test_without_runs_there_is_no_last_one(root: Root, failed_session: str) -> None:
    with open_store(root) as store:
        for find in (find_run_id, lambda store, text: find_run(store, [text])):
            with pytest.raises(UsageProblem, match=r"there are no runs in .*: make one with `wiretape replay run`"):
                find(store, "last")


def test_an_adaptive_run_that_is_read_off_its_sessions_says_that_its_odds_do_not_hold(
    root: Root, failed_session: str
) -> None:
    run_id = "r20260213T080000-0001"
    replays(root, run_id, 8, "azure-eastus2", "failed", failed_session, block=0)
    replays(root, run_id, 9, "azure-eastus2", "failed", failed_session)
    replays(root, run_id, 10, "azure-sweden", "ok", failed_session)
    replays(root, "r20260213T110000-0002", 11, "azure-sweden", "ok", failed_session)
    with open_store(root) as store:
        verdict = read_verdict(find_run(store, [run_id]))
        sentence = verdict.sentence
        assert verdict_json(verdict, None)["tests_hold"] is False
        assert "fails at azure-eastus2, 6/6; 0/6 at azure-sweden" in sentence
        assert " this is read off its sessions. Trials of `replay isolate` are among them, " in sentence
        assert sentence.endswith("the odds and decisions do not hold. Isolate again to decide.")
        with pytest.raises(UsageProblem, match=f"run {run_id} is of `replay isolate`"):
            find_run(store, [run_id, "r20260213T110000-0002"])


def test_sessions_that_somebody_tagged_are_a_run(root: Root) -> None:
    for number in range(14):
        where = "sweden" if number % 2 else "eastus2"
        failed = {} if number % 2 else FAILED
        Trace(f"20260213T0800{number:02}-0000000a", {"target": where, "tags": [("run", "monday")]} | failed).write(root)
    with open_store(root) as store:
        verdict = read_verdict(find_run(store, ["monday"]))
    assert verdict.pattern == "one_axis"
    assert verdict.sentence.startswith(
        "With these calls transcription fails at eastus2, 6/6; 0/7 at sweden: it is the target"
    )


def test_an_adaptive_run_is_not_put_together_with_others(root: Root, failed_session: str) -> None:
    replays(root, "r20260213T080000-0001", 8, "azure-eastus2", "failed", failed_session)
    started = datetime(2026, 2, 13, tzinfo=UTC)
    run_id = "r20260213T070000-0000"
    run = Run(run_id=run_id, started_at=started, recordings=[], axes=[], cells=[], trials=9, design="adaptive")
    save_run(root, run_id, encode_run(run))
    with open_store(root) as store, pytest.raises(UsageProblem, match="is of `replay isolate`"):
        find_run(store, [run_id, "r20260213T080000-0001"])
