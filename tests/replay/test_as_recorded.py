"""`--as-recorded`: every kind of change stands in the way, by name."""

from __future__ import annotations

from typing import Any

import pytest

from capture.errors import UsageProblem
from capture.targets import Target
from replay.as_recorded import obstacles, refuse
from replay.client import Upgrade
from replay.plan import adapt
from replay.planning import make_plan

MODEL = "session.audio.input.transcription.model"
GA_UPDATE = {
    "type": "session.update",
    "session": {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1", "language": "en"}}}},
}


def test_a_plan_that_changes_nothing_has_no_obstacles(script: Any) -> None:
    plan = make_plan(script.server({"type": "session.created", "session": {}}).client(GA_UPDATE).append(10).messages)
    assert obstacles(adapt(plan, {MODEL: "whisper-1"}), []) == []
    refuse([("cell", [])])


def test_every_kind_of_change_is_an_obstacle(script: Any) -> None:
    image = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}
    script.server({"type": "session.created", "session": {}}).client(GA_UPDATE)
    script.client({"type": "conversation.item.create", "item": image}).client(b"\x81", kind="raw")
    adapted = adapt(
        make_plan(script.messages),
        {MODEL: "gpt-4o-transcribe"},
        target_models={"gpt-4o-transcribe": "ours"},
        unset_paths=["session.audio.input.transcription.language"],
        dialect="beta",
    )
    beta = Target(name="t", url="wss://a.example/openai/realtime?api-version=1&deployment=d", dialect="beta")
    upgrade = Upgrade("/openai/v1/realtime?model=m").transposed(beta, "beta")
    found = obstacles(adapted, upgrade.changes_for(beta))
    assert {line.split(" ")[0] for line in found} == {"dialect", "model", "override", "unset", "deployment", "not"}
    assert f'override {MODEL}: "whisper-1" → "gpt-4o-transcribe"' in found
    assert 'unset session.audio.input.transcription.language: "en" → nothing' in found
    assert any(line.startswith("dialect item.content[0]: ") and line.endswith("→ nothing") for line in found)
    with pytest.raises(UsageProblem, match="nothing was sent") as refused:
        refuse([("eastus2", found)])
    assert all(f"eastus2: {line}" in str(refused.value) for line in found)


def test_an_update_put_in_is_an_obstacle(script: Any) -> None:
    plan = make_plan(script.server({"type": "session.created", "session": {"voice": "alloy"}}).append(10).messages)
    assert obstacles(adapt(plan, {"session.voice": "ash"}), []) == ['inserted session.voice: nothing → "ash"']


def test_a_credential_that_was_set_is_not_told(script: Any) -> None:
    update = {"type": "session.update", "session": {"type": "realtime", "tools": []}}
    plan = make_plan(script.client(update).messages)
    tools = [{"type": "mcp", "server_label": "crm", "authorization": "planted-token"}]
    for dialect in (None, "beta"):
        told = " ".join(obstacles(adapt(plan, {"session.tools": tools}, dialect=dialect), []))
        assert "crm" in told
        assert "planted-token" not in told
