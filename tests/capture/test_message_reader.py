from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.message_reader import MessageReader, ReadText, read_text
from capture.realtime.audio_formats import audio_field
from capture.recording.facts import Sender
from capture.recording.payload import AudioCut, restore_audio

APPEND = '{"type":"input_audio_buffer.append","audio":"%s"}'
DELTA = '{"type":"response.output_audio.delta","event_id":"event_%d","item_id":"item_1","delta":"%s"}'


def read(reader: MessageReader, text: str) -> tuple[ReadText, AudioCut | None]:
    found = reader.read(text.encode())
    assert found is not None
    return found


def restored(found: ReadText, cut: AudioCut | None) -> str:
    return found.text if cut is None else restore_audio(found.text, cut.at, cut.audio)


def encoded(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


def test_appends_give_their_audio_one_after_another() -> None:
    reader = MessageReader("client")
    for audio in (b"one", b"four", b"\x00" * 960):
        found, cut = read(reader, APPEND % encoded(audio))
        assert (found.text, found.track) == (APPEND % "", "client")
        assert cut == AudioCut(45, audio)
        assert found.columns["type"] == "input_audio_buffer.append"


def test_deltas_have_headers_of_their_own() -> None:
    reader = MessageReader("server")
    for number in range(3):
        found, cut = read(reader, DELTA % (number, encoded(b"abc")))
        assert found.header is not None
        assert (found.header.event_id, found.header.item_id) == (f"event_{number}", "item_1")
        assert (found.track, cut and cut.audio) == ("server", b"abc")


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"input_audio_buffer.append","audio":"AAF="}',
        '{"type":"input_audio_buffer.append","audio":"AAE"}',
        '{"type":"input_audio_buffer.append","audio":""}',
        '{"type":"input_audio_buffer.append","audio":"AAEC","audio":7}',
        '{"type":"input_audio_buffer.append","audio":7}',
        '{"type":"input_audio_buffer.append","audio":"AAEC"',
        '{"type":"input_audio_buffer.append","meta":{"audio":"AAEC"}}',
        '{"type":"session.update","audio":"AAEC"}',
        '{"audio":"AAEC"}',
        '["audio":"AAEC"]',
        '"audio":"AAEC"',
    ],
)
def test_what_is_no_audio_of_the_message_stays_in_it(text: str) -> None:
    reader = MessageReader("client")
    for _ in range(2):
        read(reader, APPEND % "AAEC")
        found, cut = read(reader, text)
        assert (found.text, found.track, cut) == (text, None, None)


def test_the_last_of_two_fields_is_the_audio_whatever_went_before() -> None:
    twice = '{"type":"input_audio_buffer.append","audio":"%s","audio":"%s"}'
    reader = MessageReader("client")
    for first in ("AAEC", "BBBB", "AAEC"):
        _, cut = read(reader, twice % (first, "AAEC"))
        assert cut is not None
        assert cut.audio == b"\x00\x01\x02"


@pytest.mark.parametrize(
    "text",
    [
        r'{"type":"input_audio_buffer.append","\u0061udio":"AAEC","x":"audio"}',
        r'{"type":"input_audio_buffer.append","x":"\"audio\":\"BBBB\"","audio":"AAEC"}',
        '{"type":"input_audio_buffer.append","x":["audio"],"audio" : "AAEC"}',
        '{"type":"input_audio_buffer.append","x":{"audio":"BBBB"},"audio":"AAEC"}',
        '{"audio":"AAEC","é":"𝄞","type":"input_audio_buffer.append"}',
    ],
)
def test_other_spellings_are_read_all_the_same(text: str) -> None:
    reader = MessageReader("client")
    for _ in range(2):
        found, cut = read(reader, text)
        assert (found.track, cut and cut.audio) == ("client", b"\x00\x01\x02")
        assert restored(found, cut) == text


def test_bytes_that_are_no_text_are_not_read() -> None:
    reader = MessageReader("client")
    assert reader.read(b'{"type":"input_audio_buffer.append","x":"\xff","audio":"AAEC"}') is None
    assert reader.read(b"\xff") is None


def test_secrets_are_found_beside_audio() -> None:
    text = '{"type":"input_audio_buffer.append","api_key":"0123456789","audio":"%s"}'
    reader = MessageReader("client")
    for audio in ("AAEC", "AAED"):
        found, _ = read(reader, text % audio)
        assert [found.text[start:end] for start, end, _ in found.secrets] == ["0123456789"]


def test_keys_that_endpoints_repeat_are_in_no_column() -> None:
    key = "sk-0123456789abcdefghij"
    found = read_text(json.dumps({"type": "error", "error": {"message": f"Incorrect API key provided: {key}"}}))
    assert key not in str(found.columns)
    assert found.secrets


def test_text_that_is_no_json_has_no_columns() -> None:
    assert read_text("hello") == ReadText("hello", None, {}, [])


KEYS = st.sampled_from(("type", "audio", "delta", "item_id", "x"))
TYPES = st.sampled_from(("input_audio_buffer.append", "response.output_audio.delta", "session.update"))
STRINGS = st.one_of(TYPES, KEYS, st.text(max_size=3), st.binary(max_size=9).map(encoded))
VALUES = st.recursive(
    STRINGS | st.integers(0, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def spelled(pairs: list[tuple[str, Any]], ensure_ascii: bool) -> str:
    """Spell an object in which a key may stand twice."""
    inside = (f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=ensure_ascii)}" for key, value in pairs)
    return "{" + ", ".join(inside) + "}"


OBJECTS = st.builds(
    lambda event_type, pairs, ascii_only: spelled([("type", event_type), *pairs], ascii_only),
    TYPES,
    st.lists(st.tuples(KEYS, VALUES), max_size=4),
    st.booleans(),
)


@given(sender=st.sampled_from(("client", "server")), texts=st.lists(OBJECTS | st.text(max_size=9), max_size=6))
def test_messages_are_read_as_a_parser_reads_them(sender: Sender, texts: list[str]) -> None:
    reader = MessageReader(sender)
    for text in [*texts, *texts]:
        found, cut = read(reader, text)
        assert restored(found, cut) == text
        assert found.columns == read_text(text).columns
        field = audio_field(sender, found.header.type if found.header else None, text)
        if cut is not None:
            assert field is not None
            assert (found.track, encoded(cut.audio)) == (field.track, field.value)
