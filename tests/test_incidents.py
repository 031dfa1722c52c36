"""Every known incident, staged end to end: simulator, recording proxy and scripted client, a root for each."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from analyze.queries import Queries
from analyze.signatures import load_signatures
from analyze.store import Store
from capture.recording.reader import open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from replay.simulator.scenario import Scenario, list_scenarios, load_scenario
from replay.staging import Staged, stage

pytestmark = [pytest.mark.incidents, pytest.mark.alone]

NAMES = [name for name, _ in list_scenarios()]
SPEED = 20.0
AT_A_TIME = 8


@dataclass(frozen=True)
class Incident:
    """A scenario that was staged into a root of its own."""

    scenario: Scenario
    staged: Staged
    root: Root


@pytest.fixture(scope="module")
def incidents(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Incident]:
    """Stage all scenarios, several at a time: what takes time is that answers are spoken."""
    folder = tmp_path_factory.mktemp("incidents")
    return asyncio.run(stage_all(folder))


async def stage_all(folder: Path) -> Mapping[str, Incident]:
    room = asyncio.Semaphore(AT_A_TIME)

    async def stage_one(name: str) -> Incident:
        root = Root(folder / name)
        async with room:
            scenario = load_scenario(name)
            sealer = Sealer(root, in_process=True)
            return Incident(scenario, await stage(scenario, root, speed=SPEED, sealer=sealer), root)

    # What the first one imports and reads, the others need not wait for.
    first = await stage_one("healthy")
    others = await asyncio.gather(*(stage_one(name) for name in NAMES if name != "healthy"))
    return {incident.scenario.name: incident for incident in (first, *others)}


@pytest.fixture(scope="module")
def named(incidents: Mapping[str, Incident]) -> Mapping[str, tuple[set[str], Sequence[object]]]:
    """Name what is in every root, two at a time: DuckDB takes most of the time, and lets others go on."""

    def names_in(incident: Incident) -> tuple[set[str], Sequence[object]]:
        with Store(incident.root) as store:
            queries = Queries(store)
            return {finding.name for finding in queries.findings()}, queries.unknown_failures()

    with ThreadPoolExecutor(2) as threads:
        return dict(zip(incidents, threads.map(names_in, incidents.values()), strict=True))


def test_every_signature_has_a_scenario_that_stages_it() -> None:
    staged = {load_scenario(name).signature for name in NAMES}
    assert staged - {None} == {signature.name for signature in load_signatures()}


def test_in_one_root_they_are_told_apart_as_well(incidents: Mapping[str, Incident], tmp_path: Path) -> None:
    for incident in incidents.values():
        shutil.copytree(incident.root.path, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("journal"))
    with Store(Root(tmp_path)) as store:
        queries = Queries(store)
        scenario_of = {session.session_id: session.tags["scenario"] for session in queries.sessions(latency=False)}
        named = {(scenario_of[finding.session_id], finding.name) for finding in queries.findings()}
        unknown = queries.unknown_failures()
    scenarios = (incident.scenario for incident in incidents.values())
    assert named == {(scenario.name, scenario.signature) for scenario in scenarios if scenario.signature}
    assert unknown == []


@pytest.mark.parametrize("name", NAMES)
def test_an_incident_is_staged_as_it_is_written_and_named(
    name: str, incidents: Mapping[str, Incident], named: Mapping[str, tuple[set[str], Sequence[object]]]
) -> None:
    incident = incidents[name]

    assert incident.staged.problems == ()
    scripts = [session for session in incident.scenario.client.sessions for _ in range(session.count)]
    requests = sum(step.http is not None for script in scripts for step in script.steps)
    assert len(incident.staged.session_ids) == requests + sum(script.has_socket for script in scripts)
    for session_id in incident.staged.session_ids:
        session = open_recording(incident.root, session_id).session
        assert session["complete"]
        assert session["tags"] == {"scenario": name}
    # Exactly what the scenario expects, and nothing is left unnamed.
    expected = set() if incident.scenario.signature is None else {incident.scenario.signature}
    assert named[name] == (expected, [])
