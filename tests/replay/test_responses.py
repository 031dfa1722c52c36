"""What a recorded client asked for in its responses, changed in all of them alike."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from openai.types.beta.realtime import ResponseCreateEvent as BetaResponseCreateEvent
from openai.types.realtime import ResponseCreateEvent

from capture.errors import UsageProblem
from replay.plan import Plan
from replay.planning import make_plan
from replay.responses import adapt_responses, check_responses, recorded_response, response_paths

SPACED = '{"type":"response.create",  "response":{"instructions":"Be brief."}}'


@pytest.fixture
def plan(script: Any) -> Plan:
    """Plan a session with three responses: one asks for nothing, one for something, one for more."""
    script.server({"type": "session.created", "session": {}})
    script.client({"type": "response.create"}, 10)
    script.client(SPACED, 20)
    script.messages[-1] = msgspec.structs.replace(script.messages[-1], type="response.create")
    asked = {"instructions": "Be brief.", "metadata": {"k": "v"}, "conversation": "none"}
    script.client({"type": "response.create", "response": asked}, 30)
    return make_plan(script.messages)


def sent(plan: Plan) -> list[dict[str, Any]]:
    return [json.loads(step.content) for step in plan.steps]


def test_a_value_goes_into_every_response_create_and_each_is_told(plan: Plan) -> None:
    adapted = adapt_responses(plan, {"response.instructions": "Speak up.", "response.audio.output.voice": "cedar"}, ())
    for event in sent(adapted):
        ResponseCreateEvent.model_validate(event)
        assert event["response"]["instructions"] == "Speak up."
        assert event["response"]["audio"] == {"output": {"voice": "cedar"}}
    assert sent(adapted)[2]["response"]["metadata"] == {"k": "v"}
    assert [(c.kind, c.path, c.before, c.after) for c in adapted.changes if c.path == "response.instructions"] == [
        ("override", "response.instructions", "", '"Speak up."'),
        ("override", "response.instructions", '"Be brief."', '"Speak up."'),
        ("override", "response.instructions", '"Be brief."', '"Speak up."'),
    ]


def test_what_stands_there_already_leaves_the_message_to_the_byte(plan: Plan) -> None:
    adapted = adapt_responses(plan, {"response.instructions": "Be brief."}, ())
    assert adapted.steps[1:] == plan.steps[1:]
    assert [len(step.changes) for step in adapted.steps] == [1, 0, 0]
    assert adapt_responses(plan, {}, ()) is plan


def test_a_path_is_taken_out_wherever_it_was_asked_for(plan: Plan) -> None:
    adapted = adapt_responses(plan, {}, ["response.instructions"])
    assert [event.get("response") for event in sent(adapted)] == [
        None,
        {},
        {"metadata": {"k": "v"}, "conversation": "none"},
    ]
    assert [(c.kind, c.before, c.after) for c in adapted.changes] == [("unset", '"Be brief."', "")] * 2
    assert adapted.steps[0] is plan.steps[0]


def test_what_was_recorded_counts_only_where_all_responses_agree(plan: Plan, script: Any) -> None:
    assert recorded_response(plan, "response.instructions") is None
    same = make_plan(script.messages[:1] + script.messages[2:])
    assert recorded_response(same, "response.instructions") == "Be brief."


def test_paths_that_no_response_has_are_refused_with_the_nearest(plan: Plan, script: Any) -> None:
    check_responses(plan, ["response.metadata.caller", "response.max_output_tokens"], ["response.metadata.k"], "ga")
    with pytest.raises(UsageProblem, match=r"has no 'response\.instruction': nearest are response\.instructions"):
        check_responses(plan, ["response.instruction"], (), "ga")
    with pytest.raises(UsageProblem, match=r"nearest are response\.audio\.output\.voice"):
        check_responses(plan, ["response.voice"], (), "ga")
    check_responses(plan, ["response.voice"], (), "beta")
    with pytest.raises(UsageProblem, match=r"asked for 'response\.voice', so it cannot be unset"):
        check_responses(plan, (), ["response.voice"], "beta")


@pytest.mark.parametrize(("dialect", "event_type"), [("ga", ResponseCreateEvent), ("beta", BetaResponseCreateEvent)])
def test_the_fields_of_a_response_are_those_of_the_sdk(dialect: str, event_type: Any, script: Any) -> None:
    plan = make_plan(script.client({"type": "response.create"}).messages)
    paths = response_paths(plan, dialect)
    assert len(paths) > 10
    response = event_type.model_fields["response"].annotation
    for path in paths:
        node = response
        for name in path.split(".")[1:]:
            node = next(each for each in get_args(node) if each is not type(None)).model_fields[name].annotation


def test_a_session_without_response_create_says_so(script: Any) -> None:
    plan = make_plan(script.server({"type": "session.created", "session": {}}).append(5).messages)
    with pytest.raises(UsageProblem, match=r"sent no response\.create, so 'response\.instructions' changes nothing"):
        check_responses(plan, ["response.instructions"], (), "ga")
    check_responses(plan, (), (), "ga")
