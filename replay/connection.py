"""Ask for a session with another model, query or headers than the recorded handshake had. Pure.

Paths are `connection.model`, `connection.query.NAME` and `connection.header.NAME`. No credential is among them: those
are the target's, from the environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from capture.errors import UsageProblem
from capture.redaction import is_credential_header, is_credential_name, redact_text
from capture.targets import DEPLOYMENT_IN_PATH, HEADER_NAME, belongs_to_the_upgrade
from replay.paths import nearest_hint
from replay.rewrite import Change
from replay.runs import CONNECTION_MODEL, as_text

if TYPE_CHECKING:
    from capture.targets import Target
    from replay.client import Upgrade

QUERY, HEADER = "connection.query.", "connection.header."
_DOCUMENTED = {
    QUERY: ("model", "deployment", "intent", "call_id", "api-version"),
    HEADER: ("openai-beta", "openai-organization", "openai-project", "openai-safety-identifier"),
}
"""Names that endpoints are known to read (protocol sections 3.1, 3.2)."""
_ALIKE = 0.75
"""From which likeness on a name is taken for another one that was misspelt."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A target, and the handshake that it is asked with."""

    target: Target
    upgrade: Upgrade


def check_connection(values: Mapping[str, Sequence[Any]], unset: Sequence[str], asked: Asked) -> None:
    """Check the paths of a connection: those to be set, each with its values, and those to be taken out.

    Raises `UsageProblem` for a path that there is not, for credentials, for what no URL or header can hold, and for
    what is to be taken out and is not there.
    """
    for path in (*values, *unset):
        _check_path(path)
    for path, each in values.items():
        for value in each:
            _check_value(path, value, asked)
    there = _paths_of(asked)
    for path in unset:
        if path == CONNECTION_MODEL or path.lower() not in there:
            hint = nearest_hint(path, there, otherwise="nothing of it can be")
            raise UsageProblem(f"the session is asked for without {path!r}, so it cannot be unset: {hint}")


def find_misspelt(paths: Iterable[str], asked: Sequence[Asked]) -> dict[str, str]:
    """Find names of queries and headers that nobody knows and that are like a known one; gives path -> that path.

    Known is what is documented, and what recordings and targets ask with. A name that is like none is somebody's own,
    and one that is may be: endpoints know more than this, so nothing is refused.
    """
    there = {path for each in asked for path in _paths_of(each)}
    found: dict[str, str] = {}
    for path in paths:
        kind = next((each for each in (QUERY, HEADER) if path.startswith(each)), None)
        if kind is None:
            continue
        known = {*_DOCUMENTED[kind], *(each.removeprefix(kind) for each in there if each.startswith(kind))}
        name = path.removeprefix(kind).lower()
        near = [] if name in known else get_close_matches(name, sorted(known), n=1, cutoff=_ALIKE)
        if near:
            found[path] = kind + near[0]
    return found


def ask_otherwise(asked: Asked, overrides: Mapping[str, Any], unset: Iterable[str]) -> Asked:
    """Set and take out what the paths of a connection name; the upgrade's changes tell of it, against the recording."""
    changes = {path: as_text(value) for path, value in overrides.items()} | dict.fromkeys(unset)
    for path, value in changes.items():
        asked = _with_header(asked, path, value) if path.startswith(HEADER) else _with_query(asked, path, value)
    return asked


def _with_header(asked: Asked, path: str, value: str | None) -> Asked:
    name, target, upgrade = path.removeprefix(HEADER).lower(), asked.target, asked.upgrade
    before = dict(upgrade.headers).get(name)
    kept = [header for header in upgrade.headers if header[0] != name]
    headers = (*kept, *([(name, value)] if value is not None else []))
    # In the target's table it would outrank the recorded one.
    table = {other: each for other, each in target.headers.items() if other.lower() != name}
    return Asked(
        replace(target, headers=table),
        replace(upgrade, headers=headers, changes=(*upgrade.changes, *_change(path, before, value))),
    )


def _with_query(asked: Asked, path: str, value: str | None) -> Asked:
    target, recorded = asked.target, asked.upgrade.path_and_query
    wanted = _changed(target.request_url(recorded).removeprefix(target.origin), path, value)
    # What is composed of target and recording holds from here on, so that neither puts in again what was changed.
    target = replace(target, url=target.origin + wanted, query={})
    path_and_query = _changed(recorded, path, value)
    changes = _change(path, _value_of(recorded, path), value)
    if not urlsplit(wanted).query and urlsplit(path_and_query).query:
        changes += [Change("model", "url", urlsplit(path_and_query).query, "")]
        path_and_query = path_and_query.partition("?")[0]
    changes = [*asked.upgrade.changes, *changes]
    return Asked(target, replace(asked.upgrade, path_and_query=path_and_query, changes=tuple(changes)))


