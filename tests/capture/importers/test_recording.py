from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.capture.importers.conftest import CREATED, UPDATE, Imported, contents, dumped

Json = dict[str, Any]


def lines(*messages: tuple[str, Json], step_s: float | None = None, **more: Any) -> str:
    said = []
    for number, (sender, event) in enumerate(messages):
        time = {} if step_s is None else {"t": number * step_s}
        said.append(json.dumps({**time, "dir": sender, "event": event, **more}))
    return "\n".join(said)


CREATE = {"type": "response.create"}
BEGUN = {"type": "response.created", "response": {"id": "resp_1"}}
DONE = {"type": "response.done", "response": {"id": "resp_1", "status": "completed", "usage": {"input_tokens": 5}}}


def test_without_times_the_order_is_kept_and_no_offset_looks_measured(
    imported: Callable[..., list[Imported]],
) -> None:
    ((session, messages),) = imported(lines(("in", CREATED), ("out", UPDATE), ("in", DONE)))
    assert [message.offset_ns for message in messages] == [-3, -2, -1]
    assert [message.row["at"] for message in messages] == [None] * 3
    assert (session["started_at"], session["ended_at"], session["duration_ms"]) == (None, None, None)
    assert contents(messages) == [dumped(CREATED), dumped(UPDATE), dumped(DONE)]


def test_times_that_count_from_the_start_are_offsets_without_a_time_of_day(
    imported: Callable[..., list[Imported]],
) -> None:
    ((session, messages),) = imported(lines(("in", CREATED), ("out", UPDATE), step_s=0.25))
    assert [message.offset_ns for message in messages] == [0, 250_000_000]
    assert messages[1].row["at"] is None
    assert (session["started_at"], session["duration_ms"]) == (None, 250.0)


def test_names_that_are_no_text_are_kept_as_near_as_a_column_takes_them(
    imported: Callable[..., list[Imported]],
) -> None:
    odd = {"type": "response.create", "event_id": "event_\ud800"}
    found = imported(
        "\n".join(json.dumps({"dir": "out", "event": odd, "session": name}) for name in ("a\ud800b", "a\ud801b", "ü")),
        os.fsdecode(b"caf\xe9.jsonl"),
    )
    told = [(session["tags"]["import.session"], session["tags"]["import.file"]) for session, _ in found]
    assert told == [("a?b", "caf\ufffd.jsonl"), ("a?b", "caf\ufffd.jsonl"), ("ü", "caf\ufffd.jsonl")]
    assert [len(messages) for _, messages in found] == [1, 1, 1]


def test_what_nobody_told_is_not_known(imported: Callable[..., list[Imported]]) -> None:
    ((session, _),) = imported(lines(("in", CREATED), ("out", UPDATE)))
    unknown = ["target", "provider", "region", "host", "url", "handshake_status", "close_code", "closed_by", "complete"]
    assert {name: session[name] for name in unknown} == dict.fromkeys(unknown)
    assert session["end_reason"] == "the imported file tells no end"
    assert (session["model_echoed"], session["voice"], session["dialect"]) == ("gpt-realtime", "marin", "ga")


def test_a_log_that_ends_where_nothing_is_due_is_ok(imported: Callable[..., list[Imported]]) -> None:
    ((session, _),) = imported(lines(("in", CREATED), ("out", CREATE), ("in", BEGUN), ("in", DONE)))
    assert (session["outcome"], session["failure_keys"], session["input_tokens"]) == ("ok", [], 5)


def test_a_log_that_ends_while_something_is_due_has_no_end(imported: Callable[..., list[Imported]]) -> None:
    ((session, _),) = imported(lines(("in", CREATED), ("out", CREATE), ("in", BEGUN)))
    assert (session["outcome"], session["failure_keys"], session["complete"]) == ("incomplete", [], False)


