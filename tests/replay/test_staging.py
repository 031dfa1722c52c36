"""Scenarios end to end: what is staged is what is recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from capture.recording.reader import open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from replay.simulator.client.script import Client, ClientSession, HttpRequest, ScenarioClock, Step
from replay.simulator.faults.conditions import Conditions
from replay.simulator.faults.effects import Effect, ResponseFailed
from replay.simulator.faults.faults import Fault
from replay.simulator.scenario import Scenario, Server, load_scenario
from replay.staging import Staged, StagedSession, stage

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
HELLO = Step(awaited="session.created")


async def staged(root: Root, *sessions: ClientSession, starts_at: str | None = START.isoformat()) -> Staged:
    scenario = Scenario("mine", "s", client=Client(sessions), clock=ScenarioClock(starts_at))
    return await stage(scenario, root, speed=8, sealer=Sealer(root, in_process=True))


async def test_the_founding_incident_is_recorded_through_the_proxy(root: Root) -> None:
    played = await stage(load_scenario("transcription_model_path_failure"), root, speed=8)

    assert played.problems == ()
    [session_id] = played.session_ids
    session = open_recording(root, session_id).session
    assert (session["role"], session["region"], session["provider"]) == ("captured", "eastus2", "azure")
    assert session["tags"] == {"scenario": "transcription_model_path_failure"}
    assert (session["outcome"], session["complete"], session["close_code"]) == ("failed", True, 1000)
    assert session["transcription_model"] == "gpt-4o-transcribe"
    # Three seconds of speech at the pace at which they are spoken, though not even one has passed here.
    assert session["duration_ms"] > 3_000


async def test_hours_pass_between_sessions_and_within(root: Root) -> None:
    played = await staged(
        root,
        ClientSession(count=2, start_after_s=3600, steps=(HELLO, Step(skip_s=600))),
        ClientSession(region="swedencentral", steps=(HELLO,)),
    )

    rows = [open_recording(root, session_id).session for session_id in played.session_ids]
    assert [row["region"] for row in rows] == ["eastus2", "eastus2", "swedencentral"]
    hours = [(row["started_at"] - START) / timedelta(hours=1) for row in rows]
    assert hours == pytest.approx([1, 2 + 1 / 6, 2 + 1 / 3], abs=0.1)
    assert rows[0]["session_id"].startswith("20260302T07")
    assert rows[0]["duration_ms"] == pytest.approx(600_000, rel=0.1)
    assert rows[2]["duration_ms"] < 60_000


async def test_a_step_in_vain_is_told_and_the_rest_is_played(root: Root) -> None:
    played = await staged(
        root,
        ClientSession(steps=(HELLO, Step(awaited="response.done", timeout_s=1))),
        ClientSession(steps=(HELLO,)),
    )

    assert len(played.session_ids) == 2
    assert played.problems == (
        "mine, session 1, step 2, await response.done: did not come within 1 s; the last that came was session.created",
    )


async def test_the_path_tells_whose_endpoint_it_is(root: Root) -> None:
    openai = ClientSession(path="/v1/realtime", steps=(HELLO,))
    played = await staged(root, ClientSession(steps=(HELLO,)), openai, openai, starts_at=None)

    rows = [open_recording(root, session_id).session for session_id in played.session_ids]
    assert [row["provider"] for row in rows] == ["azure", "openai", "openai"]
    assert datetime.now(UTC) - rows[0]["started_at"] < timedelta(hours=1)


async def test_plain_requests_and_refusals_are_recorded(root: Root) -> None:
    request = Step(http=HttpRequest(path="/nowhere"))
    played = await staged(
        root, ClientSession(steps=(request,)), ClientSession(model="whisper-1", steps=(HELLO,)), starts_at=None
    )

    assert [session.ended for session in played.sessions] == ["no WebSocket", "refused with HTTP 400"]
    assert len(played.session_ids) == 2


async def test_what_the_proxy_refuses_leaves_no_recording_and_the_rest_is_played(root: Root) -> None:
    tunnel = Step(http=HttpRequest(path="/v1/realtime", method="TRACE"))
    two_hosts = ClientSession(headers={"Host": "elsewhere.example"}, steps=(HELLO,))
    played = await staged(root, ClientSession(steps=(tunnel,)), two_hosts, ClientSession(steps=(HELLO,)))

    assert [(session.ended, len(session.session_ids)) for session in played.sessions] == [
        ("no WebSocket", 0),
        ("refused with HTTP 400", 0),
        ("closed by the client with 1000", 1),
    ]


async def test_the_same_seed_gives_the_same_ids_and_the_same_faults(root: Root) -> None:
    fault = Fault(Effect(response_failed=ResponseFailed(message="sorry")), Conditions(probability=0.5))
    answered = ClientSession(count=8, steps=(Step(respond={}), Step(awaited="response.done")))
    scenario = Scenario("mine", "s", Server(faults=(fault,)), Client((answered,)))

    async def sessions_of(seed: int) -> list[tuple[str, str]]:
        played = await stage(scenario, root, seed=seed, speed=20, sealer=Sealer(root, in_process=True))
        rows = [open_recording(root, session_id).session for session_id in played.session_ids]
        return [(row["server_session_id"], row["outcome"]) for row in rows]

    first, again, other = [await sessions_of(seed) for seed in (1, 1, 2)]
    assert first == again
    assert len({server_session_id for server_session_id, _ in (*first, *other)}) == 16
    outcomes, others = [[outcome for _, outcome in each] for each in (first, other)]
    assert set(outcomes) == {"ok", "failed"}
    assert outcomes != others


async def test_each_session_is_told_as_soon_as_it_is_over(root: Root) -> None:
    told: list[StagedSession] = []
    scenario = Scenario("mine", "s", client=Client((ClientSession(count=2, steps=(HELLO,)),)))
    played = await stage(scenario, root, sealer=Sealer(root, in_process=True), on_played=told.append)

    assert tuple(told) == played.sessions
    assert played.session_ids == tuple(session_id for session in told for session_id in session.session_ids)
