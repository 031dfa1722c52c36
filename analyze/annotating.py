"""Say something of a session after it was recorded: tags and notes, checked and cleaned before they are written."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from capture.errors import UsageProblem
from capture.realtime.events import storable
from capture.recording.root import Root
from capture.redaction import redact_text
from capture.tagging import VALUE_LIMIT

NOTE_LIMIT = 4096
"""Characters a note may have."""
NAME_LIMIT = 64
"""Characters the name of a tag may have."""


def read_tag(text: str) -> tuple[str, str | None]:
    """Read `NAME=VALUE`; `NAME=` takes the tag away. Raises `UsageProblem` where it does not read."""
    name, separator, value = (part.strip() for part in text.partition("="))
    if not separator or not name or len(name) > NAME_LIMIT or any(character.isspace() for character in name):
        raise UsageProblem(f"a tag is NAME=VALUE, such as cause=network, and NAME= takes it away; not {text!r}")
    if len(value) > VALUE_LIMIT:
        raise UsageProblem(f"the value of tag {name} has {len(value)} characters; {VALUE_LIMIT} are the most")
    return name, value or None


def read_tags(text: str) -> dict[str, str | None]:
    """Read tags set apart by spaces; quotes keep spaces together, as in `cause="bad network" ticket=`."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageProblem(f"the tags {text!r} do not read: {error}") from error
    return dict(map(read_tag, words))


def check_annotatable(root: Root) -> None:
    """Raise `UsageProblem` where nothing can be written down: for before somebody types it in vain."""
    folder = root.annotations if root.annotations.exists() else root.path
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageProblem(f"cannot write tags and notes to {root.annotations}: {folder} is not writable")


def write_tags(tags: Mapping[str, str | None]) -> str:
    """Write tags as `read_tags` reads them."""
    return shlex.join(f"{name}={value or ''}" for name, value in tags.items())


def annotate(
    root: Root,
    session_ids: Sequence[str],
    *,
    tags: Mapping[str, str | None],
    notes: Iterable[str] = (),
    at: datetime | None = None,
) -> None:
    """Give sessions tags and notes; a tag of None is taken away.

    Raises `UsageProblem` where there is nothing to say, it is too long, or it cannot be written.
    """
    # The screens read tags with this module when they start, and must not wait for pyarrow.
    from capture.recording.annotations import add_annotation

    kept = [note.strip() for note in notes if note.strip()]
    if not tags and not kept:
        raise UsageProblem("nothing to write down: give --tag NAME=VALUE, or --note TEXT")
    if longest := next((note for note in kept if len(note) > NOTE_LIMIT), None):
        raise UsageProblem(f"the note has {len(longest)} characters; {NOTE_LIMIT} are the most")
    # People paste error messages, and these may hold a key: secrets never reach disk.
    clean = {storable(name): None if value is None else storable(redact_text(value)) for name, value in tags.items()}
    cleaned = [storable(redact_text(note)) for note in kept]
    now = at or datetime.now(UTC)
    try:
        for session_id in session_ids:
            add_annotation(root, session_id, now, tags=clean, notes=cleaned)
    except OSError as error:
        raise UsageProblem(f"cannot write to {root.annotations}: {error.strerror or error}") from error