def test_what_never_came_though_the_log_goes_on_is_a_failure(imported: Callable[..., list[Imported]]) -> None:
    said = (("in", CREATED), ("out", CREATE), ("out", UPDATE), ("out", UPDATE))
    ((session, _),) = imported(lines(*said, step_s=4.0))
    assert session["failure_keys"] == ["absent:response.created"]


def test_a_failure_is_the_one_of_a_captured_session(imported: Callable[..., list[Imported]]) -> None:
    failed = {
        "type": "conversation.item.input_audio_transcription.failed",
        "item_id": "item_1",
        "error": {"type": "server_error", "code": None, "message": "The server had an error"},
    }
    ((session, messages),) = imported(lines(("in", CREATED), ("in", failed)))
    assert session["outcome"] == "failed"
    assert session["failure_keys"] == [
        "conversation.item.input_audio_transcription.failed|server_error||The server had an error"
    ]
    assert messages[1].item_id == "item_1"


def test_a_broken_line_makes_the_session_incomplete(imported: Callable[..., list[Imported]]) -> None:
    ((session, messages),) = imported(lines(("in", CREATED)) + "\n{broken\n" + lines(("out", UPDATE)))
    (gap,) = session["gaps"]
    assert (gap["sender"], gap["bytes"]) == (None, None)
    assert gap["reason"] == "line 2 of the file: it is no JSON object that can be read"
    assert (session["complete"], session["outcome"], len(messages)) == (False, "incomplete", 2)


@pytest.mark.parametrize(
    ("url", "provider", "region"),
    [
        ("wss://swedencentral.api.cognitive.microsoft.com/openai/realtime?api-version=x", "other", "swedencentral"),
        # A resource is called what its owner likes, and may lie elsewhere.
        ("wss://contoso-eastus2.openai.azure.com/openai/v1/realtime", "azure", None),
        ("wss://api.openai.com/v1/realtime", "openai", None),
        ("wss://eastus2.example.com/realtime", "other", None),
    ],
)
def test_the_host_tells_provider_and_region(
    imported: Callable[..., list[Imported]], url: str, provider: str, region: str | None
) -> None:
    ((session, _),) = imported(lines(("in", CREATED), url=url))
    assert (session["provider"], session["region"], session["url"]) == (provider, region, url)


def test_audio_is_cut_out_and_comes_back(imported: Callable[..., list[Imported]]) -> None:
    append = {"type": "input_audio_buffer.append", "audio": "AAECAwQFBgc="}
    ((session, messages),) = imported(lines(("in", CREATED), ("out", append), ("out", append)))
    assert contents(messages[1:]) == [dumped(append)] * 2
    assert messages[2].row["audio_bytes"] == 8
    assert session["audio_in_ms"] == pytest.approx(16 / 48)


@pytest.mark.parametrize(
    ("client", "server", "dialect"),
    [
        (
            {"type": "session.start", "session": {"model": "gpt-live-1"}},
            {"type": "session.started", "session": {"id": "live_1"}},
            "other",
        ),
        (
            {"type": "session.update", "session": {"modalities": ["text", "audio"], "voice": {"name": "en-US-Ava"}}},
            {"type": "session.updated", "session": {"modalities": ["text"], "voice": {"name": "en-US-Ava"}}},
            "beta",
        ),
        (
            {"type": "session.update", "session": {"voice": "Ara", "audio": {"input": {"format": {"rate": 24000}}}}},
            {"type": "session.updated", "session": {"voice": "Ara", "audio": {}}},
            "ga",
        ),
    ],
    ids=["gpt-live", "voice live", "xai"],
)
def test_other_protocols_are_recorded_all_the_same(
    imported: Callable[..., list[Imported]], client: Json, server: Json, dialect: str
) -> None:
    ((session, messages),) = imported("\n".join(map(json.dumps, (client, server))))
    assert [message.sender for message in messages] == ["client", "server"]
    assert [json.loads(message.content) for message in messages] == [client, server]
    assert (session["dialect"], session["outcome"]) == (dialect, "ok")
