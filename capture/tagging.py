"""Tags that a client gives its own call, in `X-Wiretape-Tag-…` request headers; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from capture.redaction import is_credential_name, redact_headers

VALUE_LIMIT = 256
"""Characters a tag's value may have."""
TAGS_LIMIT = 32
"""Tags that one request may give."""

_PREFIX = "x-wiretape-tag-"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class HeaderTags:
    """What a request's headers say of its session."""

    tags: dict[str, str]
    """By lower-case name, without the prefix."""
    refused: list[str]
    """Why which tag was not taken; names only, a value may be a secret."""


def is_tag_header(name: str) -> bool:
    """Tell whether a header of this name is a tag, for the recorder and not for the endpoint."""
    return name.lower().startswith(_PREFIX)


def read_tags(headers: Iterable[tuple[str, str]]) -> HeaderTags:
    """Read the tags of a request: of a name given twice the first, and no more than `TAGS_LIMIT`."""
    tags: dict[str, str] = {}
    refused: list[str] = []
    for header, raw in headers:
        if not is_tag_header(header):
            continue
        name, value = header.lower().removeprefix(_PREFIX), _text(raw)
        problem = _problem(name, value, tags)
        if problem is None:
            tags[name] = value
        else:
            refused.append(f"{name[:64]!r} {problem}")
    return HeaderTags(tags, refused)


def merge_tags(of_all: Mapping[str, str], of_this: Mapping[str, str]) -> dict[str, str]:
    """Join the tags of every session with one session's own, which win: they are nearer to the call."""
    return {name: value for name, value in of_all.items() if name.lower() not in of_this} | dict(of_this)


def conversation_key(tags: Mapping[str, str], tag_name: str) -> str | None:
    """Find the key that the sockets of one call share; None where the session has no such tag."""
    return next((value for name, value in tags.items() if name.lower() == tag_name.lower() and value), None)


def _text(raw: str) -> str:
    """Read a header value, which HTTP hands over as Latin-1, as the UTF-8 that clients mean."""
    try:
        return raw.encode("latin-1").decode()
    except UnicodeError:
        return raw


def _problem(name: str, value: str, taken: Mapping[str, str]) -> str | None:
    if not _NAME.fullmatch(name):
        return "is no name: letters, digits, dots, dashes and underscores, 64 at most"
    # A tag is shown wherever the session is; a credential does not belong there.
    if is_credential_name(name) or redact_headers([(name, value)]) != [(name, value)]:
        return "is a credential's name"
    # A shortened id would be another call's.
    if not value or len(value) > VALUE_LIMIT or not value.isprintable():
        return f"has no value of 1 to {VALUE_LIMIT} printable characters"
    if name in taken:
        return "was given twice"
    return None if len(taken) < TAGS_LIMIT else f"is one more than {TAGS_LIMIT}"
