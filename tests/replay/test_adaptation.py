"""What a cell sends, where, and with what handshake."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from capture.targets import Target
from replay.adaptation import adapt_for, asked_as_recorded, asks_as_recorded, dialect_to_write, spoken_at
from replay.client import Upgrade
from replay.planning import make_plan
from replay.runs import RunCell, RunRecording
from replay.source import Source

GA = Target(name="new", url="wss://east.example/openai/v1/realtime", provider="azure")
PREVIEW = "/openai/realtime?api-version=2025-04-01-preview&deployment=rt"
CONFIGURATION = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}


@pytest.fixture
def source(script: Any) -> Source:
    script.server({"type": "session.created", "session": {}})
    script.client({"type": "session.update", "session": CONFIGURATION}, 5)
    script.append(10).client({"type": "response.create", "response": {"instructions": "Be brief."}}, 20)
    return Source(
        recording=RunRecording(session_id="s", target="new", dialect="ga", model="rt"),
        plan=make_plan(script.messages),
        upgrade=Upgrade("/openai/v1/realtime?model=rt"),
        url="wss://east.example/openai/v1/realtime?model=rt",
    )


def cell(**changed: Any) -> RunCell:
    return RunCell(cell="c", session_id="s", target="new", **changed)


def test_a_cell_that_changes_nothing_sends_what_was_recorded(source: Source) -> None:
    adapted = adapt_for(cell(), source, {"new": GA})
    assert adapted.plan.steps == source.plan.steps
    assert (adapted.target, adapted.upgrade) == (GA, source.upgrade)


def transcribing(source: Source, script: Any, model: str) -> Source:
    script.messages.clear()
    configuration = {"type": "realtime", "audio": {"input": {"transcription": {"model": model}}}}
    script.server({"type": "session.created", "session": {}})
    script.client({"type": "session.update", "session": configuration}, 5)
    return dataclasses.replace(source, plan=make_plan(script.messages))


def asked_model(source: Source, target: Target, *others: Target) -> str:
    named = {each.name: each for each in (target, *others)}
    [update] = adapt_for(RunCell(cell="c", session_id="s", target=target.name), source, named).plan.steps
    return str(json.loads(update.content)["session"]["audio"]["input"]["transcription"]["model"])


def test_deployments_are_named_wherever_the_recorded_target_is_known(source: Source, script: Any) -> None:
    east = dataclasses.replace(GA, name="dep-east", transcription_models={"gpt-4o-transcribe": "transcribe-prod"})
    west = Target("dep-west", "wss://west.example", transcription_models={"gpt-4o-transcribe": "west-transcribe"})
    plain = Target("plain", "wss://api.openai.com")
    recorded = transcribing(source, script, "transcribe-prod")
    assert asked_model(dataclasses.replace(recorded, home=east), west) == "west-transcribe"
    assert asked_model(dataclasses.replace(recorded, home=east), plain) == "gpt-4o-transcribe"
    # Recorded by URL, which is the target's.
    assert asked_model(recorded, west, east) == "west-transcribe"
    assert asked_model(recorded, west) == "transcribe-prod"


def test_the_recorded_resource_has_its_deployments_under_any_name(source: Source, script: Any) -> None:
    east = dataclasses.replace(GA, name="dep-east", transcription_models={"gpt-4o-transcribe": "transcribe-prod"})
    recorded = dataclasses.replace(transcribing(source, script, "transcribe-prod"), home=east)
    assert asked_model(recorded, Target("by-url", GA.url)) == "transcribe-prod"
    overridden = cell(overrides={"session.audio.input.transcription.model": "gpt-4o-transcribe"})
    [update] = adapt_for(overridden, recorded, {"new": GA}).plan.steps
    assert '"transcribe-prod"' in str(update.content)


def test_a_name_that_fails_at_its_own_resource_is_sent_again_though_the_target_has_a_deployment_by_now(
    source: Source, script: Any
) -> None:
    # An Azure resource fails the catalogue's name; whoever is on call adds the deployment's, and replays.
    east = dataclasses.replace(GA, name="dep-east", transcription_models={"gpt-4o-transcribe": "transcribe-prod"})
    west = Target("dep-west", "wss://west.example", transcription_models={"gpt-4o-transcribe": "west-transcribe"})
    recorded = dataclasses.replace(transcribing(source, script, "gpt-4o-transcribe"), home=east)
    path = "session.audio.input.transcription.model"
    for target in (east, Target("by-url", GA.url)):
        assert asked_model(recorded, target) == "gpt-4o-transcribe"
        for name in ("gpt-4o-transcribe", "transcribe-prod"):
            varied = RunCell(cell="c", session_id="s", target=target.name, overrides={path: name})
            [update] = adapt_for(varied, recorded, {target.name: target}).plan.steps
            assert f'"{name}"' in str(update.content)
    assert asked_model(recorded, west) == "west-transcribe"


def test_the_realtime_model_is_asked_for_by_its_deployment_at_each_resource(source: Source) -> None:
    east = dataclasses.replace(GA, name="east", models={"gpt-realtime": "rt"})
    recorded = dataclasses.replace(source, home=east)
    west = Target("west", "wss://west.example/openai/v1/realtime", models={"gpt-realtime": "west-rt"})

    def asked(target: Target, source: Source = recorded, overrides: Any = None) -> str:
        changed = RunCell(cell="c", session_id="s", target=target.name, overrides=overrides or {})
        adapted = adapt_for(changed, source, {target.name: target})
        return adapted.target.request_url(adapted.upgrade.path_and_query)

    assert asked(west) == "wss://west.example/openai/v1/realtime?model=west-rt"
    assert asked(dataclasses.replace(west, url="wss://west.example")).endswith("/openai/v1/realtime?model=west-rt")
    assert asked(Target("plain", "wss://api.openai.com")).endswith("/v1/realtime?model=gpt-realtime")
    assert asked(dataclasses.replace(west, model="chosen")).endswith("?model=chosen")
    assert asked(west, overrides={"connection.model": "gpt-realtime-mini"}).endswith("?model=gpt-realtime-mini")
    # At home, and where nobody knows which model the recorded deployment was of, it is what was recorded.
    assert asked(east) == "wss://east.example/openai/v1/realtime?model=rt"
    assert asked(west, source).endswith("?model=rt")


def test_a_deployment_in_the_path_is_the_target_s_and_the_change_is_told(source: Source) -> None:
    path = "/openai/deployments/{}/realtime?api-version=2025-04-01-preview&deployment={}"
    recorded = dataclasses.replace(source, upgrade=Upgrade(path.format("rt", "rt")))
    recorded.recording.dialect = "beta"
    west = Target("west", "wss://west.openai.azure.com", model="west-rt", dialect="beta")
    adapted = adapt_for(RunCell(cell="c", session_id="s", target="west"), recorded, {"west": west})
    url = adapted.target.request_url(adapted.upgrade.path_and_query)
    assert urlsplit(url).path == "/openai/deployments/west-rt/realtime"
    [change] = adapted.upgrade.changes_for(adapted.target)
    assert (change.kind, change.path) == ("model", "url")
    assert change.before.startswith("/openai/deployments/rt/") and change.after.startswith(
        "/openai/deployments/west-rt/"
    )


def test_a_target_at_the_recorded_url_may_ask_for_something_else(source: Source) -> None:
    assert asks_as_recorded(source, GA)
    assert asks_as_recorded(source, dataclasses.replace(GA, model="rt"))
    assert not asks_as_recorded(source, dataclasses.replace(GA, model="mini"))
    assert not asks_as_recorded(source, dataclasses.replace(GA, url=f"{GA.url}?model=mini"))
    assert not asks_as_recorded(source, dataclasses.replace(GA, dialect="beta"))


def test_each_override_goes_to_its_place(source: Source) -> None:
    overrides = {
        "session.audio.output.voice": "cedar",
        "response.instructions": "Sing.",
        "connection.query.feature": "x",
        "audio": "silence",
    }
    adapted = adapt_for(cell(overrides=overrides), source, {"new": GA})
    update, _, create = adapted.plan.steps
    assert json.loads(update.content)["session"]["audio"] == {"output": {"voice": "cedar"}}
    assert json.loads(create.content)["response"] == {"instructions": "Sing."}
    assert adapted.target.request_url(adapted.upgrade.path_and_query).endswith("/realtime?model=rt&feature=x")
    changes = [*adapted.upgrade.changes_for(adapted.target), *adapted.plan.changes]
    assert {change.path for change in changes if change.kind == "override"} == set(overrides) - {"audio"}


def test_what_is_unset_goes_from_its_place(source: Source) -> None:
    gone = ["session.audio.output.voice", "response.instructions", "connection.query.model"]
    adapted = adapt_for(cell(unset=gone), source, {"new": GA})
    changes = [*adapted.upgrade.changes_for(adapted.target), *adapted.plan.changes]
    assert [change.path for change in changes if change.kind == "unset"] == [gone[2], gone[0], gone[1]]


def test_a_target_that_serves_both_is_asked_in_the_dialect_of_the_cell(source: Source) -> None:
    adapted = adapt_for(cell(overrides={"dialect": "beta", "response.voice": "x"}), source, {"new": GA})
    url = urlsplit(adapted.target.request_url(adapted.upgrade.path_and_query))
    assert (url.netloc, url.path) == ("east.example", "/openai/realtime")
    assert dict(parse_qsl(url.query)) == {"api-version": "2025-04-01-preview", "deployment": "rt"}
    assert json.loads(adapted.plan.steps[0].content)["session"] == {"voice": "marin"}
    same = adapt_for(cell(overrides={"dialect": "ga"}), source, {"new": GA})
    assert (same.plan, same.upgrade) == (source.plan, source.upgrade)


def test_a_url_is_shaped_as_the_target_s_provider_has_it_in_one_dialect_too(source: Source) -> None:
    recorded = dataclasses.replace(source, upgrade=Upgrade("/openai/v1/realtime?deployment=dep"))
    other = Target(name="other", url="wss://voice.example/v1/realtime", model="gpt-realtime")
    asked = asked_as_recorded(recorded, other)
    url = other.request_url(asked.upgrade.path_and_query)
    assert url == "wss://voice.example/v1/realtime?model=gpt-realtime"
    # Of a recording without a dialect nobody knows how it would be asked for.
    unknown = dataclasses.replace(recorded, recording=RunRecording(session_id="s", dialect="other"))
    assert asked_as_recorded(unknown, other).upgrade is recorded.upgrade


def test_a_model_is_asked_for_in_the_cell_s_dialect(source: Source) -> None:
    adapted = adapt_for(cell(overrides={"dialect": "beta", "connection.model": "mini"}), source, {"new": GA})
    assert "deployment=mini" in adapted.target.request_url(adapted.upgrade.path_and_query)


def test_the_model_of_a_target_is_asked_for_though_its_url_is_an_origin_alone(source: Source) -> None:
    named = Target(name="new", url="wss://west.example", model="mini")
    adapted = adapt_for(cell(), source, {"new": named})
    assert adapted.target.request_url(adapted.upgrade.path_and_query) == (
        "wss://west.example/openai/v1/realtime?model=mini"
    )
    told = [(change.kind, change.before, change.after) for change in adapted.upgrade.changes_for(adapted.target)]
    assert told == [("model", "model=rt", "model=mini")]
    otherwise = adapt_for(cell(overrides={"connection.model": "third"}), source, {"new": named})
    assert otherwise.target.request_url(otherwise.upgrade.path_and_query).endswith("/openai/v1/realtime?model=third")
    in_beta = adapt_for(cell(overrides={"dialect": "beta"}), source, {"new": named})
    assert in_beta.target.request_url(in_beta.upgrade.path_and_query).partition("?")[2] == (
        "deployment=mini&api-version=2025-04-01-preview"
    )


def test_the_dialect_is_the_target_s_where_the_cell_names_none(source: Source) -> None:
    old = Target(name="old", url=f"wss://old.example{PREVIEW}")
    assert (spoken_at(source, GA), spoken_at(source, old)) == ("ga", "beta")
    assert dialect_to_write(source, old) == "beta"
    unknown = dataclasses.replace(source, recording=RunRecording(session_id="s", dialect="other"))
    assert dialect_to_write(unknown, old) is None
