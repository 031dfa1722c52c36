"""Replaying a session of which only a window was kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from capture.keeping import OUTSIDE_WINDOW, parse_keep
from capture.recorder import Recorder
from capture.recording.facts import ReplayFacts, Sender
from capture.recording.reader import Recording, open_recording
from capture.recording.root import Root
from capture.sealing import seal
from replay.client import play
from replay.plan import Plan
from replay.planning import make_plan
from replay.source import prepare
from tests.capture.conftest import write_session_journal

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
LATER_NS = 2400 * SECOND_NS

CREATED = {"type": "session.created", "session": {"id": "sess_1", "type": "realtime"}}
UPDATE = {"type": "session.update", "session": {"type": "realtime"}}
UPDATED = {"type": "session.updated", "session": {"type": "realtime"}}
APPEND = "input_audio_buffer.append"


def hole(from_s: float, to_s: float, sender: str = "client") -> dict[str, Any]:
    edges = {"from_ns": int(from_s * SECOND_NS), "to_ns": int(to_s * SECOND_NS)}
    return {"sender": sender, "bytes": 5, "reason": OUTSIDE_WINDOW} | edges


def create(**item: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []} | item}


def added(item_id: str, **item: Any) -> dict[str, Any]:
    return create(id=item_id, **item) | {"type": "conversation.item.added"}


def told(plan: Plan) -> list[tuple[str | None, int | None, list[str]]]:
    return [(step.type, step.not_before_ns, [str(wait) for wait in step.after]) for step in plan.steps]


def test_pinned_messages_go_first_and_the_clock_begins_with_the_window(script: Any) -> None:
    script.server(CREATED, pinned=True).client(UPDATE, 10, pinned=True).server(UPDATED, 20, pinned=True)
    script.client(create(), 5_000, pinned=True).server(added("item_a"), 5_010, pinned=True)
    script.append(60_000).append(60_020)
    assert told(make_plan(script.messages, [hole(0, 60), hole(70, 90)])) == [
        ("session.update", None, ["session.created"]),
        ("conversation.item.create", None, []),
        (APPEND, 0, ["session.updated"]),
        (APPEND, 20 * MS_NS, []),
    ]


def test_a_turn_that_was_only_announced_inside_the_window_is_none_of_its_turns(script: Any) -> None:
    script.server(CREATED, pinned=True).append(60_000)
    script.server({"type": "input_audio_buffer.speech_started", "item_id": "item_a", "audio_start_ms": 0}, 60_010)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_a"}, 75_000, pinned=True)
    script.server(CREATED, 91_000)
    assert make_plan(script.messages, [hole(0, 60), hole(70, 90)]).turns == 0


def test_answers_of_the_part_that_was_left_out_are_not_waited_for(script: Any) -> None:
    script.server(CREATED, pinned=True)
    for number in range(3):
        script.server({"type": "response.created", "response": {"id": f"resp_{number}"}}, 100, pinned=True)
        script.server({"type": "response.done", "response": {"id": f"resp_{number}"}}, 200, pinned=True)
    script.server({"type": "response.created", "response": {"id": "resp_open"}}, 300, pinned=True)
    script.append(60_000).server({"type": "response.done", "response": {"id": "resp_open"}}, 60_100)
    script.client({"type": "response.create"}, 60_200)
    steps = told(make_plan(script.messages, [hole(0, 60)]))
    assert steps == [(APPEND, 0, ["session.created"]), ("response.create", 200 * MS_NS, [])]


def test_what_refers_to_the_part_that_was_left_out_is_not_sent(script: Any) -> None:
    script.server(CREATED, pinned=True)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_spoken"}, 100, pinned=True)
    script.server(added("item_spoken", content=[{"type": "input_audio"}]), 110, pinned=True)
    output = {"id": "item_call", "type": "function_call", "call_id": "call_1"}
    script.server({"type": "response.done", "response": {"id": "resp_1", "output": [output]}}, 200, pinned=True)
    result = {"type": "function_call_output", "call_id": "call_1", "output": "{}"}
    script.client({"type": "conversation.item.create", "item": result}, 300, pinned=True)
    script.append(60_000)
    script.client({"type": "conversation.item.delete", "item_id": "item_spoken"}, 60_010)
    plan = make_plan(script.messages, [hole(0, 60)])
    assert [step.type for step in plan.steps] == [APPEND]
    assert plan.not_sent == (
        f"5 bytes from 0.0 s to 60.0 s, {OUTSIDE_WINDOW}",
        "conversation.item.create at 0.3 s: call_1 is outside the window",
        "conversation.item.delete at 60.0 s: item_spoken is outside the window",
    )


def test_items_the_client_made_before_the_window_may_be_referred_to(script: Any) -> None:
    script.server(CREATED, pinned=True)
    script.server(added("item_spoken", content=[{"type": "input_audio"}]), 100, pinned=True)
    script.client(create(content=[{"type": "input_text"}]), 200, pinned=True)
    script.server(added("item_typed", content=[{"type": "input_text"}]), 210, pinned=True)
    script.client(create(id="mine"), 300, pinned=True).server(added("mine"), 310, pinned=True)
    script.append(60_000)
    for item_id in ("item_typed", "mine"):
        script.client({"type": "conversation.item.delete", "item_id": item_id}, 60_010)
    plan = make_plan(script.messages, [hole(0, 60)])
    assert told(plan)[3:] == [
        ("conversation.item.delete", 10 * MS_NS, ["item item_typed"]),
        ("conversation.item.delete", 10 * MS_NS, []),
    ]
    assert plan.ids.keys["item_typed"].ordinal == 0


def test_nobody_waits_between_two_windows(script: Any) -> None:
    script.server(CREATED, pinned=True).append(10_000).append(10_020)
    script.client(UPDATE, 50_000, pinned=True).server(UPDATED, 50_010, pinned=True)
    script.append(95_000).client(UPDATE, 99_000, pinned=True)
    gaps = [hole(0, 10), hole(11, 95), hole(11, 95, "server"), hole(96, 100)]
    assert told(make_plan(script.messages, gaps)) == [
        (APPEND, 0, ["session.created"]),
        (APPEND, 20 * MS_NS, []),
        ("session.update", None, []),
        (APPEND, 1000 * MS_NS, ["session.updated"]),
    ]


def test_losses_cut_nothing(script: Any) -> None:
    script.server(CREATED).append(10_000).append(70_000)
    gap = hole(11, 60) | {"reason": "the journal was full"}
    assert [step.not_before_ns for step in make_plan(script.messages, [gap]).steps] == [0, 60 * SECOND_NS]


# --- for real -------------------------------------------------------------------------------------------------


def window_of(recording: Recording, root: Root) -> Recording:
    """Put a recorded call into the fortieth minute of an hour's call, and seal that with windows."""
    messages = [m for m in recording.messages() if m.kind == "event"]
    opening = [m for m in messages if m.type and m.type.startswith("session.")]
    rest = [m for m in messages if m not in opening]
    old_append = next(m for m in rest if m.type == APPEND)
    said: list[tuple[int, Sender, str | bytes]] = [(m.offset_ns, m.sender, m.content) for m in opening]
    seed = create(content=[{"type": "input_text", "text": "I live in Utrecht."}])
    said += [(10 * SECOND_NS, "client", json.dumps(seed))]
    said += [(10 * SECOND_NS + 1, "server", json.dumps(added("item_seed", content=[{"type": "input_text"}])))]
    said += [(at_s * SECOND_NS, "client", old_append.content) for at_s in range(20, 2300)]
    said += [(LATER_NS + m.offset_ns, m.sender, m.content) for m in rest]
    said += [(at_s * SECOND_NS, "client", old_append.content) for at_s in range(2600, 3600)]
    write_session_journal(
        root,
        [(sender, content if isinstance(content, str) else content.decode()) for _, sender, content in said],
        at_ns=[at_ns for at_ns, _, _ in said],
        keep_rule=parse_keep("failed", 30, 20),
    )
    sealed = seal(root.path, "20260212T083055-4f3a9c12")
    assert sealed.kept == "window"
    return open_recording(root, sealed.session_id)


