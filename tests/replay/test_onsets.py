"""Where the caller begins to speak, and what lies between two turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replay.planning import make_plan
from tests.replay.conftest import Script
from tests.replay.test_plan_clock import LOUD, Call

MANUAL = {"type": "session.created", "session": {"audio": {"input": {"turn_detection": None}}}}


def test_what_an_open_microphone_hears_between_two_turns_is_a_pause(script: Script) -> None:
    Call(script).quiet(0, 100).speaks(100).hears(1, 400, 100).quiet(300, 800).speaks(800).quiet(1000, 1100)
    plan = make_plan(script.messages)
    pauses = [number for number, step in enumerate(plan.steps) if step.is_pause]
    assert pauses == [*range(5), *range(15, 40)]
    [onset] = [number for number, step in enumerate(plan.steps) if step.anchor is not None]
    assert onset == 40


def test_the_first_turn_follows_nothing_unless_the_assistant_greets(script: Script) -> None:
    Call(script).speaks(0)
    assert [step.anchor for step in make_plan(script.messages).steps] == [None] * 10
    script.messages.clear()
    script.server(MANUAL).client({"type": "response.create"}, 0)
    Call(script).hears(1, 100, 1000).speaks(2000)
    first = make_plan(script.messages).steps[1].anchor
    assert first is not None
    assert (first.kind, first.response, first.turns) == ("after", 1, 0)


def test_what_is_written_and_what_cuts_an_answer_off_are_onsets(script: Script) -> None:
    item = {"type": "message", "role": "user", "content": []}
    Call(script).hears(1, 100, 3000)
    script.client({"type": "response.cancel"}, 900)
    script.client({"type": "conversation.item.create", "item": item}, 1000)
    cancel, written = make_plan(script.messages).steps
    assert cancel.anchor is not None
    assert (cancel.anchor.kind, written.anchor) == ("into", None)


def test_a_turn_of_silence_and_a_commit_of_nothing_begin_where_they_begin(script: Script) -> None:
    commit = {"type": "input_audio_buffer.commit"}
    script.server(MANUAL).client(commit, 0).server({"type": "input_audio_buffer.committed", "item_id": "i"}, 1)
    for number in range(5):
        script.append(10 + number * 20, bytes(960))
    script.client(commit, 200).server({"type": "input_audio_buffer.committed", "item_id": "j"}, 201)
    assert not any(step.is_pause for step in make_plan(script.messages).steps)


@given(quiet=st.integers(0, 60), loud=st.integers(1, 10))
def test_without_a_vad_300_ms_of_quiet_belong_to_the_speech(quiet: int, loud: int) -> None:
    script = Script().server(MANUAL)
    for number in range(quiet + loud):
        script.append(number * 20, bytes(960) if number < quiet else LOUD)
    script.client({"type": "input_audio_buffer.commit"}, 5000)
    script.server({"type": "input_audio_buffer.committed", "item_id": "i"}, 5001)
    pauses = sum(step.is_pause for step in make_plan(script.messages).steps)
    assert pauses == max(0, quiet - 15)
