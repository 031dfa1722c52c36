from capture.audio import PCM16_24K
from replay.simulator.session.conversation import Item
from replay.simulator.session.usage import TokenCount, count_input, count_output, show_usage


def spoken(role: str, duration_ms: int) -> Item:
    content = {"id": "a", "type": "message", "role": role, "content": [{"type": "input_audio", "transcript": None}]}
    return Item(content, bytearray(PCM16_24K.silence(duration_ms)))


def test_input_is_the_instructions_and_the_conversation() -> None:
    written = Item({"id": "b", "type": "message", "content": [{"type": "input_text", "text": "Is it sunny?"}]})
    called = Item({"id": "c", "type": "function_call", "arguments": "city"})

    counted = count_input("Be brief.", [spoken("user", 2600), spoken("assistant", 1000), written, called])

    assert counted == TokenCount(text=3 + 4 + 1, audio=26 + 20)


def test_output_audio_costs_a_token_each_50_ms() -> None:
    assert count_output(14, 3850) == TokenCount(text=14, audio=77)


def test_totals_add_up() -> None:
    usage = show_usage(TokenCount(14, 26), TokenCount(29, 77))

    assert (usage["total_tokens"], usage["input_tokens"], usage["output_tokens"]) == (146, 40, 106)
    assert usage["output_token_details"] == {"text_tokens": 29, "audio_tokens": 77}
