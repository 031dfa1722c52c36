import base64
from typing import Any

from capture.audio import PCM16_24K
from replay.simulator.ids import IdSource
from replay.simulator.protocol.configuration import default_session
from replay.simulator.session.items import make_item

SESSION: dict[str, Any] = default_session("sess_1", "gpt-realtime", 0)


def test_a_message_keeps_the_client_s_id_or_gets_one() -> None:
    asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}

    assert make_item({"id": "mine", **asked}, IdSource(0, 1), SESSION).content == {
        "id": "mine",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
    }
    assert make_item(asked, IdSource(0, 1), SESSION).item_id == IdSource(0, 1).make("item")


def test_audio_is_kept_but_not_shown() -> None:
    speech = b"\x01\x00" * 2400
    part = {"type": "input_audio", "audio": base64.b64encode(speech).decode()}

    item = make_item({"type": "message", "role": "user", "content": [part]}, IdSource(0, 1), SESSION)

    assert item.content["content"] == [{"type": "input_audio", "transcript": None}]
    assert (bytes(item.audio), item.audio_format, item.audio_ms) == (speech, PCM16_24K, 100)


def test_a_function_call_gets_a_call_id_where_it_has_none() -> None:
    asked = {"type": "function_call", "name": "get_weather", "arguments": "{}"}

    assert make_item({**asked, "call_id": "call_1"}, IdSource(0, 1), SESSION).content["call_id"] == "call_1"
    assert make_item(asked, IdSource(0, 1), SESSION).content["call_id"].startswith("call_")


def test_a_tool_s_output_is_shown_as_it_came() -> None:
    asked = {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"}

    assert make_item({"id": "a", **asked}, IdSource(0, 1), SESSION).content == {"id": "a", **asked}
