from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.importers.jsonl import read_jsonl
from capture.importers.source import Item, SourceMessage, SourceSession, Unreadable
from tests.capture.importers.conftest import CREATED, UPDATE, Imported, contents, dumped

Json = dict[str, Any]


def sessions_of(*lines: Json | str | bytes) -> Iterator[SourceSession | Unreadable]:
    encoded = [
        line if isinstance(line, bytes) else line.encode() if isinstance(line, str) else json.dumps(line).encode()
        for line in lines
    ]
    return read_jsonl(b"\n".join(encoded) + b"\n")


def items_of(*lines: Json | str | bytes) -> list[Item]:
    items: list[Item] = []
    for found in sessions_of(*lines):
        items += [found] if isinstance(found, Unreadable) else found.items()
    return items


def only_message(line: Json | str | bytes) -> SourceMessage:
    (item,) = items_of(line)
    assert isinstance(item, SourceMessage), item
    return item


@pytest.mark.parametrize("word", ["sent", "send", "out", "outgoing", "client", "tx", "→", "->", "SENT"])
@pytest.mark.parametrize("key", ["dir", "direction", "sender", "from", "type"])
def test_words_for_the_client(key: str, word: str) -> None:
    assert only_message({key: word, "event": UPDATE}).sender == "client"


@pytest.mark.parametrize("word", ["received", "receive", "recv", "in", "incoming", "server", "rx", "←", "<-", "In"])
@pytest.mark.parametrize("key", ["event", "data", "message", "payload"])
def test_words_for_the_server(key: str, word: str) -> None:
    assert only_message({"t": 1, "dir": word, key: UPDATE}).sender == "server"


def test_the_sender_as_the_event_s_key_or_as_a_flag() -> None:
    assert only_message({"sent": UPDATE}).sender == "client"
    assert only_message({"server": CREATED}).content.decode() == dumped(CREATED)
    assert only_message({"from_client": False, "data": {"type": "anything"}}).sender == "server"


def test_a_text_is_kept_byte_for_byte() -> None:
    text = '{ "type" : "response.create",\n  "x": 1.50e3, "n": "\\u00e9 é" }'
    assert only_message({"dir": "sent", "data": text}).content.decode() == text


def test_an_object_is_kept_as_it_is_spelled_without_blanks_between_tokens() -> None:
    line = b'{"dir": "sent", "event": {"type": "response.create", "b": 1.50E3, "a": "x \\u00e9", "b": [1, 2]}}'
    assert only_message(line).content == b'{"type":"response.create","b":1.50E3,"a":"x \\u00e9","b":[1,2]}'


def test_a_bare_event_is_its_line() -> None:
    line = b'  {"type": "input_audio_buffer.commit", "event_id": "e 1"}'
    message = only_message(line)
    assert (message.sender, message.content) == ("client", line.strip())


def test_what_an_event_itself_calls_elapsed_is_no_time_of_the_line() -> None:
    event = {"type": "session.output_audio.delta", "delta": "AAAA", "elapsed_ms": 200}
    assert only_message(event).at is None
    assert only_message({"dir": "in", "event": event, "elapsed_ms": 300}).at == (300_000_000, False)
    assert only_message({"timestamp": 1.5, **event}).at == (1_500_000_000, False)


def test_an_event_of_unknown_type_without_a_direction_is_named() -> None:
    (item,) = items_of({"type": "vendor.thing"})
    assert item == Unreadable("line 1", "it has no direction, and its type does not tell who sent it")


def test_text_that_is_no_json_is_a_message_where_the_direction_is_told() -> None:
    assert only_message({"dir": "in", "data": "hello"}).content == b"hello"
    assert only_message({"dir": "in", "data": [1, 2]}).content == b"[1,2]"


def test_what_is_no_message_is_passed_over_and_nothing_is_lost() -> None:
    first, second = items_of({"level": "info", "text": "connected"}, {"dir": "sent", "event": UPDATE})
    assert first == Unreadable("line 1", "it holds no event", is_lost=False)
    assert isinstance(second, SourceMessage)


