"""The manifest of a date: which files hold its compacted sessions, and which files those replaced.

It is replaced atomically, and a reader takes compacted files from it alone: so a compaction happens for readers in
the moment in which its manifest is renamed. A session that the manifest names is read from the manifest's files;
any other from its own file.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from capture.errors import UsageProblem
from capture.private_files import make_private_folder, replacing
from capture.recording.root import ID_PATTERN, Root
from capture.regular_files import check_regular

MANIFEST_VERSION = 1
_log = logging.getLogger(__name__)
_OWN_FILE = re.compile(rf"({ID_PATTERN})\.parquet")
_COMPACTED_FILE = re.compile(rf"compacted-({ID_PATTERN})-({ID_PATTERN})-[0-9a-f]{{8}}\.parquet")

Place = Literal["own", "compacted", "foreign"]
"""A session's own file; a file that compaction made; any other."""


class Replaced(msgspec.Struct, frozen=True):
    """Files whose rows lie in the manifest's files now; they wait for their deletion."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    files: tuple[str, ...]
    """Relative to the root."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `manifests/date=YYYY-MM-DD.json` holds."""

    format_version: int
    tables: dict[str, tuple[str, ...]] = {}
    """Table -> its compacted files, relative to the root."""
    session_ids: frozenset[str] = frozenset()
    """The sessions in these files."""
    replaced: Replaced | None = None

    def names(self) -> Iterator[str]:
        """Give all files that it names, relative to the root."""
        for names in self.tables.values():
            yield from names
        if self.replaced is not None:
            yield from self.replaced.files

    def superseded(self) -> frozenset[str]:
        """Give the sessions whose own files, where there still are some, nobody is to read."""
        waiting = self.replaced.files if self.replaced else ()
        return self.session_ids | {
            found for path in waiting if (found := own_session(path.rpartition("/")[2])) is not None
        }


EMPTY = Manifest(format_version=MANIFEST_VERSION)


def place_of(name: str) -> Place:
    """Tell by its name what a table's file is."""
    if _OWN_FILE.fullmatch(name):
        return "own"
    return "compacted" if _COMPACTED_FILE.fullmatch(name) else "foreign"


def own_session(name: str) -> str | None:
    """Give the session whose own file bears this name; None where it is no such file."""
    found = _OWN_FILE.fullmatch(name)
    return found[1] if found else None


def compacted_name(first_id: str, last_id: str) -> str:
    """Make up a new name for a file of these sessions and those between them."""
    return f"compacted-{first_id}-{last_id}-{secrets.token_hex(4)}.parquet"


def may_hold(name: str, session_id: str) -> bool:
    """Tell by the name of a compacted file whether a session may lie in it."""
    found = _COMPACTED_FILE.fullmatch(name)
    return found is None or found[1] <= session_id <= found[2]


def last_session(name: str) -> str:
    """Give the last session of a compacted file, by its name."""
    found = _COMPACTED_FILE.fullmatch(name)
    return found[2] if found else ""


def load_manifest(root: Root, date: str) -> Manifest | None:
    """Read a date's manifest; None where there is none. Raises `UsageProblem` where it cannot be understood."""
    path = root.manifest_file(date)
    try:
        check_regular(path)
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise UsageProblem(f"{path} is no readable manifest: {error}") from error
    if manifest.format_version != MANIFEST_VERSION:
        raise UsageProblem(f"{path} has version {manifest.format_version}: a newer Wiretape wrote it")
    # What it names is read and deleted: a manifest that came with somebody's root may name any file of this machine.
    strange = next((name for name in manifest.names() if not _is_of_date(name, date)), None)
    if strange is not None:
        raise UsageProblem(f"{path} names {strange!r}, which is no file of that date in this root")
    return manifest


def _is_of_date(name: str, date: str) -> bool:
    folder, _, file = name.rpartition("/")
    table, _, partition = folder.partition("/")
    return table.isalpha() and partition == f"date={date}" and place_of(file) != "foreign"


def read_manifest(root: Root, date: str) -> Manifest | None:
    """Read a date's manifest as readers do: one that cannot be understood is named, and passed over."""
    try:
        return load_manifest(root, date)
    except UsageProblem as problem:
        _log.warning("%s; the files of %s are read without it", problem, date)
        return None


def read_manifests(root: Root) -> dict[str, Manifest]:
    """Read the manifests of all dates."""
    return {date: found for date in compacted_dates(root) if (found := read_manifest(root, date)) is not None}


def compacted_dates(root: Root) -> list[str]:
    """List the dates that have a manifest, in order."""
    return sorted(path.stem.removeprefix("date=") for path in root.manifests.glob("date=*.json"))


def save_manifest(root: Root, date: str, manifest: Manifest) -> None:
    """Replace a date's manifest atomically; it is on disk when this returns."""
    make_private_folder(root.manifests)
    with replacing(root.manifest_file(date)) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1))


@contextmanager
def manifests_locked(root: Root) -> Iterator[None]:
    """Hold the right to change manifests and what they name; waits for whoever has it. Readers need none."""
    make_private_folder(root.manifests)
    descriptor = os.open(root.manifests / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("waiting for another process that compacts or prunes %s", root.path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
