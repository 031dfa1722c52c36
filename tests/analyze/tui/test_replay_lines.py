from __future__ import annotations

from pathlib import Path

import pytest

from analyze.tui.lines import plain
from analyze.tui.replay_lines import preview_lines, progress_line, question_lines, said
from analyze.tui.replay_plan import PlannedReplay, ReplayForm, plan_replay, read_recorded
from analyze.tui.replay_runner import TrialProgress
from replay.runs import Trial, TrialOutcome
from tests.analyze.tui.conftest import TARGETS
from tests.sample import CALL, SAMPLE


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlannedReplay:
    (tmp_path / "wiretape.toml").write_text(TARGETS.replace("[targets.s", 'dialect = "beta"\n[targets.s'))
    monkeypatch.setenv("WIRETAPE_CONFIG", str(tmp_path / "wiretape.toml"))
    changes = ("session.audio.input.transcription.model=whisper-1", "-session.audio.input.turn_detection")
    return plan_replay(read_recorded(SAMPLE, CALL), ReplayForm(("swedencentral", "eastus2"), changes, 2))


def test_the_preview_says_what_will_be_sent_and_what_is_changed(planned: PlannedReplay) -> None:
    page = "\n".join(map(plain, preview_lines(planned)))
    assert page.startswith("4 sessions  2 cells × 2 trials\n0.3 minutes of audio\nabout ")
    assert "tokens  as the recorded responses used" in page
    assert "· swedencentral" in page
    assert "in every cell: session.audio.input.transcription.model changed" in page
    assert "in every cell: session.audio.input.turn_detection left out" in page


def test_the_question_names_number_and_targets(planned: PlannedReplay) -> None:
    page = "\n".join(map(plain, question_lines(planned)))
    assert page.startswith("Send 4 sessions to swedencentral, eastus2\n")
    assert "this may cost money" in page


def test_progress_counts_what_is_done(planned: PlannedReplay) -> None:
    outcomes: tuple[TrialOutcome, ...] = ("failed", "ok", "throttled")
    for outcome in outcomes:
        planned.run.cells[0].trials.append(Trial(trial=1, block=1, session_id="a", outcome=outcome))
    line = plain(progress_line(planned.run, 4, is_over=False))
    assert line.endswith("running · 3 of 4 · ▲ 1 failed  ● 1 ok  ◐ 1 not counted")


@pytest.mark.parametrize(
    ("outcome", "words"), [(None, "◌ running"), ("failed", "▲ failed"), ("ok", "● ok"), ("not_run", "◐ not run")]
)
def test_a_trial_has_a_sign_and_a_word(outcome: str | None, words: str) -> None:
    assert plain(said(TrialProgress("cell", 1, outcome))) == words
