"""Which dialect an endpoint speaks, and how it is asked for a session of it."""

from __future__ import annotations

from typing import Any

import pytest

from capture.targets import Target
from replay.handshake import Handshake, asked_in, dialect_of_target, is_shaped_otherwise, transpose_handshake
from replay.rewrite import Change

PREVIEW = "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"
AZURE_GA = "/openai/v1/realtime?model=gpt-realtime"
OPENAI = "/v1/realtime?model=gpt-realtime"
BETA_HEADER = ("openai-beta", "realtime=v1")


VERSION = "api-version=2025-04-01-preview"


def target(url: str, **more: Any) -> Target:
    return Target(name="t", url=url, **more)


@pytest.mark.parametrize(
    ("url", "more", "recorded", "dialect"),
    [
        ("wss://a.example", {"dialect": "beta"}, "ga", "beta"),
        (f"wss://a.example{PREVIEW}", {"dialect": "ga"}, "beta", "ga"),
        (f"wss://a.example{PREVIEW}", {}, "ga", "beta"),
        ("wss://a.example/x", {"query": {"api-version": "1"}}, "ga", "beta"),
        ("wss://a.example/eastus2/openai/deployments/d/realtime", {}, "ga", "beta"),
        (f"wss://a.example/eastus2{AZURE_GA}", {}, "beta", "ga"),
        ("wss://api.openai.com", {}, "beta", "ga"),
        ("wss://a.example/v1/realtime", {}, "beta", "beta"),
        ("wss://a.example", {}, "ga", "ga"),
        ("wss://a.example", {}, "other", None),
        ("wss://a.example", {}, None, None),
    ],
)
def test_the_dialect_of_a_target(url: str, more: dict[str, Any], recorded: str | None, dialect: str | None) -> None:
    assert dialect_of_target(target(url, **more), "wss://elsewhere.example/v1/realtime", recorded) == dialect


def test_the_recorded_endpoint_is_spoken_to_as_it_was() -> None:
    # A beta session on a GA path was the incident; translated, it would not come again.
    there = f"wss://a.example{AZURE_GA}"
    assert dialect_of_target(target(there), there, "beta") == "beta"
    assert dialect_of_target(target("wss://a.example"), there, "beta") == "beta"
    assert dialect_of_target(target(there, dialect="ga"), there, "beta") == "ga"
    assert dialect_of_target(target("wss://a.example", query={"api-version": "1"}), there, "ga") == "beta"
    with_version = f"wss://a.example{PREVIEW}"
    assert dialect_of_target(target(with_version), with_version, "ga") == "ga"


@pytest.mark.parametrize(
    ("asked", "url", "ga"),
    [
        (PREVIEW, "wss://r.openai.azure.com", AZURE_GA),
        ("/openai/deployments/d/realtime?api-version=1", "wss://r.openai.azure.com", "/openai/v1/realtime?model=d"),
        (PREVIEW, "wss://api.openai.com", OPENAI),
        ("/eastus2" + PREVIEW, "ws://127.0.0.1:8900", "/eastus2" + AZURE_GA),
        ("/v1/realtime?intent=transcription", "wss://a.example", "/v1/realtime?intent=transcription"),
        ("/own/path?api-version=1", "wss://a.example", "/own/path"),
    ],
)
def test_a_beta_url_as_ga_has_it(asked: str, url: str, ga: str) -> None:
    made, changes = transpose_handshake(Handshake(asked), target(url), "ga")
    assert made.path_and_query == ga
    assert changes == ([] if asked == ga else [Change("dialect", "url", asked, ga)])


def test_a_ga_url_as_azure_s_preview_has_it_needs_no_header() -> None:
    made, changes = transpose_handshake(Handshake(AZURE_GA), target("wss://r.openai.azure.com"), "beta")
    assert (made.path_and_query, made.headers) == (PREVIEW, ())
    assert changes == [Change("dialect", "url", AZURE_GA, PREVIEW)]