def _change(path: str, before: str | None, after: str | None) -> list[Change]:
    if before == after:
        return []
    texts = ("" if value is None else json.dumps(value, ensure_ascii=False) for value in (before, after))
    return [Change("unset" if after is None else "override", path, *texts)]


def model_in(path_and_query: str) -> str | None:
    """Read the model, or on Azure's preview the deployment, that a URL's path and query ask for."""
    return _value_of(path_and_query, CONNECTION_MODEL)


def _changed(path_and_query: str, path: str, value: str | None) -> str:
    """Put a value into a URL's path and query, or take it out (None)."""
    before, mark, query = path_and_query.partition("?")
    if path == CONNECTION_MODEL and value is not None:
        if DEPLOYMENT_IN_PATH.search(before):
            return DEPLOYMENT_IN_PATH.sub(lambda _: quote(value, safe=""), before) + mark + query
        named = next((name for name in ("deployment", "model") if _pair(query, name)), "model")
        query = _with_pair(_with_pair(query, "model" if named == "deployment" else "deployment", None), named, value)
    else:
        query = _with_pair(query, path.removeprefix(QUERY), value)
    return f"{before}?{query}" if query else before


def _value_of(path_and_query: str, path: str) -> str | None:
    before, _, query = path_and_query.partition("?")
    if path != CONNECTION_MODEL:
        return _pair(query, path.removeprefix(QUERY))
    in_path = DEPLOYMENT_IN_PATH.search(before)
    return unquote(in_path[0]) if in_path else _pair(query, "deployment") or _pair(query, "model")


def _with_pair(query: str, name: str, value: str | None) -> str:
    """Put a pair in the place of those of its name, or at the end; all else stays as it is spelled."""
    made = [] if value is None else [f"{quote(name, safe='')}={quote(value, safe='')}"]
    parts: list[str] = []
    for part in filter(None, query.split("&")):
        if _name_of(part) == name.lower():
            parts, made = [*parts, *made], []
        else:
            parts.append(part)
    return "&".join([*parts, *made])


def _pair(query: str, name: str) -> str | None:
    found = (part.partition("=")[2] for part in query.split("&") if part and _name_of(part) == name.lower())
    return next((unquote_plus(value) for value in found), None)


def _name_of(part: str) -> str:
    return unquote_plus(part.partition("=")[0]).lower()


def _check_path(path: str) -> None:
    if path == CONNECTION_MODEL:
        return
    if path.startswith(QUERY) and (name := path.removeprefix(QUERY)):
        if is_credential_name(name):
            raise UsageProblem(f"{path!r} is a credential: a target has it from the environment (api_key_env)")
        return
    if path.startswith(HEADER) and HEADER_NAME.fullmatch(path.removeprefix(HEADER)):
        name = path.removeprefix(HEADER).lower()
        if is_credential_header(name):
            raise UsageProblem(f"{path!r} is a credential: a target has it from the environment (api_key_env)")
        # The latter says who asks.
        if belongs_to_the_upgrade(name) or name == "user-agent":
            raise UsageProblem(f"{path!r} belongs to the upgrade itself and cannot be changed")
        return
    raise UsageProblem(f"a connection has no {path!r}: it has connection.model, {QUERY}NAME and {HEADER}NAME")


def _check_value(path: str, value: Any, asked: Asked) -> None:
    text = as_text(value)
    if redact_text(text) != text:
        raise UsageProblem(f"the value of {path!r} looks like a credential: a target has those from the environment")
    if path.startswith(HEADER) and not (text.isascii() and text.isprintable()):
        raise UsageProblem(f"the value of {path!r} has a character that no header can hold")
    if path != CONNECTION_MODEL:
        return
    if not isinstance(value, str) or not value.strip():
        raise UsageProblem(f"{path!r}: {value!r} is no name of a model")
    query = urlsplit(asked.target.request_url(asked.upgrade.path_and_query)).query
    if _pair(query, "intent") == "transcription" and not _value_of(f"?{query}", CONNECTION_MODEL):
        raise UsageProblem("a transcription session takes no model in its URL: vary transcription_model")
    if _pair(query, "call_id"):
        raise UsageProblem("the side channel of a call takes no model in its URL: the call has one")


def _paths_of(asked: Asked) -> list[str]:
    query = urlsplit(asked.target.request_url(asked.upgrade.path_and_query)).query
    names = [_name_of(part) for part in query.split("&") if part]
    headers = [name.lower() for name, _ in (*asked.upgrade.headers, *asked.target.headers.items())]
    return list(dict.fromkeys([*(QUERY + name for name in names), *(HEADER + name for name in headers)]))
