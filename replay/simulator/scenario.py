"""Scenario files: what a simulated endpoint does, and what fails where.

docs/simulator.md describes every field. A new kind of fault is a new field of `Effect`; the client's side of an
incident and staged hours will be tables of their own beside `[server]`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from capture.errors import UsageProblem
from replay.simulator.clips import clip_path, read_text
from replay.simulator.script import Client, ScenarioClock

_FOLDER = Path(__file__).parent / "scenarios"


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a fault strikes: all conditions that are given must hold; none given is always."""

    region: str | None = None
    model: str | None = None
    """Realtime model (on Azure a deployment name), as the connection was opened with."""
    transcription_model: str | None = None
    turn: int | None = None
    """Ordinal of the user's turn in the session, from 1."""
    probability: float | None = None
    """Chance from 0 to 1 that it strikes when all else holds; drawn from the seed."""


class TranscriptionFailed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Input transcription ends in `…transcription.failed`, without deltas; the answer is unaffected."""

    message: str
    """`{item_id}` stands for the id of the turn's item."""
    type: str = "server_error"
    code: str | None = None
    """Absent is null, as TOML has no null."""
    param: str | None = None


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a fault does: exactly one of its fields is given."""

    transcription_failed: TranscriptionFailed | None = None

    def __post_init__(self) -> None:
        """Refuse a fault that does nothing, or several things at once."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"`then` takes exactly one of {', '.join(self.__struct_fields__)}")


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong, and when."""

    then: Effect
    when: Conditions = Conditions()


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the endpoint behaves; the defaults are a healthy one."""

    answer: str = "answer_paris"
    """Name of the clip that the model answers with."""
    answer_speed: float = 5.0
    """Audio is streamed so many times faster than it plays."""
    first_delta_ms: float = 250
    """From the start of a response to its first delta."""
    transcript: str | None = None
    """What every user turn is transcribed as; absent: the text of the clip question_weather."""
    transcription_delay_ms: float = 400
    """From the commit to the first transcription event."""
    session_max_duration_s: float = 3600
    """Age at which a session ends with `session_expired` and close 1001."""
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a clip that is not shipped and paces that do not move."""
        if self.answer_speed <= 0 or self.session_max_duration_s <= 0:
            raise ValueError("answer_speed and session_max_duration_s must be above 0")
        clip_path(self.answer)

    @property
    def transcript_text(self) -> str:
        """What user turns are transcribed as."""
        return read_text("question_weather") if self.transcript is None else self.transcript


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scenario file."""

    name: str
    summary: str
    """One line: what happens."""
    server: Server = Server()
    client: Client = Client()
    clock: ScenarioClock = ScenarioClock()


@dataclass(frozen=True, slots=True)
class Circumstance:
    """Where and when something is about to happen that a fault may spoil."""

    region: str
    model: str
    transcription_model: str | None
    turn: int


def list_scenarios() -> list[tuple[str, str]]:
    """List the shipped scenarios: name and one line each."""
    scenarios = (read_scenario(path) for path in sorted(_FOLDER.glob("*.toml")))
    return [(scenario.name, scenario.summary) for scenario in scenarios]


def load_scenario(name: str) -> Scenario:
    """Load a shipped scenario by its name, or any other by the path of its file (`….toml`).

    Raises `UsageProblem` with the list of names, or the place of a fault in the file.
    """
    if name.endswith(".toml"):
        return read_scenario(Path(name))
    names = sorted(path.stem for path in _FOLDER.glob("*.toml"))
    if name in names:
        return read_scenario(_FOLDER / f"{name}.toml")
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageProblem(f"there is no scenario {name!r}: {hint}take one of {', '.join(names)}, or the path of a .toml")


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file; raises `UsageProblem` that names the place of a fault."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Scenario)
    except OSError as error:
        raise UsageProblem(f"the scenario {path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UsageProblem) as error:
        raise UsageProblem(f"the scenario {path} is not right: {error}") from error


def combine(scenarios: Sequence[Scenario]) -> Server:
    """Stage several scenarios at once: all their faults, and every setting that one of them changes.

    Raises `UsageProblem` where two change the same setting to different values.
    """
    settings: dict[str, object] = {}
    for scenario in scenarios:
        for name in Server.__struct_fields__:
            value = getattr(scenario.server, name)
            if name == "faults" or value == getattr(Server(), name):
                continue
            if settings.setdefault(name, value) != value:
                raise UsageProblem(f"the scenarios disagree on server.{name}: stage them one at a time")
    faults = tuple(fault for scenario in scenarios for fault in scenario.server.faults)
    return msgspec.structs.replace(Server(), **settings, faults=faults)


def find_effect(server: Server, circumstance: Circumstance, draw: Callable[[str], float]) -> Effect | None:
    """Find the first fault that strikes; `draw` gives a number in [0, 1) for a name."""
    for number, fault in enumerate(server.faults):
        if _holds(fault.when, circumstance) and _strikes(fault.when.probability, f"fault {number}", draw):
            return fault.then
    return None


def _holds(when: Conditions, circumstance: Circumstance) -> bool:
    asked = ((name, getattr(when, name)) for name in ("region", "model", "transcription_model", "turn"))
    return all(value is None or value == getattr(circumstance, name) for name, value in asked)


def _strikes(probability: float | None, name: str, draw: Callable[[str], float]) -> bool:
    return probability is None or draw(name) < probability
