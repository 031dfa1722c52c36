"""Cassettes of WebSocket sessions in YAML: what a test recorded becomes a recording."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from capture.importers.cassette import read_cassette
from capture.importers.importing import FileImport
from capture.importers.source import Item, SourceMessage, Unreadable
from tests.capture.importers.conftest import Imported, contents

CASSETTE = """\
version: 1
interactions:
- kind: message
  direction: received
  data:
    type: session.created
    event_id: event_1
    session:
      id: sess_1
      model: gpt-realtime
      instructions: You are helpful, even where a line is folded as
        this one is.
      max_output_tokens: inf
      prompt: null
      expires: 2026-07-24
- kind: message
  direction: sent
  data:
    type: response.create
- kind: close
  code: 1000
  reason: done
  ok: true
"""


def items_of(text: str) -> list[Item]:
    items: list[Item] = []
    for found in read_cassette(text.encode()):
        items += [found] if isinstance(found, Unreadable) else found.items()
    return items


def test_a_cassette_becomes_a_recording(imported: Callable[..., list[Imported]]) -> None:
    ((session, messages),) = imported(CASSETTE, "test_turn.yaml")
    assert [(message.sender, message.type) for message in messages if message.kind == "event"] == [
        ("server", "session.created"),
        ("client", "response.create"),
    ]
    created = json.loads(contents(messages)[0])
    assert created["session"]["instructions"] == "You are helpful, even where a line is folded as this one is."
    # What is no number or date in JSON stays the text that it was.
    assert (
        created["session"] | {"max_output_tokens": "inf", "prompt": None, "expires": "2026-07-24"} == created["session"]
    )
    assert (session["role"], session["close_code"], session["close_reason"]) == ("imported", 1000, "done")
    assert (session["model_echoed"], session["server_session_id"]) == ("gpt-realtime", "sess_1")


TEXTS = st.text(st.characters(codec="utf-8"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)
    )
)
def test_what_was_written_as_yaml_comes_back_as_it_was(value: object) -> None:
    event = {"type": "response.create", "metadata": value}
    text = yaml.safe_dump({"interactions": [{"direction": "sent", "data": event}]})
    ((found),) = items_of(text)
    assert isinstance(found, SourceMessage)
    assert (found.sender, json.loads(found.content)) == ("client", event)


@pytest.mark.parametrize("text", ["no", "on", "Yes", "=", "<<", "1:30", "017", "1_000", "0x1f", "1e5", "2026-07-24"])
def test_what_is_text_in_one_version_of_yaml_stays_text(text: str) -> None:
    ((found),) = items_of(f"interactions:\n- {{direction: sent, data: {{type: a.b, said: {text}}}}}\n")
    assert isinstance(found, SourceMessage)
    assert json.loads(found.content)["said"] == text


def test_numbers_with_colons_take_no_time() -> None:
    # As one number to the base of 60 this takes minutes.
    ((found),) = items_of(f"interactions:\n- {{direction: sent, data: {{type: a.b, x: 1{':59' * 1_000_000}}}}}\n")
    assert isinstance(found, SourceMessage)


def test_a_cassette_may_be_json() -> None:
    event = {"type": "a.b", "said": "\N{GRINNING FACE}\x85", "size": 1.5}
    ((found),) = items_of(json.dumps({"interactions": [{"direction": "sent", "data": event}]}, indent="\t"))
    assert isinstance(found, SourceMessage)
    assert json.loads(found.content) == event


def test_json_nested_too_deeply_is_named_as_in_yaml() -> None:
    deep = (
        '{"interactions": [{"direction": "sent", "data": {"type": "a.b", "x": ' + "[" * 100_000 + "]" * 100_000 + "}}]}"
    )
    [unreadable] = items_of(deep)
    assert isinstance(unreadable, Unreadable)


def test_what_cannot_be_read_is_named_by_its_place() -> None:
    text = "interactions:\n- {direction: sent, data: !!binary aGVsbG8=}\n- {direction: sent, data: {type: a.b}}\n"
    lost, read = items_of(text)
    assert lost == Unreadable("interaction 1", "it is no JSON object that can be read")
    assert isinstance(read, SourceMessage)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("interactions: [\n", "it is no YAML that can be read (line 2)"),
        ("version: 1\n", "it has no list of interactions"),
        ("just a text", "it has no list of interactions"),
        ("interactions:\n- &a {data: {type: a.b}}\n- *a\n", "it uses an alias (line 3): write out what it stands for"),
        ("interactions: " + "[" * 300, "it is nested too deeply to be read"),
        ("interactions: [!!python/object/apply:os.getcwd []]", "it is no YAML that can be read (line 1)"),
        ("interactions: [\x00]", "it is no YAML that can be read"),
        ("interactions: []\n---\ninteractions: []\n", "it holds several documents: make a file of each"),
        ("interactions: [" + "1," * 2_000_000 + "]", "it holds more than 2,000,000 values"),
    ],
)
def test_of_a_cassette_that_cannot_be_read_it_is_said_why(text: str, reason: str) -> None:
    assert items_of(text) == [Unreadable("the cassette", reason)]


def test_of_recorded_http_there_is_nothing_to_import(import_text: Callable[..., FileImport]) -> None:
    vcr = "interactions:\n- request: {method: GET, uri: 'http://h/'}\n  response: {status: {code: 200}}\nversion: 1\n"
    problem = import_text(vcr, "test_http.yaml").problem or ""
    assert problem.endswith(": of a cassette, interactions with a direction and data are imported")


def test_fixtures_written_as_cassettes_read_as_the_lines_do(
    shared: Path, imported: Callable[..., list[Imported]]
) -> None:
    for path in sorted((shared / "fixtures").glob("*.jsonl")):
        lines = path.read_text("utf-8").splitlines()
        cassette = yaml.dump(
            {"version": 1, "interactions": [json.loads(line) for line in lines]},
            Dumper=yaml.CSafeDumper,
            sort_keys=False,
        )
        ((_, of_cassette),) = imported(cassette, f"{path.stem}.yaml")
        ((_, of_lines),) = imported("\n".join(lines), path.name)
        assert [json.loads(text) for text in contents(of_cassette)] == [json.loads(text) for text in contents(of_lines)]
