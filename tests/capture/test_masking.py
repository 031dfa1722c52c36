"""What `--redact` takes out, and what it leaves: lengths, structure, everything else."""

from __future__ import annotations

import json
from typing import Any

import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.audio import PCM16_24K, AudioFormat
from capture.errors import UsageProblem
from capture.literals import apply_edits
from capture.masking import Masks, clean_fact, masks_of
from capture.recording.facts import HandshakeRequest, HandshakeResponse, ReplayFacts, Rewrite, SessionEnd, SessionFacts

SAID = "My name is Zoë 💙, call 555-1234."
ULAW = AudioFormat("audio/pcmu", 8000)


def masked(rules: list[str], event: dict[str, Any] | str, audio_format: AudioFormat = PCM16_24K) -> str:
    text = event if isinstance(event, str) else json.dumps(event)
    event_type = json.loads(text).get("type")
    return apply_edits(text, masks_of(rules).message_edits(text, event_type, audio_format))


SPEECH: list[dict[str, Any]] = [
    {"type": "conversation.item.input_audio_transcription.delta", "delta": SAID},
    {"type": "conversation.item.input_audio_transcription.completed", "transcript": SAID},
    {"type": "conversation.item.input_audio_transcription.segment", "text": SAID},
    {"type": "response.output_audio_transcript.delta", "delta": SAID},
    {"type": "response.output_audio_transcript.done", "transcript": SAID},
    {"type": "response.audio_transcript.delta", "delta": SAID},
    {"type": "response.output_text.delta", "delta": SAID},
    {"type": "response.text.done", "text": SAID},
    {"type": "response.function_call_arguments.delta", "delta": SAID},
    {"type": "response.function_call_arguments.done", "name": "find", "arguments": SAID},
    {"type": "conversation.item.create", "item": {"content": [{"type": "input_text", "text": SAID}]}},
    {"type": "conversation.item.create", "item": {"type": "function_call_output", "output": SAID}},
    {"type": "conversation.item.retrieved", "item": {"content": [{"type": "input_audio", "transcript": SAID}]}},
    {"type": "response.content_part.done", "part": {"type": "audio", "transcript": SAID}},
    {"type": "response.done", "response": {"output": [{"content": [{"type": "output_audio", "transcript": SAID}]}]}},
    {"type": "response.create", "response": {"input": [{"content": [{"type": "input_text", "text": SAID}]}]}},
    {"type": "transcription.delta", "delta": SAID},
    {"type": "an event of next year", "transcript": SAID},
]