def test_an_array_of_messages_is_read_as_well() -> None:
    text = json.dumps([{"dir": "sent", "event": UPDATE}, {"dir": "in", "event": CREATED}], indent=2).encode()
    (session,) = read_jsonl(text)
    assert isinstance(session, SourceSession)
    assert [item.sender for item in session.items() if isinstance(item, SourceMessage)] == ["client", "server"]


SENT, RECEIVED = {"dir": "sent", "event": UPDATE}, {"dir": "in", "event": CREATED}


def placed(*lines: Json | list[Json] | str) -> list[str]:
    """Read lines; gives of each item who sent it, or where it stands that cannot be read."""
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return [item.sender if isinstance(item, SourceMessage) else item.place for item in items_of(*text)]


def test_an_array_a_line_is_read_to_the_last() -> None:
    assert placed([SENT, RECEIVED], [RECEIVED, SENT], SENT) == ["client", "server", "server", "client", "client"]
    assert placed([SENT, RECEIVED], "", "[]", [RECEIVED]) == ["client", "server", "server"]


def test_arrays_of_several_lines_behind_each_other_are_read_to_the_last() -> None:
    untold = {"event": {"type": "of nobody"}}
    first, second = (json.dumps([SENT, each], indent=0) for each in (RECEIVED, untold))
    lines = f"{first}\n{second}".splitlines()
    untold_line, behind = lines.index('"type": "of nobody"') - 1, len(lines) + 1
    assert placed(first, second, "{broken") == ["client", "server", "client", f"line {untold_line}", f"line {behind}"]


def test_a_line_that_begins_with_a_bracket_and_is_no_array_is_named_and_no_more() -> None:
    for line in ("[2026-02-12 10:00:00] starting call", "[INFO starting", "[] []", '["'):
        assert placed(line, SENT, RECEIVED, line) == ["line 1", "client", "server", "line 4"], line


def test_an_array_that_is_cut_off_is_read_up_to_the_cut() -> None:
    assert placed(json.dumps([SENT, RECEIVED, SENT])[:-5]) == ["client", "server", "line 3"]
    assert placed(json.dumps([SENT, RECEIVED, SENT], indent=2)[:-5]) == ["client", "server", "line 3"]
    assert placed(SENT, json.dumps([SENT, RECEIVED, SENT])[:-5], SENT) == [
        *("client", "client", "server", "line 2", "client")
    ]


def test_what_stands_behind_an_array_in_its_line_is_named() -> None:
    assert placed(json.dumps([SENT, RECEIVED]) + "]", SENT) == ["client", "server", "line 1", "client"]


def test_sessions_are_told_apart_by_a_field() -> None:
    lines = [{"session_id": name, "dir": "in", "event": CREATED | {"n": number}} for number, name in enumerate("abab")]
    first, second = sessions_of(*lines, b"{broken", {"session_id": "a", "dir": "in", "event": CREATED})
    assert isinstance(first, SourceSession)
    assert isinstance(second, SourceSession)
    assert (first.key, second.key) == ("a", "b")
    # Whose the broken line was nobody knows: it goes with the line before it.
    assert [type(item) for item in second.items()] == [SourceMessage, SourceMessage, Unreadable]
    assert first.count == 3


def test_a_line_that_tells_the_close() -> None:
    (session,) = sessions_of(
        {"t": 0.0, "dir": "in", "event": CREATED},
        {"t": 1.5, "dir": "in", "kind": "close", "code": 1001, "reason": "Going away"},
    )
    assert isinstance(session, SourceSession)
    *_, closing = session.items()
    assert isinstance(closing, SourceMessage)
    assert (closing.kind, closing.content) == ("close", b"\x03\xe9Going away")
    assert session.end is not None


