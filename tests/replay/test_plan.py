"""What a plan says of its recording, and how a cell changes it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from replay.plan import Dependency, Plan, adapt
from replay.planning import make_plan

Json = dict[str, Any]

CREATED = {"type": "session.created", "session": {"type": "realtime", "voice": "alloy"}}
UPDATE = {"type": "session.update", "session": {"type": "realtime", "voice": "marin"}}
UPDATED = {"type": "session.updated", "session": {"type": "realtime", "voice": "marin"}}
SPOKEN = {"type": "response.output_item.added", "item": {"id": "item_b", "type": "message", "role": "assistant"}}


def begun(response_id: str) -> Json:
    return {"type": "response.created", "response": {"id": response_id}}


def done(response_id: str) -> Json:
    return {"type": "response.done", "response": {"id": response_id}}


def waits(plan: Plan, number: int) -> list[str]:
    return [str(wait) for wait in plan.steps[number].after]


def test_the_recorded_setting_is_what_was_asked_else_what_was_echoed(script: Any) -> None:
    script.server({"type": "session.created", "session": {"voice": "alloy", "speed": 1.0}}).client(UPDATE, 1)
    plan = make_plan(script.messages)
    assert plan.setting("session.voice") == "marin"
    assert plan.setting("session.speed") == 1.0
    assert plan.setting("session.nothing", "missing") == "missing"


def test_a_cell_changes_the_update_and_says_so(script: Any) -> None:
    script.server(CREATED).client(UPDATE, 1).server(UPDATED, 2).append(10)
    plan = make_plan(script.messages)
    changed = adapt(plan, {"session.voice": "cedar"})
    assert json.loads(changed.steps[0].content)["session"]["voice"] == "cedar"
    assert [change.after for change in changed.steps[0].changes] == ['"cedar"']
    assert changed.steps[1] is plan.steps[1]
    assert adapt(plan, {"session.voice": "marin"}).steps == plan.steps


def test_a_session_without_an_update_gets_one_before_everything_else(script: Any) -> None:
    script.server(CREATED).append(0).append(20)
    changed = adapt(make_plan(script.messages), {"session.voice": "cedar"})
    assert [step.number for step in changed.steps] == [0, 1, 2]
    assert json.loads(changed.steps[0].content)["session"] == {"type": "realtime", "voice": "cedar"}
    assert changed.steps[0].after == (Dependency("session.created"),)
    assert changed.steps[0].not_before_ns is None


def test_a_plan_in_the_other_dialect_waits_for_the_same_and_names_what_it_leaves_out(script: Any) -> None:
    script.server({"type": "session.created", "session": {"modalities": ["text"]}})
    script.client({"type": "session.update", "session": {"voice": "alloy", "temperature": 0.8}}, 5)
    script.server({"type": "session.updated", "session": {}}, 10).append(20)
    image = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}
    script.client({"type": "conversation.item.create", "item": image}, 30)
    plan = make_plan(script.messages)
    ga = adapt(plan, {}, dialect="ga")
    assert (ga.transposed_from, plan.transposed_from) == ("beta", None)
    assert [step.after for step in ga.steps] == [step.after for step in plan.steps]
    assert ga.steps[1] == plan.steps[1]
    assert [c.path for c in ga.changes if not c.after] == ["session.temperature"]
    beta = adapt(plan, {}, dialect="beta")
    assert [step.number for step in beta.steps] == [0, 1]
    assert [(number, change.path) for number, change in beta.left_out] == [(2, "item.content[0]")]


def test_an_override_is_given_by_the_recording_s_path_and_sent_by_the_target_s(script: Any) -> None:
    plan = make_plan(script.client({"type": "session.update", "session": {"voice": "alloy"}}).messages)
    [step] = adapt(plan, {"session.voice": "ash"}, dialect="ga").steps
    assert json.loads(str(step.content))["session"]["audio"] == {"output": {"voice": "ash"}}
    [change, *_] = step.changes
    assert (change.kind, change.path, change.after) == ("override", "session.voice", '"ash"')


def test_audio_is_measured_in_its_own_format(script: Any) -> None:
    telephone = {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    script.server({"type": "session.created", "session": {}})
    script.client({"type": "session.update", "session": telephone}, 5)
    script.append(10, bytes(8000)).append(20, b"")
    plan = make_plan(script.messages)
    assert plan.audio_ms == 1000
    assert replace(plan, steps=plan.steps[:1]).audio_ms == 0


def test_the_audio_of_a_plan_is_decoded_once_for_the_estimate_the_caps_and_every_trial(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(script.append(10, bytes(480)).append(20, bytes(480)).messages)
    decoded: list[str] = []

    def decode(text: str, **_: object) -> bytes:
        decoded.append(text)
        return bytes(480)

    monkeypatch.setattr(base64, "b64decode", decode)
    assert [plan.audio_ms for _ in range(4)] == [20.0] * 4
    assert len(decoded) == 2
