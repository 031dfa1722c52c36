"""What a shell is offered for a word that is half typed: sessions, and targets.

All of it is silent: where a root or a file cannot be read, a shell has nothing to offer, and nothing to say.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from typing import Any, ParamSpec

import typer

from capture.recording.root import Root, open_root

Offers = list[tuple[str, str]]
"""Words, each with what is said of it where the shell shows that (zsh, fish)."""

P = ParamSpec("P")

LAST = ("last", "the newest one")
_MOST_SESSIONS = 30
"""The newest so many: the row of each is read, and nobody looks through more."""
_SAID = ("outcome", "target")
# Words and parts of what is said come from recordings, and shells evaluate what they are given: zsh twice.
_UNSAFE = re.compile(r"[^\w .,/@+-]", re.ASCII)
_SAFE_WORD = re.compile(r"[\w.,:/@+=-]+")


def silent(offer: Callable[P, Offers]) -> Callable[P, Offers]:
    """Offer nothing where that fails, and say nothing on the terminal, where somebody is typing."""

    @functools.wraps(offer)
    def quietly(*args: P.args, **kwargs: P.kwargs) -> Offers:
        logging.disable()
        try:
            offers = offer(*args, **kwargs)
            return [(word, _UNSAFE.sub(" ", said)) for word, said in offers if _SAFE_WORD.fullmatch(word)]
        except Exception:  # noqa: BLE001 - whatever it is, somebody is typing
            return []
        finally:
            logging.disable(logging.NOTSET)

    return quietly


def root_typed(ctx: typer.Context) -> Root:
    """Open the root that stands on the command line so far, at a command or before it; else the usual one."""
    # Some releases of typer have a context of their own, whose parent is of another type.
    at: Any = ctx
    while at is not None and not at.params.get("recordings"):
        at = at.parent
    return open_root(at and at.params["recordings"])


@silent
def offer_recordings(ctx: typer.Context, incomplete: str) -> Offers:
    """Offer the newest recordings, each with its outcome and where it went."""
    from capture.recording.all_sessions import read_some_sessions
    from capture.recording.reader import list_session_ids

    root = root_typed(ctx)
    ids = [session_id for session_id in reversed(list_session_ids(root)) if session_id.startswith(incomplete)]
    rows = read_some_sessions(root, ids[:_MOST_SESSIONS], _SAID)
    return [
        (session_id, ", ".join(str(rows[session_id][name] or "") for name in _SAID) if session_id in rows else "")
        for session_id in ids[:_MOST_SESSIONS]
    ]


@silent
def offer_sessions(ctx: typer.Context, incomplete: str) -> Offers:
    """Offer the newest recordings, where `last` may be said too."""
    return [LAST, *offer_recordings(ctx, incomplete)]


@silent
def offer_in_flight(ctx: typer.Context, incomplete: str) -> Offers:  # noqa: ARG001 - typer passes it
    """Offer the sessions that are no recordings yet, the newest first."""
    from capture.live import ids_in_flight

    return [LAST, *((session_id, "in flight") for session_id in reversed(ids_in_flight(root_typed(ctx))))]


@silent
def offer_targets(incomplete: str) -> Offers:  # noqa: ARG001 - typer passes it
    """Offer the names of wiretape.toml, each with its region or host."""
    from capture.targets import load_targets

    return [(name, target.region or target.host) for name, target in load_targets().items()]