def test_a_close_without_a_side_is_told_of_the_session(imported: Callable[..., list[Imported]]) -> None:
    lines = [
        {"t": 0.0, "dir": "in", "event": CREATED},
        {"t": 2.0, "type": "closed", "code": 1011, "reason": "keepalive"},
    ]
    ((session, messages),) = imported("\n".join(map(json.dumps, lines)))
    assert (session["close_code"], session["close_reason"], session["closed_by"]) == (1011, "keepalive", None)
    assert session["failure_keys"] == ["close||1011|keepalive"]
    assert (session["complete"], session["duration_ms"], len(messages)) == (True, 2000.0, 1)


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([b'{"dir":"sent","event":{"type":"x"}}', b"[", b"{", b"\xff"]))
)
def test_reading_anything_never_raises(lines: list[bytes]) -> None:
    for found in read_jsonl(b"\n".join(lines)):
        if isinstance(found, SourceSession):
            assert len(list(found.items())) == found.count


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
READABLE = st.builds(
    lambda rest, sender, key: {"dir": sender, key: {"type": "some.event", **rest}},
    st.dictionaries(st.text(), JSON, max_size=3).filter(lambda rest: "type" not in rest),
    st.sampled_from(["sent", "received"]),
    st.sampled_from(["event", "data"]),
)
BROKEN = st.sampled_from(['{"dir": "sent", "event": {"type": "x"', "garbage", '{"dir" "sent"}', "\x00"])


@given(st.lists(READABLE | BROKEN, max_size=8))
def test_every_readable_line_is_there_and_every_broken_one_is_named(lines: list[Json | str]) -> None:
    items = items_of(*lines)
    said = [json.loads(item.content) for item in items if isinstance(item, SourceMessage)]
    assert said == [line.get("event") or line.get("data") for line in lines if isinstance(line, dict)]
    named = [item.place for item in items if isinstance(item, Unreadable)]
    assert named == [f"line {number}" for number, line in enumerate(lines, start=1) if isinstance(line, str)]


@pytest.mark.parametrize(
    ("code", "failure_keys"),
    [
        (1000, []),
        (1011, ["close||1011|keepalive"]),
        # A browser tells this of a connection that it lost, and of one that never stood.
        (1006, ["handshake||unreachable|"]),
    ],
)
def test_a_close_alone_is_of_a_session_that_stood(
    imported: Callable[..., list[Imported]], code: int, failure_keys: list[str]
) -> None:
    ((session, messages),) = imported(dumped({"kind": "close", "code": code, "reason": "keepalive"}))
    assert (messages, session["handshake_status"]) == ([], None)
    assert session["failure_keys"] == failure_keys
    assert session["close_code"] == (None if code == 1006 else code)


def test_times_of_lines_become_offsets(imported: Callable[..., list[Imported]]) -> None:
    lines = [
        {"ts": "2026-02-12T08:30:55.250Z", "dir": "in", "event": CREATED},
        {"ts": "2026-02-12T08:30:55.270Z", "dir": "out", "event": UPDATE},
    ]
    ((session, messages),) = imported("\n".join(map(json.dumps, lines)))
    assert [message.offset_ns for message in messages] == [0, 20_000_000]
    assert session["session_id"].startswith("20260212T083055-")
    assert session["started_at"].isoformat() == "2026-02-12T08:30:55.250000+00:00"
    assert contents(messages) == [dumped(CREATED), dumped(UPDATE)]


def test_what_docker_logs_is_no_har(imported: Callable[..., list[Imported]]) -> None:
    texts = [dumped(event) for event in (UPDATE, CREATED)]
    lines = [
        {"log": f"{text}\n", "stream": "stdout", "time": f"2026-02-12T10:00:0{n}.123456789Z"}
        for n, text in enumerate(texts)
    ]
    [(session, messages)] = imported("\n".join(map(dumped, lines)), "0f3a-json.log")
    assert [message.sender for message in messages] == ["client", "server"]
    assert [message.offset_ns for message in messages] == [0, 10**9]
    assert str(session["started_at"]) == "2026-02-12 10:00:00.123456+00:00"


def test_what_python_s_loggers_and_openai_s_console_call_the_time_and_the_sender(
    imported: Callable[..., list[Imported]],
) -> None:
    strange = {"type": "of.another.vendor"}
    lines = [
        {"asctime": "2026-02-12 10:00:00,123", "source": "client", "message": dumped(strange)},
        {"time": "2026-02-12T10:00:01.123Z", "source": "server", "event": strange},
    ]
    [(_, messages)] = imported("\n".join(map(dumped, lines)))
    assert [(message.sender, message.offset_ns) for message in messages] == [("client", 0), ("server", 10**9)]
