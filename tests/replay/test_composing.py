"""A recorded message, written for the new session."""

from __future__ import annotations

import json

from capture.realtime.progress import Progress
from replay.composing import compose
from replay.id_map import IdIndex, IdMap
from replay.plan import Step

SPOKEN = {"type": "response.output_item.added", "item": {"id": "item_b", "type": "message", "role": "assistant"}}
TRUNCATE = {"type": "conversation.item.truncate", "item_id": "item_b", "content_index": 0, "audio_end_ms": 900}


def ids() -> IdMap:
    recorded = IdIndex()
    recorded.observe("server", SPOKEN)
    known = IdMap(recorded)
    known.session.observe("server", {**SPOKEN, "item": {**SPOKEN["item"], "id": "item_1"}})  # type: ignore[dict-item]
    return known


def test_a_message_gets_the_new_ids_and_stays_within_what_was_received() -> None:
    step = Step(0, TRUNCATE["type"], json.dumps(TRUNCATE), 0, references=("item_b",))  # type: ignore[arg-type]
    content, changes = compose(step, ids(), Progress())
    assert json.loads(content) == {**TRUNCATE, "item_id": "item_1", "audio_end_ms": 0}
    assert [change.kind for change in changes] == ["id", "clamp"]
    content, changes = compose(step, ids(), Progress(), as_recorded=True)
    assert json.loads(content)["audio_end_ms"] == 900


def test_what_needs_no_change_keeps_its_very_bytes() -> None:
    for content in (b"\x00\xff", '{"type" :  "x"}', "no json"):
        assert compose(Step(0, None, content, 0), ids(), Progress()) == (content, ())


def test_a_turn_that_is_still_spoken_is_named_as_the_new_session_names_it() -> None:
    recorded = IdIndex()
    recorded.observe("server", {"type": "input_audio_buffer.speech_started", "item_id": "item_a"})
    known = IdMap(recorded)
    known.session.observe("server", {"type": "input_audio_buffer.speech_started", "item_id": "item_1"})
    note = {"type": "conversation.item.create", "previous_item_id": "item_a", "item": {"type": "message"}}
    step = Step(0, "conversation.item.create", json.dumps(note), 0, references=("item_a",))
    content, [change] = compose(step, known, Progress())
    assert json.loads(content) == {**note, "previous_item_id": "item_1"}
    assert (change.kind, change.path) == ("id", "previous_item_id")
