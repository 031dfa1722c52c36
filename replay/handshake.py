"""The dialect of an endpoint, and what a handshake says in each of them (protocol sections 3.1, 3.2). Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from replay.rewrite import Change
from replay.transposition import Spoken

if TYPE_CHECKING:
    from capture.targets import Target

PREVIEW_API_VERSION = "2025-04-01-preview"
BETA_HEADER = ("openai-beta", "realtime=v1")
_BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
_AZURE_PREVIEW = re.compile(r"/openai(?:/deployments/[^/]+)?/realtime/?$")
_AZURE_GA = re.compile(r"/openai/v1/realtime/?$")
_SESSION_PATH = re.compile(r"(?P<before>.*?)(?P<azure>/openai)?(?:/v1|/deployments/(?P<deployment>[^/]+))?/realtime/?$")
_SESSION_PATH_OF_API = re.compile(r"/openai/.*realtime/?$|/v1/realtime/?$")
_OPENAI_HOST = "api.openai.com"


@dataclass(frozen=True, slots=True)
class Handshake:
    """What of an upgrade tells its dialect."""

    path_and_query: str
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""
    subprotocols: tuple[str, ...] = ()


def dialect_of_target(target: Target, recorded_url: str, recorded: str | None) -> Spoken | None:
    """Tell which dialect a target speaks: as configured, by its URL, else as the recording does.

    The endpoint of the recording itself is spoken to as it was then. None where nothing tells: the recording has
    no mark of a dialect, or of another protocol.
    """
    if target.dialect is not None:
        return target.dialect
    spoken: Spoken | None = "ga" if recorded == "ga" else "beta" if recorded == "beta" else None
    ours, theirs = urlsplit(target.url), urlsplit(recorded_url)
    own_path = ours.path if ours.path.strip("/") else ""
    query = {name.lower() for name in [*dict(parse_qsl(ours.query, keep_blank_values=True)), *target.query]}
    has_version = "api-version" in query
    is_same = (ours.netloc, own_path or theirs.path) == (theirs.netloc, theirs.path)
    if is_same and (not has_version or "api-version=" in theirs.query.lower()):
        return spoken
    if has_version or _AZURE_PREVIEW.search(own_path):
        return "beta"
    # On the first a beta session is refused with 401; the second has not known it since May 2026.
    if _AZURE_GA.search(own_path) or target.host == _OPENAI_HOST:
        return "ga"
    return spoken


def asked_in(target: Target, dialect: Spoken) -> Target:
    """Give a target as it is asked for sessions of one dialect, whatever it speaks otherwise.

    Where its own URL is that of the other dialect, path and query are those of this one.
    """
    ours = urlsplit(target.url)
    has_version = "api-version" in {name.lower() for name in [*dict(parse_qsl(ours.query)), *target.query]}
    is_beta = has_version or bool(_AZURE_PREVIEW.search(ours.path))
    is_ga = not is_beta and bool(_AZURE_GA.search(ours.path))
    if (is_beta and dialect == "ga") or (is_ga and dialect == "beta"):
        path_and_query = ours._replace(scheme="", netloc="").geturl()
        transposed = _transpose_path(path_and_query, dialect, is_azure="/openai/" in ours.path)
        # In the table it would outrank the URL's.
        table = {name: value for name, value in target.query.items() if name.lower() != "api-version"}
        if not ours.query:
            # A target without a query takes the recording's, and the model in it; only the version is the path's.
            transposed = transposed.partition("?")[0]
            table |= {"api-version": PREVIEW_API_VERSION} if dialect == "beta" else {}
        target = replace(target, url=f"{target.origin}{transposed}", query=table)
    return replace(target, dialect=dialect)


def is_shaped_otherwise(target: Target, path_and_query: str) -> bool:
    """Tell whether a target's URL is of Azure's shape and the recorded one is not, or the other way round."""
    own_path = urlsplit(target.url).path
    is_gateway = own_path.strip("/") and not _SESSION_PATH_OF_API.search(own_path)
    if is_gateway and target.provider not in ("azure", "openai"):
        # What stands behind it is for all we know what was recorded.
        return False
    return _is_azure(target, path_and_query) != ("/openai/" in urlsplit(path_and_query).path)


def transpose_handshake(asked: Handshake, target: Target, to: Spoken) -> tuple[Handshake, list[Change]]:
    """Ask a target for a session of one dialect as a recorded client asked an endpoint of another dialect or shape."""
    path_and_query = _transpose_path(asked.path_and_query, to, is_azure=_is_azure(target, asked.path_and_query))
    headers = [header for header in asked.headers if header[0] != BETA_HEADER[0]]
    subprotocols = tuple(name for name in asked.subprotocols if name != _BETA_SUBPROTOCOL)
    # Azure's preview is known by its api-version.
    if to == "beta" and "api-version=" not in target.request_url(path_and_query):
        headers.append(BETA_HEADER)
    made = Handshake(path_and_query, tuple(headers), subprotocols)
    return made, _changes(asked, made, has_own_path=bool(urlsplit(target.url).path.strip("/")))


def _transpose_path(path_and_query: str, to: Spoken, *, is_azure: bool) -> str:
    parts = urlsplit(path_and_query)
    found = _SESSION_PATH.fullmatch(parts.path)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    named = {name.lower(): value for name, value in pairs}
    model = named.get("deployment") or named.get("model") or (found["deployment"] if found else None)
    rest = [(name, value) for name, value in pairs if name.lower() not in ("deployment", "model", "api-version")]
    preview = to == "beta" and is_azure
    query = [("api-version", PREVIEW_API_VERSION)] if preview else []
    query += [("deployment" if preview else "model", model)] if model else []
    path = parts.path
    if found:
        path = found["before"] + (
            "/openai/realtime" if preview else "/openai/v1/realtime" if is_azure else "/v1/realtime"
        )
    return f"{path}?{urlencode([*query, *rest], quote_via=quote)}" if query or rest else path


def _is_azure(target: Target, path_and_query: str) -> bool:
    own_path = urlsplit(target.url).path
    if own_path.strip("/"):
        return "/openai/" in own_path or target.provider == "azure"
    if target.provider in ("azure", "openai"):
        return target.provider == "azure"
    if target.host == _OPENAI_HOST or target.is_azure:
        return target.host != _OPENAI_HOST
    return "/openai/" in urlsplit(path_and_query).path


def _changes(before: Handshake, after: Handshake, *, has_own_path: bool) -> list[Change]:
    changes = []
    # A path that the target has is its address, and no change.
    compared = [
        urlsplit(each.path_and_query).query if has_own_path else each.path_and_query for each in (before, after)
    ]
    if compared[0] != compared[1]:
        changes.append(Change("dialect", "url", before.path_and_query, after.path_and_query))
    was, now = (dict(handshake.headers).get(BETA_HEADER[0]) for handshake in (before, after))
    if was != now:
        header_texts = (json.dumps(value) if value else "" for value in (was, now))
        changes.append(Change("dialect", f"headers.{BETA_HEADER[0]}", *header_texts))
    if before.subprotocols != after.subprotocols:
        texts = (json.dumps(names) for names in (before.subprotocols, after.subprotocols))
        changes.append(Change("dialect", "subprotocols", *texts))
    return changes
