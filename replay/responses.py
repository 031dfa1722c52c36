"""Change what a recorded client asked for in its response.create messages, in all of them alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from capture.errors import UsageProblem
from capture.realtime.configuration import get_path, list_paths
from capture.realtime.events import parse_event
from replay.paths import nearest_hint
from replay.plan import Plan, Step
from replay.rewrite import is_same, override, unset

Json = dict[str, Any]

CREATE = "response.create"
_COMMON = ("conversation", "metadata", "input", "instructions", "tools", "tool_choice")
_FIELDS = {
    "ga": (
        *_COMMON,
        *("output_modalities", "audio.output.voice", "audio.output.format", "max_output_tokens"),
        *("prompt", "reasoning", "parallel_tool_calls"),
    ),
    "beta": (
        *_COMMON,
        *("modalities", "voice", "output_audio_format", "max_response_output_tokens", "temperature"),
    ),
}
"""What response.create takes in each dialect (protocol section 1.5, and the SDK's types)."""
_OPEN = ("metadata", "prompt", "reasoning", "tool_choice", "audio.output.format", "audio.output.voice")
"""Objects in which a path may go on as it likes."""


def asked_responses(plan: Plan) -> list[Json]:
    """List what the recorded client asked for in each response.create, with `response` at its top."""
    found = []
    for step in _creates(plan):
        response = (parse_event(step.content) or {}).get("response")
        found.append({"response": response if isinstance(response, dict) else {}})
    return found


def response_paths(plan: Plan, dialect: str | None) -> list[str]:
    """List the paths that can be set in the response.create messages of a plan; none where it has no such message."""
    asked = asked_responses(plan)
    fields = [f"response.{name}" for name in _FIELDS.get(dialect or "", (*_FIELDS["ga"], *_FIELDS["beta"]))]
    return list(dict.fromkeys([*_asked_paths(asked), *fields])) if asked else []


def recorded_response(plan: Plan, path: str) -> object:
    """Give what every response.create asked for at a path; None where nothing, or not the same in all."""
    values = [get_path(asked, path) for asked in asked_responses(plan)]
    return values[0] if values and all(is_same(value, values[0]) for value in values) else None


def check_responses(plan: Plan, paths: Sequence[str], unset_paths: Sequence[str], dialect: str | None) -> None:
    """Check that each path can be set in a response.create, and that each to be taken out was asked for.

    Raises `UsageProblem` with the nearest paths, and where the recorded client created no response.
    """
    if not (paths or unset_paths):
        return
    asked = asked_responses(plan)
    if not asked:
        raise UsageProblem(
            f"the recorded client sent no response.create, so {[*paths, *unset_paths][0]!r} changes nothing:"
            " the endpoint answered by itself; set it as session.…"
        )
    recorded, known = _asked_paths(asked), response_paths(plan, dialect)
    for path in paths:
        if path not in known and not path.startswith(tuple(f"response.{name}." for name in _OPEN)):
            hint = nearest_hint(path, known, otherwise=f"nearest are {', '.join(known)}")
            raise UsageProblem(f"response.create has no {path!r}: {hint}")
    for path in unset_paths:
        if path not in recorded:
            hint = nearest_hint(path, recorded, otherwise="it asked for nothing in them")
            raise UsageProblem(f"no recorded response.create asked for {path!r}, so it cannot be unset: {hint}")


def adapt_responses(plan: Plan, overrides: Mapping[str, Any], unset_paths: Iterable[str]) -> Plan:
    """Put values into every response.create of a plan, and take others out; paths begin with `response.`."""
    unset_paths = tuple(unset_paths)
    if not overrides and not unset_paths:
        return plan
    return replace(
        plan,
        steps=tuple(
            _adapt(step, overrides, unset_paths) if step.type == CREATE and isinstance(step.content, str) else step
            for step in plan.steps
        ),
    )


def _adapt(step: Step, overrides: Mapping[str, Any], unset_paths: Sequence[str]) -> Step:
    if parse_event(step.content) is None:
        return step
    [(text, changes)] = override([str(step.content)], overrides)
    text, taken = unset(text, unset_paths)
    return replace(step, content=text, changes=(*step.changes, *changes, *taken)) if changes or taken else step


def _asked_paths(asked: Iterable[Json]) -> list[str]:
    return list(dict.fromkeys(path for tree in asked for path in list_paths(tree) if path != "response"))


def _creates(plan: Plan) -> Iterator[Step]:
    return (step for step in plan.steps if step.type == CREATE and isinstance(step.content, str))
