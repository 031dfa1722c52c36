"""Write a step's message for the new session: its ids, and a truncation within what was received; pure."""

from __future__ import annotations

import json

from capture.realtime.progress import Progress
from replay.id_map import IdMap
from replay.plan import APPEND, Step
from replay.rewrite import Change, clamp_truncation, substitute_ids


def compose(
    step: Step, ids: IdMap, progress: Progress, *, as_recorded: bool = False
) -> tuple[str | bytes, tuple[Change, ...]]:
    """Give a step's message and all that is changed in it; `as_recorded` leaves truncations as they are.

    One that was refused stays, too: it may be what failed.
    What the step refers to has counterparts in the new session, or is sent by its recorded id.
    """
    content = step.content
    if isinstance(content, bytes) or step.type == APPEND:
        return content, step.changes
    changes = list(step.changes)
    if step.references:
        known = {old: ids.find_announced(old) or old for old in step.references}
        content, substituted = substitute_ids(content, known)
        changes += substituted
    if step.type == "conversation.item.truncate" and not (as_recorded or step.was_refused):
        content, clamped = clamp_truncation(content, _received_ms(content, progress))
        changes += clamped
    return content, tuple(changes)


def _received_ms(truncation: str, progress: Progress) -> float:
    received = progress.audio_bytes.get(str(json.loads(truncation).get("item_id")), 0)
    return progress.configuration.output_format.milliseconds(received)