@pytest.mark.parametrize(
    ("asked", "table", "is_other"),
    [
        (PREVIEW, {"url": "wss://voice.example/v1/realtime"}, True),
        (AZURE_GA, {"url": "wss://api.openai.com"}, True),
        (OPENAI, {"url": f"wss://a.example{PREVIEW}"}, True),
        (OPENAI, {"url": "wss://r.openai.azure.com"}, True),
        (OPENAI, {"url": "wss://own.example", "provider": "azure"}, True),
        (OPENAI, {"url": "wss://voice.example/v1/realtime"}, False),
        (AZURE_GA, {"url": "wss://a.example/east/openai/v1/realtime"}, False),
        (AZURE_GA, {"url": "ws://127.0.0.1:8900"}, False),
        # A gateway's own path says nothing of what stands behind it.
        (PREVIEW, {"url": "wss://gateway.example/voice"}, False),
        (PREVIEW, {"url": "wss://gateway.example/voice", "provider": "azure"}, False),
        (PREVIEW, {"url": "wss://gateway.example/voice", "provider": "openai"}, True),
    ],
)
def test_whether_a_url_has_the_shape_of_the_other_provider(asked: str, table: dict[str, Any], is_other: bool) -> None:
    assert is_shaped_otherwise(target(**table), asked) == is_other


def test_a_beta_url_of_azure_as_another_beta_server_has_it_and_back() -> None:
    old = target("wss://voice.example/v1/realtime", dialect="beta")
    there, changes = transpose_handshake(Handshake(PREVIEW), old, "beta")
    assert old.request_url(there.path_and_query) == "wss://voice.example/v1/realtime?model=gpt-realtime"
    assert there.headers == (BETA_HEADER,)
    assert changes == [
        Change("dialect", "url", PREVIEW, OPENAI),
        Change("dialect", "headers.openai-beta", "", '"realtime=v1"'),
    ]
    azure = target("wss://r.openai.azure.com/openai/realtime", model="my-deployment", query={"api-version": "v"})
    back, _ = transpose_handshake(there, azure, "beta")
    assert back.headers == ()
    assert azure.request_url(back.path_and_query) == (
        "wss://r.openai.azure.com/openai/realtime?deployment=my-deployment&api-version=v"
    )


def test_the_path_alone_is_the_target_s_address_and_no_change() -> None:
    made, changes = transpose_handshake(Handshake(AZURE_GA), target("wss://voice.example/v1/realtime"), "ga")
    assert (made.path_and_query, changes) == (OPENAI, [])


def test_elsewhere_beta_is_asked_for_in_a_header() -> None:
    made, changes = transpose_handshake(Handshake(OPENAI), target("wss://a.example"), "beta")
    assert made == Handshake(OPENAI, (BETA_HEADER,))
    assert changes == [Change("dialect", "headers.openai-beta", "", '"realtime=v1"')]


def test_ga_is_not_asked_for_beta() -> None:
    safety = ("openai-safety-identifier", "u")
    asked = Handshake(OPENAI, (BETA_HEADER, safety), ("realtime", "openai-beta.realtime-v1"))
    made, changes = transpose_handshake(asked, target("wss://a.example"), "ga")
    assert made == Handshake(OPENAI, (safety,), ("realtime",))
    assert changes == [
        Change("dialect", "headers.openai-beta", '"realtime=v1"', ""),
        Change("dialect", "subprotocols", '["realtime", "openai-beta.realtime-v1"]', '["realtime"]'),
    ]


def test_a_target_s_own_path_gets_the_query_of_its_dialect() -> None:
    own = target("wss://a.example/openai/realtime", model="ours")
    made, _ = transpose_handshake(Handshake(OPENAI), own, "beta")
    assert own.request_url(made.path_and_query) == (
        "wss://a.example/openai/realtime?deployment=ours&api-version=2025-04-01-preview"
    )


@pytest.mark.parametrize(
    ("table", "dialect", "url"),
    [
        (
            {"url": "wss://h/openai/v1/realtime"},
            "beta",
            "wss://h/openai/realtime?model=r&api-version=2025-04-01-preview",
        ),
        ({"url": "wss://h/openai/v1/realtime?model=m"}, "beta", f"wss://h/openai/realtime?{VERSION}&deployment=m"),
        ({"url": "wss://h/openai/realtime", "query": {"api-version": "x"}}, "ga", "wss://h/openai/v1/realtime?model=r"),
        ({"url": f"wss://h/openai/realtime?{VERSION}&deployment=d"}, "ga", "wss://h/openai/v1/realtime?model=d"),
        ({"url": f"wss://h/openai/realtime?{VERSION}&deployment=d"}, "beta", None),
        ({"url": "wss://h/v1/realtime"}, "beta", "wss://h/v1/realtime?model=r"),
        ({"url": "wss://h"}, "beta", "wss://h/asked?model=r"),
    ],
)
def test_a_target_is_asked_in_the_dialect_that_a_cell_wants(
    table: dict[str, Any], dialect: Any, url: str | None
) -> None:
    asked = asked_in(target(**table), dialect)
    assert asked.dialect == dialect
    assert asked.request_url("/asked?model=r") == (url or table["url"])
