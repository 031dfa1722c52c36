"""What holds for all sessions of a proxy: how long it waits for whom, and what is recorded of each; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capture.recording.facts import KeepRule
from capture.tagging import conversation_key, merge_tags


@dataclass(frozen=True)
class RelayLimits:
    """How long the relay waits for a peer, and for how many there is room."""

    head_s: float = 10
    """For a client's TLS handshake, and for its request head."""
    connect_s: float = 10
    """For the connection to the endpoint, a forward proxy and TLS included."""
    answer_s: float = 60
    """For the endpoint's response head."""
    linger_s: float = 5
    """For the rest of one direction once the other has ended."""
    waiting: int = 128
    """Clients without a whole request that are waited for, over TLS eight times as many; beyond, and where there is no
    room for one more connection, those that came `waiting_s` ago are dropped."""
    waiting_s: float = 1
    connections: int | None = None
    """How many clients are carried at a time; None for as many as come."""
    refused: int = 32
    """How many beyond these are waited for, to be told so; the others are dropped at once."""


@dataclass(frozen=True)
class RecordingPolicy:
    """What holds for every session of a proxy."""

    tags: Mapping[str, str] = field(default_factory=dict)
    conversation_tag: str = "conversation"
    """Name of the tag that the sockets of one call share."""
    keep_rule: KeepRule | None = None
    redact: Sequence[str] = ()
    is_strict: bool = False
    """End a call of which something could not be recorded, where otherwise the call comes first."""

    def facts(self, tags: Mapping[str, str]) -> dict[str, Any]:
        """Give the fields of `SessionFacts` that the policy decides, for a session with these tags of its own."""
        merged = merge_tags(self.tags, tags)
        return {
            "tags": merged,
            "conversation_key": conversation_key(merged, self.conversation_tag),
            "keep_rule": self.keep_rule,
            "redact": list(self.redact),
        }
