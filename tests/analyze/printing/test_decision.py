from __future__ import annotations

from dataclasses import replace

from analyze.audio_health import AudioFact, AudioHealth
from analyze.printing.decision import verdict_json, verdict_page
from replay.common_changes import CommonChange
from replay.comparison import AxisDecision, CellResult, Comparison
from replay.verdict import NotTested, Verdict
from tests.conftest import Lines


def test_the_replayed_audio_is_exonerated_or_not(lines: Lines) -> None:
    verdict = Verdict("r1", "20260212T083055-0000000a", "undecided", "Open.", (), (), ())
    clean = AudioHealth((), is_measured=True, sent_ms=3000)
    broken = AudioHealth((AudioFact("dc_offset", "warning", "DC offset 0.12"),), is_measured=True, sent_ms=3000)
    assert lines(verdict_page(verdict, 100, clean), 100)[2] == "sent audio: audio is clean"
    assert lines(verdict_page(verdict, 100, broken), 100)[2] == "sent audio: DC offset 0.12"
    silent = replace(verdict, common_changes=(CommonChange("audio", "silence", "the audio as recorded"),))
    assert lines(verdict_page(silent, 100, clean), 100)[2] == "recorded audio: audio is clean"
    assert not any("sent audio" in line for line in lines(verdict_page(verdict, 100), 100))
    assert verdict_json(verdict, broken)["audio_health"]["sentence"] == "DC offset 0.12"
    assert verdict_json(verdict, None)["audio_health"] is None


def result(cell: str, failed: int, trials: int, *, baseline: bool = False, open_reason: str = "") -> CellResult:
    ids = tuple(f"20260212T08300{number}-0000000a" for number in range(trials))
    return CellResult(cell, "eastus2", "eastus2", {}, baseline, failed, trials, 0, 0.2, 1.0, open_reason, ids)


def test_a_verdict_rests_on_its_cells_and_tests(lines: Lines) -> None:
    whisper = result("eastus2 · whisper-1", 0, 5)
    comparison = Comparison("model", "whisper-1", whisper, 0.004, 1.0, 0.05, "implicated", "", None)
    verdict = Verdict(
        run_id="r1",
        session_id="20260212T083055-0000000a",
        pattern="one_axis",
        sentence="Transcription fails with gpt-4o-transcribe.",
        cells=(
            result("eastus2 · gpt-4o-transcribe", 5, 5, baseline=True),
            whisper,
            result("x", 0, 0, open_reason="429"),
        ),
        axes=(AxisDecision("model", "transcription model", "implicated", (comparison,)),),
        not_tested=(NotTested("other audio", "wiretape replay run OTHER"), NotTested("the account", "")),
    )
    shown = lines(verdict_page(verdict, 100), 100)
    assert shown[:2] == ["run r1 · replay of 20260212T083055-0000000a", "Transcription fails with gpt-4o-transcribe."]
    table = [line.split() for line in shown[4:9]]
    assert table[1][-5:] == ["5/5", "20–100", "%", "20260212T083000-0000000a", "+4"]
    assert table[1][:5] == ["▲", "eastus2", "·", "gpt-4o-transcribe", "(baseline)"]
    assert table[2][:5] == ["●", "eastus2", "·", "whisper-1", "0/5"]
    assert table[4] == ["open:", "429"]
    assert "transcription model  whisper-1  0/5     0.004         1            implicated" in shown
    assert shown[-3:] == ["  other audio", "    wiretape replay run OTHER", "  the account  (no command does that yet)"]


def test_tests_that_do_not_hold_are_headed_so_and_marked_in_json(lines: Lines) -> None:
    axis = AxisDecision(
        "target", "target", "open", (Comparison("target", "b", result("b", 0, 5), 0.004, 1, 0.05, "open", "", 9),)
    )
    verdict = Verdict("r1", "20260212T083055-0000000a", "undecided", "Open.", (), (axis,), ())
    assert verdict_json(verdict, None)["tests_hold"] is True
    assert not any("do not hold" in line for line in lines(verdict_page(verdict, 100), 100))
    invalid = replace(verdict, tests_hold=False)
    assert verdict_json(invalid, None)["tests_hold"] is False
    heading = "axes (exact tests, one-sided, level 0.05; of a fixed plan: they do not hold here)"
    assert heading in lines(verdict_page(invalid, 100), 100)


def test_an_adaptive_run_shows_what_each_cell_was_compared_with_and_excludes(lines: Lines) -> None:
    whisper = result("eastus2 · whisper-1", 0, 6)
    comparison = Comparison("model", "whisper-1", whisper, 0.001, 1.0, 0.0014, "implicated", "", None, "6/6")
    axes = (AxisDecision("model", "transcription model", "implicated", (comparison,)),)
    verdict = Verdict("r1", "20260212T083055-0000000a", "one_axis", "It fails.", (whisper,), axes, ())
    shown = lines(verdict_page(verdict, 120), 120)
    assert "axes (exact tests, one-sided, level 0.0014; at most: 95 %)" in shown
    [row] = [line.split() for line in shown if line.startswith("transcription model")]
    assert row[2:6] == ["whisper-1", "0/6", "6/6", "39%"]
