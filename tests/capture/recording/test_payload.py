from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.recording.payload import AudioCut, AudioSurround, audio_within, cut_audio, find_surround, restore_audio


def test_audio_is_cut_out_of_its_message() -> None:
    payload, cut = cut_audio('{"type":"input_audio_buffer.append","audio":"AAEC"}', "AAEC")
    assert payload == '{"type":"input_audio_buffer.append","audio":""}'
    assert cut == AudioCut(at=45, audio=b"\x00\x01\x02")
    assert restore_audio(payload, cut.at, cut.audio) == '{"type":"input_audio_buffer.append","audio":"AAEC"}'


def test_the_place_is_counted_in_unicode_characters() -> None:
    payload, cut = cut_audio('{"𝄞é":1,"audio":"AAEC"}', "AAEC")
    assert cut is not None
    assert payload[cut.at - 1 : cut.at + 1] == '""'
    assert cut.at == len('{"𝄞é":1,"audio":"')


@pytest.mark.parametrize(
    ("literal", "value", "why"),
    [
        ('"AAEC\\/w=="', "AAEC/w==", "an escaped slash"),
        ('"\\u0041AEC"', "AAEC", "an escaped letter"),
        ('"AAE"', "AAE", "no padding"),
        ('"AAE=="', "AAE==", "too much padding"),
        ('"AAF="', "AAF=", "stray bits behind the last byte"),
        ('"AA EC"', "AA EC", "a foreign character"),
        ('"AA\\nEC"', "AA\nEC", "a line break"),
        ('"AAÄC"', "AAÄC", "a letter that is not ASCII"),
        ('"-_-_"', "-_-_", "the URL-safe alphabet"),
        ('""', "", "no audio"),
    ],
)
def test_what_would_not_come_back_the_same_stays(literal: str, value: str, why: str) -> None:
    text = '{"audio":' + literal + "}"
    assert cut_audio(text, value) == (text, None), why


def test_a_value_that_is_also_a_key_is_cut_where_it_is_a_value() -> None:
    payload, cut = cut_audio('{"type" :1,"audio":"type"}', "type")
    assert payload == '{"type" :1,"audio":""}'
    assert cut is not None
    assert restore_audio(payload, cut.at, cut.audio) == '{"type" :1,"audio":"type"}'


def test_a_value_that_stands_only_as_a_key_stays() -> None:
    assert cut_audio('{"type":1}', "type") == ('{"type":1}', None)


@given(
    before=st.text(),
    audio=st.binary(max_size=300),
    after=st.text(),
    others=st.lists(st.binary(max_size=3).map(lambda value: base64.b64encode(value).decode())),
)
def test_every_cut_can_be_undone(before: str, audio: bytes, after: str, others: list[str]) -> None:
    value = base64.b64encode(audio).decode()
    text = json.dumps({"before": before, "others": others, "audio": value, "after": after}, ensure_ascii=False)
    payload, cut = cut_audio(text, value)
    assert (cut is None) == (not audio)
    assert text == (restore_audio(payload, cut.at, cut.audio) if cut else payload)


@given(text=st.text(), value=st.text(alphabet="AB=/+ ", max_size=8))
def test_no_text_and_no_value_are_ever_damaged(text: str, value: str) -> None:
    whole = f'{text}"{value}"{text}'
    payload, cut = cut_audio(whole, value)
    assert whole == (restore_audio(payload, cut.at, cut.audio) if cut else payload)


def test_audio_is_found_without_parsing() -> None:
    content = '{"é":1, "audio" : "AAEC", "x":2}'.encode()
    surround = find_surround(content, "audio")
    assert surround == AudioSurround('{"é":1, "audio" : "'.encode(), b'", "x":2}')
    assert audio_within(content, surround) == b"\x00\x01\x02"
    assert audio_within(content.replace(b"AAEC", b"AAED"), surround) == b"\x00\x01\x03"


@pytest.mark.parametrize(
    "content",
    [
        b'{"delta":"AAEC"}',
        b'{"audio":["AAEC"]}',
        b'{"audio":"AAEC","audio":"AAEC"}',
        b'{"x":"audio","audio":"AAEC"}',
        b'{"x":"\\"","audio":"AAEC"}',
        b'{"audio":"AAEC","x":"\\""}',
        b'{"audio":"AAEC',
    ],
)
def test_what_only_a_parser_can_find_is_left_to_it(content: bytes) -> None:
    assert find_surround(content, "audio") is None


@pytest.mark.parametrize("value", [b"", b"AAE", b"AAF=", b"AA EC", b'AAEC","x":"AAEC', b"AAEC\\n", b"\xc4AEC"])
def test_what_is_within_a_surround_must_come_back_the_same(value: bytes) -> None:
    surround = AudioSurround(b'{"audio":"', b'"}')
    assert audio_within(surround.before + value + surround.behind, surround) is None


def test_a_message_shorter_than_its_surround_is_not_within_it() -> None:
    assert audio_within(b'{"a":"}', AudioSurround(b'{"a":"', b'"}')) is None
