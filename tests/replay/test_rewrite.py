"""What is changed in a message before it is sent again, and what is left alone to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import UsageProblem
from replay.rewrite import (
    Change,
    check_paths,
    check_unset,
    clamp_truncation,
    compose_update,
    id_fields,
    name_deployment,
    override,
    strings,
    substitute_ids,
    unset,
)

MODEL = "session.audio.input.transcription.model"
UPDATE = (
    '{"type":"session.update", "session":{"type":"realtime","audio":{"input":{"transcription":{"model":"whisper-1"}}}}}'
)
OTHER_UPDATE = '{"type": "session.update", "session": {"instructions": "Be brief — s\\u00ed."}}'


def test_a_value_is_put_beside_what_is_nested_deeply() -> None:
    deep = '{"d":' * 600 + "1" + "}" * 600
    hostile = UPDATE.replace('"type":"realtime"', f'"type":"realtime","x":{deep}')
    [(text, [change])] = override([hostile], {MODEL: "m"})
    assert (change.before, change.after) == ('"whisper-1"', '"m"')
    assert text.count('"d"') == 600


def test_a_value_is_put_where_an_update_names_it_and_nowhere_else() -> None:
    (first, first_changes), (second, second_changes) = override([OTHER_UPDATE, UPDATE], {MODEL: "gpt-4o-transcribe"})
    assert (first, first_changes) == (OTHER_UPDATE, [])
    assert json.loads(second)["session"]["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe"}
    assert second_changes == [Change("override", MODEL, '"whisper-1"', '"gpt-4o-transcribe"')]


def test_a_value_that_no_update_names_goes_into_the_first() -> None:
    path = "session.audio.input.noise_reduction"
    (first, changes), (second, _) = override([OTHER_UPDATE, UPDATE], {path: None})
    assert json.loads(first)["session"]["audio"] == {"input": {"noise_reduction": None}}
    assert changes == [Change("override", path, "", "null")]
    assert second == UPDATE


def test_the_value_that_stands_there_already_changes_no_byte() -> None:
    assert override([UPDATE], {MODEL: "whisper-1"}) == [(UPDATE, [])]


def test_true_is_not_one() -> None:
    update = '{"type": "session.update", "session": {"speed": 1}}'
    [(text, changes)] = override([update], {"session.speed": True})
    assert json.loads(text)["session"]["speed"] is True
    assert changes


def test_a_session_that_never_sent_an_update_gets_one() -> None:
    text, changes = compose_update({MODEL: "whisper-1"}, "realtime")
    session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    assert json.loads(text) == {"type": "session.update", "session": session}
    assert [change.kind for change in changes] == ["inserted"]


def test_a_path_that_was_never_configured_is_named_with_the_nearest_that_were() -> None:
    asked = {"session": json.loads(UPDATE)["session"]}
    with pytest.raises(UsageProblem, match=rf"no 'session\.audio\.input\.transcription\.modle': nearest are {MODEL}"):
        check_paths(["session.audio.input.transcription.modle"], [asked, {}])
    with pytest.raises(UsageProblem, match=MODEL):
        check_paths(["model"], [asked])
    with pytest.raises(UsageProblem, match="it was never configured"):
        check_paths([MODEL], [{}])


def test_the_model_of_the_url_is_no_setting() -> None:
    with pytest.raises(UsageProblem, match="the URL chooses the model"):
        check_paths(["session.model"], [{"session": {"model": "gpt-realtime"}}])


def test_a_path_counts_whether_it_was_asked_or_echoed() -> None:
    check_paths(["session.voice", "session.speed"], [{"session": {"voice": "marin"}}, {"session": {"speed": None}}])


def test_a_model_is_named_as_the_target_deploys_it() -> None:
    text, changes = name_deployment(UPDATE, {}, {"whisper-1": "our-whisper"})
    assert json.loads(text)["session"]["audio"]["input"]["transcription"]["model"] == "our-whisper"
    assert changes == [Change("deployment", MODEL, '"whisper-1"', '"our-whisper"')]


def test_a_recorded_deployment_name_is_led_back_to_its_model_first() -> None:
    recorded = UPDATE.replace("whisper-1", "prod-whisper")
    text, _ = name_deployment(recorded, {"whisper-1": "prod-whisper"}, {"whisper-1": "dr-whisper"})
    assert "dr-whisper" in text
    text, _ = name_deployment(recorded, {"whisper-1": "prod-whisper"}, {})
    assert "whisper-1" in text


def test_beta_sessions_name_their_model_elsewhere() -> None:
    update = '{"type": "session.update", "session": {"input_audio_transcription": {"model": "whisper-1"}}}'
    _, changes = name_deployment(update, {}, {"whisper-1": "our-whisper"})
    assert changes[0].path == "session.input_audio_transcription.model"


def test_ids_are_substituted_and_the_rest_stays_to_the_byte() -> None:
    text = '{ "type":"conversation.item.truncate",  "item_id" : "item_a", "note": "item_a is \\u00e9" }'
    substituted, changes = substitute_ids(text, {"item_a": "item_1"})
    assert substituted == text.replace('"item_a"', '"item_1"')
    assert changes == [Change("id", "item_id", '"item_a"', '"item_1"')]


def test_ids_of_a_seeded_endpoint_that_trade_places_do_not_meet() -> None:
    text = '{"previous_item_id": "item_1", "item": {"call_id": "item_2"}}'
    substituted, _ = substitute_ids(text, {"item_1": "item_2", "item_2": "item_1"})
    assert json.loads(substituted) == {"previous_item_id": "item_2", "item": {"call_id": "item_1"}}


@pytest.mark.parametrize("spelled", ["call_a\\/b", "call_a\\u002fb", "\\u0063all_a/b", "call_a/b"])
def test_an_id_is_an_id_however_its_characters_are_spelled(spelled: str) -> None:
    text = f'{{"item": {{"type":"function_call_output", "call_id":"{spelled}","output":"a\\/b"}}}}'
    substituted, changes = substitute_ids(text, {"call_a/b": 'call_"1"'})
    assert substituted == text.replace(spelled, 'call_\\"1\\"')
    assert changes == [Change("id", "item.call_id", '"call_a/b"', '"call_\\"1\\""')]


def test_what_only_looks_like_an_id_stays() -> None:
    item = {"type": "function_call_output", "call_id": "1", "output": "1"}
    text = json.dumps({"type": "conversation.item.create", "event_id": "1", "item": item})
    substituted, changes = substitute_ids(text, {"1": "call_NEW"})
    assert json.loads(substituted)["item"] == {**item, "call_id": "call_NEW"}
    assert json.loads(substituted)["event_id"] == "1"
    assert [change.path for change in changes] == ["item.call_id"]
    free = {"metadata": {"item_id": "1", "id": "1"}, "prompt": {"id": "1"}, "tools": [{"connector_id": "1"}]}
    text = json.dumps({"type": "response.create", "response": free})
    assert substitute_ids(text, {"1": "item_NEW"}) == (text, [])


def test_all_fields_that_carry_ids_are_known() -> None:
    in_beta = {"type": "message", "content": [{"type": "item_reference", "id": "c"}, {"type": "text", "text": "a"}]}
    output = {"type": "function_call_output", "call_id": "b", "output": "a"}
    asked = [{"type": "item_reference", "id": "a"}, output, in_beta]
    message = {"previous_item_id": "a", "response_id": "b", "item": {"id": "a", "approval_request_id": "b"}}
    told = list(id_fields(message | {"item_id": "a", "response": {"input": asked, "instructions": "a"}}))
    assert told == [
        ("previous_item_id", "a"),
        ("response_id", "b"),
        ("item.id", "a"),
        ("item.approval_request_id", "b"),
        ("item_id", "a"),
        ("response.input[0].id", "a"),
        ("response.input[1].call_id", "b"),
        ("response.input[2].content[0].id", "c"),
    ]


def test_of_a_field_that_is_given_twice_both_are_replaced() -> None:
    text = '{"item_id":"item_a", "item_id":"item_b"}'
    substituted, changes = substitute_ids(text, {"item_a": "item_1", "item_b": "item_2"})
    assert substituted == '{"item_id":"item_1", "item_id":"item_2"}'
    assert [change.after for change in changes] == ['"item_1"', '"item_2"']


json_values = st.recursive(
    st.text() | st.integers() | st.none(), lambda deeper: st.lists(deeper) | st.dictionaries(st.text(), deeper)
)


@given(json_values)
def test_a_message_without_known_ids_keeps_every_byte(message: object) -> None:
    text = json.dumps(message)
    assert substitute_ids(text, {"item_Known0Id": "item_New0Id"}) == (text, [])


identifiers = st.sampled_from(["a/b", "1", "é", 'q"', "\\", "plain"])
messages = st.fixed_dictionaries(
    {"item": st.fixed_dictionaries({"call_id": identifiers, "output": identifiers})},
    optional={"previous_item_id": identifiers, "metadata": json_values, "text": identifiers},
)


@given(messages, st.dictionaries(identifiers, identifiers), st.booleans(), st.booleans())
def test_what_is_sent_is_what_the_changes_say(
    message: Any, ids: dict[str, str], ascii_only: bool, by_php: bool
) -> None:
    text = json.dumps(message, ensure_ascii=ascii_only, indent=1 if ascii_only else None)
    text = text.replace("/", "\\/") if by_php else text
    substituted, changes = substitute_ids(text, ids)
    item = {**message["item"], "call_id": ids.get(message["item"]["call_id"], message["item"]["call_id"])}
    expected = message | {"item": item}
    if "previous_item_id" in message:
        expected["previous_item_id"] = ids.get(message["previous_item_id"], message["previous_item_id"])
    assert json.loads(substituted) == expected
    assert (substituted == text) == (not changes)


def test_strings_are_listed_with_their_paths() -> None:
    message = {"response": {"input": [{"type": "item_reference", "id": "item_a"}]}}
    assert list(strings(message)) == [("response.input[0].type", "item_reference"), ("response.input[0].id", "item_a")]


def test_a_truncation_stays_within_the_audio_that_came() -> None:
    text = '{"type": "conversation.item.truncate", "audio_end_ms": 1200}'
    assert clamp_truncation(text, 5000.0) == (text, [])
    clamped, changes = clamp_truncation(text, 900.7)
    assert json.loads(clamped)["audio_end_ms"] == 900
    assert changes == [Change("clamp", "audio_end_ms", "1200", "900")]


def test_what_is_unset_is_not_sent_and_an_update_without_it_keeps_its_bytes() -> None:
    text, changes = unset(UPDATE, [MODEL, "session.instructions"])
    assert json.loads(text)["session"] == {"type": "realtime", "audio": {"input": {"transcription": {}}}}
    assert changes == [Change("unset", MODEL, '"whisper-1"', "")]
    assert unset(OTHER_UPDATE, [MODEL]) == (OTHER_UPDATE, [])


def test_only_what_was_asked_for_can_be_unset() -> None:
    asked = {"session": json.loads(UPDATE)["session"]}
    check_unset([MODEL], asked)
    with pytest.raises(UsageProblem, match=rf"never asked for 'session.transcription.model'.*nearest are .*{MODEL}"):
        check_unset(["session.transcription.model"], asked)
    with pytest.raises(UsageProblem, match="it asked for nothing"):
        check_unset(["session.voice"], {})


def test_an_update_that_a_client_cut_within_an_emoji_is_still_text_that_can_be_sent() -> None:
    # What JavaScript makes of "Be nice 😀".slice(0, 9).
    cut = '{"type":"session.update","session":{"instructions":"Be nice \\ud83d"}}'
    [(text, [change])] = override([cut], {"session.voice": "cedar é"})
    assert json.loads(text.encode())["session"] == {"instructions": "Be nice \ud83d", "voice": "cedar é"}
    assert change.after == '"cedar é"'
    taken, [gone] = unset(text, ["session.instructions"])
    assert gone.before.encode() == b'"Be nice \\ud83d"'
    assert "cedar é" in taken