@pytest.mark.slow
async def test_an_hour_cut_to_its_failure_replays_and_fails_again(
    simulate: Any, call: Any, recorder: Recorder, tmp_path: Path
) -> None:
    async with simulate() as simulator:
        eastus2, sweden = simulator.targets("gpt-realtime")
        recording = await call(eastus2, transcription="gpt-4o-transcribe")
        cut = window_of(recording, Root(tmp_path / "long"))
        source = prepare(cut)
        assert [step.type for step in source.plan.steps][:3] == ["session.update", "conversation.item.create", APPEND]
        assert source.plan.duration_ns < 60 * SECOND_NS
        outcomes = {}
        for target in (eastus2, sweden):
            facts = ReplayFacts(
                run_id="r1",
                replay_of=cut.session_id,
                cell=target.name,
                trial=1,
                expected_failure_keys=cut.session["failure_keys"],
            )
            played = await play(source.plan, target, recorder, replay=facts, upgrade=source.upgrade)
            sealed = await asyncio.wrap_future(played.sealed)
            outcomes[target.name] = (played.end_reason, sealed.trial_outcome, sealed.failure_keys, played.divergences)
    failed = tuple(recording.session["failure_keys"])
    assert outcomes == {
        # One divergence for each of the stretches that were left out.
        eastus2.name: ("completed", "failed", failed, 2),
        sweden.name: ("completed", "ok", (), 2),
    }
