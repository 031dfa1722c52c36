"""What a form asks for, planned over the sample recording; nothing is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyze.tui.replay_plan import (
    Recorded,
    ReplayForm,
    known_targets,
    plan_replay,
    read_recorded,
    run_matrix_of,
    shell_command,
    sort_changes,
    suggest,
)
from capture.errors import UsageProblem
from capture.recording.root import Root
from replay.runs import Trial
from tests.analyze.tui.conftest import TARGETS
from tests.sample import CALL, SAMPLE

MODEL = "session.audio.input.transcription.model"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    (tmp_path / "wiretape.toml").write_text(TARGETS)
    monkeypatch.setenv("WIRETAPE_CONFIG", str(tmp_path / "wiretape.toml"))
    return read_recorded(SAMPLE, CALL)


def test_a_recording_says_where_it_went_and_what_can_be_changed(recorded: Recorded) -> None:
    assert [target.name for target in known_targets(recorded)] == ["eastus2", "swedencentral"]
    assert f"{MODEL}=gpt-4o-transcribe" in recorded.suggestions
    assert not [each for each in recorded.suggestions if each.startswith("session.audio.input=")]
    elsewhere = replace(recorded, target="wss://host.example/realtime")
    assert known_targets(elsewhere)[0].name == "wss://host.example/realtime"
    with_key = replace(recorded, target="wss://host.example/realtime?api-key=[redacted]")
    assert len(known_targets(with_key)) == 2


def test_nothing_hostile_that_was_echoed_is_suggested() -> None:
    echoed = {"session": {"voice": "marin", "instructions": "\x1b[31mred", "bad\u202e": 1, "tools": [1, 2], "n": 2}}
    suggested = list(suggest([{"session": {"voice": "cedar"}}, echoed]))
    assert suggested == ["session.voice=cedar", "session.instructions=", "session.tools=", "session.n=2"]


def test_a_plan_says_what_it_will_take(recorded: Recorded) -> None:
    form = ReplayForm(("eastus2", "swedencentral"), (f"{MODEL}=gpt-4o-transcribe,whisper-1",), 3)
    planned = plan_replay(recorded, form)
    assert len(planned.jobs) == planned.cost.sessions == 12
    usage = recorded.source.usage
    assert planned.cost.input_tokens == (usage.input_tokens or 0) * 12 > 0
    assert 0 < planned.cost.sent_minutes < 2
    assert planned.run.request is not None
    assert [cell.cell for cell in planned.run.cells if cell.baseline] == [
        "eastus2 · transcription.model=gpt-4o-transcribe"
    ]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (ReplayForm(()), "choose at least one target"),
        (ReplayForm(("eastus2",), (), 0), "trials are 1 to 200"),
        (ReplayForm(("nowhere",)), "unknown target 'nowhere'"),
        (ReplayForm(("eastus2",), ("session.nonsense=1",)), "has no 'session.nonsense'"),
        (ReplayForm(("eastus2",), ("session.model",)), "write PATH=VALUE, PATH=A,B or -PATH"),
        (ReplayForm(("eastus2",), ("-",)), "changes nothing"),
        (ReplayForm(("eastus2",), ("-session.nothing",)), "so it cannot be unset"),
        (ReplayForm(("eastus2",), (f"{MODEL}=a", f"{MODEL}=b,c")), "changed twice"),
    ],
)
def test_what_is_missing_or_wrong_is_said(recorded: Recorded, form: ReplayForm, words: str) -> None:
    with pytest.raises(UsageProblem, match=words):
        plan_replay(recorded, form)


def test_where_the_simulator_of_a_recording_is_gone_it_is_said_how_to_run_one(
    recorded: Recorded, tmp_path: Path
) -> None:
    gone = "ended with its command: `wiretape replay simulate SCENARIO` in another terminal runs one at ws://127"
    with pytest.raises(UsageProblem, match=r"type a URL$"):
        plan_replay(recorded, ReplayForm(()))
    (tmp_path / "wiretape.toml").write_text("")
    with pytest.raises(UsageProblem, match=gone):
        plan_replay(recorded, ReplayForm(()))
    with pytest.raises(UsageProblem, match=r"type a URL$"):
        plan_replay(replace(recorded, is_simulated=False), ReplayForm(()))


def test_changes_are_settings_variations_and_what_goes() -> None:
    changes = ['a.b={"x": 1, "y": 2}', "c=1,two", "-d.e", "f=plain text"]
    assert sort_changes(changes) == {"settings": [changes[0], changes[3]], "vary": [changes[1]], "unset": ["d.e"]}


def test_the_same_can_be_done_in_a_shell() -> None:
    form = ReplayForm(("eastus2", "b"), ("a.b=say: hi", "c=1,2", "-d"), 7)
    words = "wiretape replay run S --to eastus2 --to b --set 'a.b=say: hi' --vary c=1,2 --unset d --trials 7"
    assert shell_command("S", form, Root(Path("recordings"))) == words
    assert shell_command("S", form, Root(Path("else where"))) == f"{words} --recordings 'else where'"


def test_the_matrix_counts_what_is_done_over_what_varies(recorded: Recorded) -> None:
    form = ReplayForm(("eastus2", "swedencentral"), (f"{MODEL}=gpt-4o-transcribe,whisper-1",))
    run = plan_replay(recorded, form).run
    run.cells[0].trials.append(Trial(trial=1, block=1, session_id="a", outcome="failed"))
    run.cells[3].trials.append(Trial(trial=1, block=1, session_id="b", outcome="throttled"))
    matrix = run_matrix_of(run)
    assert matrix.by == ("transcription.model", "target")
    assert (matrix.total.failed, matrix.total.trials, matrix.total.not_counted) == (1, 1, 1)
    only_one = run_matrix_of(plan_replay(recorded, ReplayForm(("eastus2",))).run)
    assert only_one.by == ("target",)
