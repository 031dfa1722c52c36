from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from capture.errors import UsageProblem
from replay.gates import GateResult
from replay.junit import check_writable, to_junit, write_junit
from replay.runs import Run, RunCell, Trial, TrialOutcome


def run_of(*outcomes: TrialOutcome, note: str = "") -> Run:
    trials = [
        Trial(trial=number, block=number, session_id=f"s{number}", outcome=outcome, note=note)
        for number, outcome in enumerate(outcomes, 1)
    ]
    cell = RunCell(cell="eastus2 · transcription.model=whisper-1", session_id="s0", target="eastus2", trials=trials)
    return Run(
        run_id="r1", started_at=datetime(2026, 2, 12, tzinfo=UTC), recordings=[], axes=[], cells=[cell], trials=5
    )


def test_each_trial_is_a_test_case_with_its_outcome() -> None:
    suites = ET.fromstring(to_junit(run_of("failed", "ok", "failed_otherwise", "throttled", "not_run")))  # noqa: S314 - ours
    (suite,) = suites
    assert suite.get("name") == "eastus2 · transcription.model=whisper-1"
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "1", "2"]
    assert [[sign.tag for sign in case] for case in suite] == [["failure"], [], ["error"], ["skipped"], ["skipped"]]
    assert suite[0].get("name") == "trial 1 (s1)"


def test_an_endpoints_words_cannot_break_the_file() -> None:
    suites = ET.fromstring(to_junit(run_of("failed_otherwise", note='<x a="\x00\x1b&\ud800\uffff">')))  # noqa: S314 - ours
    (error,) = suites.iter("error")
    assert error.get("message") == r'<x a="\x00\x1b&\ud800\uffff">'


def test_each_gate_is_a_test_case_too() -> None:
    expectations = [GateResult("ok", ()), GateResult("max-latency-ms=800", ("eastus2: too slow", "westus: too slow"))]
    [_, suite] = ET.fromstring(to_junit(run_of("ok"), expectations))  # noqa: S314 - ours
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("expectations", "2", "1")
    met, missed = suite
    assert (met.get("name"), len(met)) == ("ok", 0)
    assert [sign.get("message") for sign in missed] == ["eastus2: too slow; westus: too slow"]


def test_where_nothing_can_be_written_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "junit.xml"
    check_writable(path)
    assert not path.exists()
    path.write_text("of a run before")
    check_writable(path)
    for nowhere, reason in ((tmp_path, "it is a folder"), (tmp_path / "no" / "junit.xml", "there is no folder")):
        with pytest.raises(UsageProblem, match=f"cannot be written: {reason}"):
            check_writable(nowhere)
    # Tests may run as root, who may write everywhere.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UsageProblem, match="cannot be written: it is not allowed"):
        check_writable(path)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be written"):
        write_junit(run_of("ok"), tmp_path / "no" / "folder.xml")
