"""Scenario files: what a simulated endpoint does, and what fails where.

docs/simulator.md describes every field. What may fail stands in effects.py, where and when in faults.py.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from capture.errors import UsageProblem
from replay.simulator.client.script import Client, ScenarioClock
from replay.simulator.clips import check_clip, read_text
from replay.simulator.faults.faults import Fault
from replay.simulator.protocol.addresses import Shape
from replay.simulator.quantities import NotNegative, Ordinal, Positive

_FOLDER = Path(__file__).parent / "scenarios"


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The function that the model calls where the session's or the response's tools have it."""

    name: str
    arguments: dict[str, Any] | str = ""
    """A table is streamed as JSON; a string as it stands, right or not."""

    @property
    def arguments_json(self) -> str:
        """The arguments as they are streamed."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the endpoint behaves; the defaults are a healthy one."""

    answer: str = "answer_paris"
    """Name of the clip that the model answers with."""
    answer_speed: Positive = 5.0
    """Audio is streamed so many times faster than it plays."""
    first_delta_ms: NotNegative = 250
    """From the start of a response to its first delta."""
    transcript: str | None = None
    """What every user turn is transcribed as; absent: the text of the clip question_weather."""
    transcription_delay_ms: NotNegative = 400
    """From the commit to the first transcription event."""
    session_max_duration_s: Positive = 3600
    """Age at which a session ends with `session_expired` and close 1001."""
    faults: tuple[Fault, ...] = ()
    shape: Shape | None = None
    """Whose paths, credentials, headers and refusals it has; absent: the path decides."""
    api_key: str | None = None
    """The one key that is right; absent: any credential or none."""
    session_max_idle_s: Positive | None = None
    """Silence of the client after which a session ends with close 1001; absent: never."""
    tokens_per_minute: Ordinal = 15_000_000
    """What the responses of a session may use; where nothing is left, they fail with `rate_limit_exceeded`."""
    tool_call: ToolCall | None = None
    """What the model answers with where the tools have it, until it gets the output; absent: it always speaks."""

    def __post_init__(self) -> None:
        """Refuse a clip that is not shipped."""
        check_clip(self.answer)

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
    expects: str | None = None
    """Signature that what it stages must be named as; absent: its own name; empty: none, it is healthy."""

    @property
    def signature(self) -> str | None:
        """Name of the signature that must be found; None where nothing is wrong."""
        return (self.name if self.expects is None else self.expects) or None


def list_scenarios() -> list[tuple[str, str]]:
    """List the shipped scenarios: name and one line each."""
    scenarios = (read_scenario(path) for path in sorted(_FOLDER.glob("*.toml")))
    return [(scenario.name, scenario.summary) for scenario in scenarios]


def load_scenario(name: str) -> Scenario:
    """Load a shipped scenario by its name, or any other by the path of its file (`….toml`).

    Raises `UsageProblem` with the list, a line each, or the place of a fault in the file.
    """
    if name.endswith(".toml"):
        return read_scenario(Path(name))
    names = [path.stem for path in _FOLDER.glob("*.toml")]
    if name in names:
        return read_scenario(_FOLDER / f"{name}.toml")
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageProblem(f"there is no scenario {name!r}: {hint}take one of these, or the path of a .toml\n{_tabulate()}")


def _tabulate() -> str:
    scenarios = list_scenarios()
    width = max(len(name) for name, _ in scenarios)
    return "\n".join(f"  {name:<{width}}  {summary}" for name, summary in scenarios)


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file; raises `UsageProblem` that names the place of a fault."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Scenario)
    except OSError as error:
        raise UsageProblem(f"the scenario {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageProblem(f"the scenario {path} cannot be read: it is no UTF-8; save it as that") from error
    except msgspec.DecodeError as error:
        raise UsageProblem(f"the scenario {path} is not right: {error}") from error


def unmet_regions(scenario: Scenario, regions: Collection[str]) -> str | None:
    """Say which regions a scenario's faults ask for where none of these is one; None where all can strike."""
    unmet = [fault.when.region for fault in scenario.server.faults if not fault.when.may_hold_in(regions)]
    names = [name for asked in unmet if asked for name in ((asked,) if isinstance(asked, str) else asked)]
    if not names:
        return None
    return f"{scenario.name}: a fault asks for {', '.join(names)}, which is none of the regions: {', '.join(regions)}"


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
