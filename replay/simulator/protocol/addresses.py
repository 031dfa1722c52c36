"""Read where a request goes: region, shape of the origin, path, query, and the credential it shows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

Shape = Literal["azure", "openai"]
"""Whose paths, credentials, headers and refusals an origin has."""

_KEY_SUBPROTOCOL = "openai-insecure-api-key."


@dataclass(frozen=True, slots=True)
class Address:
    """What the head of a request asks for."""

    region: str
    shape: Shape
    path: str
    """Without the region."""
    query: Mapping[str, str]
    """Names in lower case."""
    headers: Mapping[str, str]
    """Names in lower case; several of one name are joined with commas."""

    @property
    def subprotocols(self) -> list[str]:
        """WebSocket subprotocols offered."""
        return [name.strip() for name in self.headers.get("sec-websocket-protocol", "").split(",")]

    @property
    def credential(self) -> str | None:
        """The key or token shown, in any of the places that the origin reads."""
        headers, query = self.headers, self.query
        shown = [_bearer(headers.get("authorization"))]
        if self.shape == "azure":
            shown += [headers.get("api-key"), query.get("api-key"), _bearer(query.get("authorization"))]
        else:
            shown += [
                name.removeprefix(_KEY_SUBPROTOCOL) for name in self.subprotocols if name.startswith(_KEY_SUBPROTOCOL)
            ]
        return next((credential for credential in shown if credential), None)

    def is_let_in(self, keys: Collection[str]) -> bool:
        """Tell whether its credential is one of the keys; with no keys, nobody is asked for one."""
        return not keys or self.credential in keys


def read_address(
    path_and_query: str, headers: Mapping[str, str], regions: Sequence[str], shape: Shape | None = None
) -> Address:
    """Read the head of a request. The first path segment picks the region; without one the first region answers.

    Without a `shape`, paths with `/openai/` behave like Azure's, all others like OpenAI's.
    """
    # No `urlsplit`: of a base URL that ends in a slash it takes the first segment for a host.
    whole, _, query = path_and_query.partition("?")
    first, _, rest = whole.lstrip("/").partition("/")
    region, path = (first, f"/{rest}") if first in regions else (regions[0], whole)
    return Address(
        region,
        shape or ("azure" if path.startswith("/openai/") else "openai"),
        path,
        {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)},
        {name.lower(): value for name, value in headers.items()},
    )


def _bearer(value: str | None) -> str | None:
    scheme, _, token = (value or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