@pytest.mark.parametrize("event", SPEECH, ids=lambda event: event["type"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_speech_goes_and_its_length_stays(event: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(event, ensure_ascii=ascii_only)
    quoted = json.dumps(SAID, ensure_ascii=ascii_only)
    assert masked(["transcripts"], text) == text.replace(quoted, f'"{"x" * len(SAID)}"')


@pytest.mark.parametrize(
    "event",
    [
        {"type": "session.update", "session": {"instructions": SAID, "tools": [{"name": "f", "description": SAID}]}},
        {"type": "session.updated", "session": {"audio": {"input": {"transcription": {"prompt": SAID}}}}},
        {"type": "response.create", "response": {"instructions": SAID, "metadata": {"text": SAID}}},
        {"type": "error", "error": {"type": "server_error", "message": SAID}},
        {"type": "response.output_audio.delta", "delta": "AAAA", "item_id": "item_1"},
    ],
    ids=lambda event: event["type"],
)
def test_configuration_errors_and_audio_are_no_speech(event: dict[str, Any]) -> None:
    assert masked(["transcripts"], event) == json.dumps(event)


def test_the_tokens_of_a_transcript_go_with_it_and_their_probabilities_stay() -> None:
    probabilities = [{"token": "Zoë", "logprob": -0.25, "bytes": [90, 111, 195, 171]}]
    event = {"type": "conversation.item.input_audio_transcription.completed", "logprobs": probabilities}
    assert json.loads(masked(["transcripts"], event))["logprobs"] == [
        {"token": "xxx", "logprob": -0.25, "bytes": [0, 0, 0, 0]}
    ]


@pytest.mark.parametrize(("audio_format", "zero"), [(PCM16_24K, b"\0"), (ULAW, b"\xff")])
def test_audio_that_is_left_in_a_message_becomes_silence_of_its_length(audio_format: AudioFormat, zero: bytes) -> None:
    spoken = bytes(range(1, 100))
    event = {"type": "conversation.item.create", "item": {"content": [{"audio": pybase64.b64encode(spoken).decode()}]}}
    [part] = json.loads(masked(["audio"], event, audio_format))["item"]["content"]
    assert pybase64.b64decode(part["audio"]) == zero * len(spoken)


def test_a_pattern_is_found_in_strings_however_they_are_spelled_in_keys_and_in_numbers() -> None:
    text = '{"t":"Zo\\u00eb and Zoë","Zoë":[5551234,-12.5],"n":"call 5551234"}'
    assert masked(["/Zoë/", r"/\d{4,}/"], text) == '{"t":"xxx and xxx","xxx":[1111111,-12.5],"n":"call xxxxxxx"}'


def test_a_pattern_may_reach_over_the_structure_which_stays() -> None:
    text = '{"type":"a","name":"Zoë","n":12}'
    assert masked(['/"name":"[^"]*","n":12/'], text) == '{"type":"a","xxxx":"xxx","x":11}'


def test_a_pattern_does_not_find_the_digits_of_an_escape() -> None:
    text = '{"t":"\\u0415 \\u0416 1234"}'
    assert masked([r"/\d{4}/"], text) == '{"t":"\\u0415 \\u0416 xxxx"}'


def test_a_pattern_does_not_search_base64() -> None:
    event = {"type": "response.output_audio.delta", "delta": "AAAA1234"}
    assert masked([r"/\d{4}/"], event) == json.dumps(event)


@pytest.mark.parametrize(
    ("rule", "said", "left"),
    [
        ("emails", "write to zoe.b+x@mail.example.org, please", "write to xxxxxxxxxxxxxxxxxxxxxxxx, please"),
        ("phones", "call +1 (555) 123-4567 today", "call xxxxxxxxxxxxxxxxx today"),
        ("cards", "it is 4111 1111 1111 1111.", "it is xxxxxxxxxxxxxxxxxxx."),
        ("phones", "item_0123456789 at 10.5", "item_0123456789 at 10.5"),
        ("emails", "me @ home", "me @ home"),
    ],
)
def test_named_patterns(rule: str, said: str, left: str) -> None:
    assert masks_of([rule]).plain(said) == left
    assert masked([rule], {"a": said, "expires_at": 1767225600}) == json.dumps({"a": left, "expires_at": 1767225600})


def test_bytes_keep_their_length() -> None:
    spoken = "Zoë says \udcff 5551234".encode("utf-8", "surrogateescape")
    assert masks_of(["transcripts"]).content(spoken) == masks_of(["audio"]).content(spoken) == bytes(len(spoken))
    assert masks_of(["/Zoë/"]).content(spoken) == b"xxxx says \xff 5551234"


def test_the_columns_of_a_row_lose_matches_and_keep_what_is_ours() -> None:
    row = {"kind": "event", "error_message": "no Zoë", "failure_keys": ["a|Zoë"], "tags": {"who": "Zoë"}, "seq": 3}
    assert masks_of(["/Zoë|event/"]).columns(row) == {
        "kind": "event",
        "error_message": "no xxx",
        "failure_keys": ["a|xxx"],
        "tags": {"who": "xxx"},
        "seq": 3,
    }


@pytest.mark.parametrize("rule", ["transcript", "/", "//", "/(/", "Zoë"])
def test_a_rule_that_is_none_says_what_to_write(rule: str) -> None:
    with pytest.raises(UsageProblem, match="--redact"):
        masks_of([rule])


def test_heads_tags_and_reasons_are_clean_before_they_are_written() -> None:
    masks = masks_of(["/Zoë/"])
    key = "sk-planted-0123456789abcdef"
    facts = SessionFacts(
        session_id="s",
        started_at_us=0,
        url="wss://h/v1?user=Zo%C3%AB&who=Zoë",
        tags={"caller": "Zoë", "note": key},
        replay=ReplayFacts(
            run_id="r",
            replay_of="s",
            cell="c",
            trial=1,
            overrides='{"session.tools":[{"type":"mcp","headers":{"X-Crm":"s3cret"}}]}',
        ),
    )
    cleaned = clean_fact(facts, masks)
    assert isinstance(cleaned, SessionFacts)
    assert (cleaned.url, cleaned.tags) == ("wss://h/v1?user=xxx&who=xxx", {"caller": "xxx", "note": "[redacted]"})
    assert cleaned.replay is not None
    assert "s3cret" not in cleaned.replay.overrides
    request = HandshakeRequest(offset_ns=0, method="GET", path="/?user=Zo%C3%AB", headers=[("X-User", "Zoë")])
    assert clean_fact(request, masks) == HandshakeRequest(
        offset_ns=0, method="GET", path="/?user=xxx", headers=[("X-User", "xxx")]
    )
    framing = HandshakeResponse(offset_ns=0, status=101, headers=[("Sec-WebSocket-Extensions", "permessage-deflate")])
    assert clean_fact(framing, masks_of(["/deflate/"])) == framing
    assert clean_fact(SessionEnd(offset_ns=0, end_reason=f"bad key {key}"), masks) == SessionEnd(
        offset_ns=0, end_reason="bad key [redacted]"
    )
    override = Rewrite(
        offset_ns=0,
        step=0,
        kind="override",
        path="session.tools",
        before="null",
        after='[{"authorization":"s3cret"}]',
    )
    assert "s3cret" not in str(clean_fact(override))


# --- properties -----------------------------------------------------------------------------------------------

names = st.sampled_from(["type", "text", "transcript", "delta", "content", "item", "output", "logprobs", "token", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='aZë💙1 "\\\n', max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
messages = st.dictionaries(names, values, max_size=4)
rule_lists = st.lists(st.sampled_from(["transcripts", "audio", "/[Zë]+/", "/1+/", "emails"]), max_size=4)


def shape(value: Any) -> Any:
    """Tell a value's structure: lengths of strings, kinds of everything else; keys in pairs, as they may collide."""
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    if isinstance(value, tuple):
        return (shape(value[0]), shape(value[1]))
    return len(value) if isinstance(value, str) else type(value)


def pairs_of(text: str) -> Any:
    return json.loads(text, object_pairs_hook=lambda pairs: [tuple(pair) for pair in pairs])


@given(messages, rule_lists, st.booleans())
def test_structure_and_lengths_stay_and_masking_again_changes_nothing(
    message: dict[str, Any], rules: list[str], ascii_only: bool
) -> None:
    text = json.dumps(message, ensure_ascii=ascii_only)
    once = masked_text(masks_of(rules), text)
    assert shape(pairs_of(once)) == shape(pairs_of(text))
    assert masked_text(masks_of(rules), once) == once
    if not rules:
        assert once == text


@given(st.text(alphabet='aZë💙\\"\n', min_size=1), st.sampled_from(SPEECH), st.booleans())
def test_nothing_of_what_was_said_is_left(said: str, event: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(event, ensure_ascii=ascii_only).replace(
        json.dumps(SAID, ensure_ascii=ascii_only), json.dumps(said, ensure_ascii=ascii_only)
    )
    assert masked_text(masks_of(["transcripts"]), text) == json.dumps(event).replace(
        json.dumps(SAID), f'"{"x" * len(said)}"'
    )


def masked_text(masks: Masks, text: str) -> str:
    return apply_edits(text, masks.message_edits(text, None, PCM16_24K))
