"""Another model, query or headers than the recorded handshake had."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import UsageProblem
from capture.targets import Target
from replay.client import Upgrade
from replay.connection import Asked, ask_otherwise, check_connection, find_misspelt

OPENAI = Target(name="openai", url="wss://api.example")
RECORDED = Upgrade("/v1/realtime?model=gpt-realtime&x=1", headers=(("openai-beta", "realtime=v1"),))


def url(asked: Asked) -> str:
    return asked.target.request_url(asked.upgrade.path_and_query)


def told(asked: Asked) -> list[tuple[str, str, str, str]]:
    return [(c.kind, c.path, c.before, c.after) for c in asked.upgrade.changes_for(asked.target)]


@pytest.mark.parametrize(
    ("target", "recorded", "wanted"),
    [
        (OPENAI, "/v1/realtime?model=old&x=1", "wss://api.example/v1/realtime?model=new&x=1"),
        (OPENAI, "/v1/realtime", "wss://api.example/v1/realtime?model=new"),
        # The target's own model, own query, own table.
        (Target("t", "wss://h", model="theirs"), "/p?model=old", "wss://h/p?model=new"),
        (Target("t", "wss://h/p?model=theirs&y=2"), "/q?model=old", "wss://h/p?model=new&y=2"),
        (Target("t", "wss://h/p", query={"y": "2"}), "/q?model=old", "wss://h/p?model=new&y=2"),
        # Azure's preview names a deployment, in the query or in the path.
        (Target("t", "wss://h"), "/openai/realtime?deployment=old&model=m", "wss://h/openai/realtime?deployment=new"),
        (Target("t", "wss://h"), "/openai/deployments/old/realtime?a=1", "wss://h/openai/deployments/new/realtime?a=1"),
    ],
)
def test_a_model_is_asked_for_where_the_url_has_it(target: Target, recorded: str, wanted: str) -> None:
    asked = ask_otherwise(Asked(target, Upgrade(recorded)), {"connection.model": "new"}, ())
    assert url(asked) == wanted
    assert ("override", "connection.model") in [change[:2] for change in told(asked)]


def test_each_change_is_told_against_the_recording() -> None:
    overrides = {"connection.query.x": 2, "connection.model": "gpt-realtime", "connection.header.OpenAI-Project": "p"}
    asked = ask_otherwise(Asked(OPENAI, RECORDED), overrides, ["connection.header.openai-beta"])
    assert url(asked) == "wss://api.example/v1/realtime?model=gpt-realtime&x=2"
    assert asked.upgrade.headers == (("openai-project", "p"),)
    assert told(asked) == [
        ("override", "connection.query.x", '"1"', '"2"'),
        ("override", "connection.header.OpenAI-Project", "", '"p"'),
        ("unset", "connection.header.openai-beta", '"realtime=v1"', ""),
    ]


def test_what_is_taken_out_stays_out_whoever_names_it() -> None:
    target = Target(name="t", url="wss://h/p?x=1", query={"X": "3"}, headers={"OpenAI-Beta": "realtime=v2"})
    gone = ["connection.query.x", "connection.header.OpenAI-Beta"]
    asked = ask_otherwise(Asked(target, RECORDED), {}, gone)
    assert url(asked) == "wss://h/p"
    assert (asked.target.headers, asked.upgrade.headers) == ({}, ())
    assert ("unset", "connection.query.x", '"1"', "") in told(asked)
    # That the target's URL has no query is a change against the recording, too.
    assert ("model", "url", "model=gpt-realtime", "") in told(asked)


def test_the_target_s_other_settings_stay() -> None:
    target = Target(name="t", url="wss://h", model="theirs", region="eu", query={"api-version": "1"})
    target = target.asking_for_its_model(RECORDED.path_and_query)
    asked = ask_otherwise(Asked(target, RECORDED), {"connection.query.api-version": "2"}, ())
    assert (asked.target.name, asked.target.region) == ("t", "eu")
    assert dict(parse_qsl(urlsplit(url(asked)).query)) == {"model": "theirs", "x": "1", "api-version": "2"}


@given(st.text("abcXY-_. &=%/?", min_size=1).filter(lambda name: name.lower() != "x"), st.text())
def test_a_pair_arrives_as_it_was_named_and_goes_again(name: str, value: str) -> None:
    path = f"connection.query.{name}"
    there = ask_otherwise(Asked(OPENAI, RECORDED), {path: value}, ())
    pairs = dict(parse_qsl(urlsplit(url(there)).query, keep_blank_values=True))
    assert pairs == {"model": "gpt-realtime", "x": "1", name: value}
    gone = ask_otherwise(there, {}, [path])
    assert url(gone) == url(Asked(OPENAI, RECORDED))


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("connection.query.api-key", "k", "is a credential"),
        ("connection.header.Authorization", "Bearer x", "is a credential"),
        ("connection.header.x-gateway-token", "x", "is a credential"),
        ("connection.header.x-note", "Bearer abcdefghijkl", "looks like a credential"),
        ("connection.query.note", "sk-abcdefghijklmnopqrstuvwx", "looks like a credential"),
        ("connection.header.Host", "h", "belongs to the upgrade itself"),
        ("connection.header.Sec-WebSocket-Protocol", "h", "belongs to the upgrade itself"),
        ("connection.header.x-note", "a\nb", "no header can hold"),
        ("connection.header.a b", "x", "a connection has no"),
        ("connection.query.", "x", "a connection has no"),
        ("connection.models", "x", r"it has connection\.model, connection\.query\.NAME"),
        ("connection.model", 5, "no name of a model"),
    ],
)
def test_what_a_connection_does_not_take(path: str, value: Any, complaint: str) -> None:
    with pytest.raises(UsageProblem, match=complaint) as refused:
        check_connection({path: (value,)}, (), Asked(OPENAI, RECORDED))
    assert "sk-" not in str(refused.value)


def test_only_what_is_there_can_be_taken_out() -> None:
    check_connection({}, ["connection.query.X", "connection.header.OpenAI-Beta"], Asked(OPENAI, RECORDED))
    with pytest.raises(UsageProblem, match=r"nearest are connection\.query\.model"):
        check_connection({}, ["connection.query.models"], Asked(OPENAI, RECORDED))
    with pytest.raises(UsageProblem, match="cannot be unset"):
        check_connection({}, ["connection.model"], Asked(OPENAI, RECORDED))


def test_sockets_that_refuse_a_model_are_not_given_one() -> None:
    for query, complaint in (("intent=transcription", "vary transcription_model"), ("call_id=c", "side channel")):
        with pytest.raises(UsageProblem, match=complaint):
            check_connection({"connection.model": ("m",)}, (), Asked(OPENAI, Upgrade(f"/v1/realtime?{query}")))


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("connection.query.modle", "connection.query.model"),
        ("connection.query.api_version", "connection.query.api-version"),
        ("connection.query.callid", "connection.query.call_id"),
        ("connection.query.tracing", "connection.query.tracing-id"),
        ("connection.header.Open-AI-Beta", "connection.header.openai-beta"),
        ("connection.header.x-route", "connection.header.x-router"),
        # Known, however it is written: documented, recorded, the target's.
        ("connection.query.Model", None),
        ("connection.query.intent", None),
        ("connection.query.x", None),
        ("connection.query.tracing-id", None),
        ("connection.header.OpenAI-Project", None),
        ("connection.header.X-Router", None),
        # Like none: somebody's own.
        ("connection.query.trace", None),
        ("connection.query.region", None),
        ("connection.header.x-note", None),
        ("connection.model", None),
        ("session.audio.output.voic", None),
    ],
)
def test_a_name_that_looks_misspelt_is_told_with_the_nearest_and_nothing_is_refused(
    path: str, near: str | None
) -> None:
    target = Target(name="t", url="wss://h/p?tracing-id=1", headers={"X-Router": "a"})
    asked = [Asked(OPENAI, RECORDED), Asked(target, RECORDED)]
    assert find_misspelt([path], asked) == ({path: near} if near else {})
