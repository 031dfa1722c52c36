"""A root: the folder that holds recordings, and the names of everything in it."""

from __future__ import annotations

import os
import secrets
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from capture.errors import UsageProblem

ROOT_VARIABLE = "WIRETAPE_RECORDINGS"
ID_PATTERN = r"\d{8}T\d{6}-[0-9a-f]{8}"
"""Pattern of a session's id."""
_USUAL = "recordings"
_TABLES = ("sessions", "events", "audio", "divergences", "rewrites")
_ID_TIME = "%Y%m%dT%H%M%S"
_LONGEST_NAME_BYTES = 255
"""Of a file or folder, on nearly every disk."""


@dataclass(frozen=True)
class Root:
    """Where recordings live; nothing is created until something is written."""

    path: Path

    @property
    def journal(self) -> Path:
        """Sessions in flight, one file each."""
        return self.path / "journal"

    @property
    def quarantine(self) -> Path:
        """Journals that could not be sealed twice."""
        return self.journal / "quarantine"

    @property
    def runs(self) -> Path:
        """One JSON file a run of replay."""
        return self.path / "runs"

    @property
    def annotations(self) -> Path:
        """Tags and notes that were given later."""
        return self.path / "annotations"

    @property
    def manifests(self) -> Path:
        """One JSON file a date that was compacted."""
        return self.path / "manifests"

    def manifest_file(self, date: str) -> Path:
        """Name the manifest of a date: `manifests/date=YYYY-MM-DD.json`."""
        return self.manifests / f"date={date}.json"

    @property
    def words(self) -> list[str]:
        """Words that name it for a command; none where it is the root that is taken unasked."""
        is_usual = str(self.path) == _USUAL and not os.environ.get(ROOT_VARIABLE)
        return [] if is_usual else ["--recordings", str(self.path)]

    def command(self, line: str) -> str:
        """Give a command, written for a shell, that is asked of this root."""
        return " ".join([line, *map(shlex.quote, self.words)])

    def check_readable(self) -> None:
        """Raise `UsageProblem` where the root, or a folder of it, cannot be read: it must not look empty."""
        self._check_path()
        try:
            is_file = self.path.exists() and not self.path.is_dir()
        except PermissionError as error:
            raise UsageProblem(f"{self.path} cannot be read: check its permissions, or give another root") from error
        except OSError as error:
            raise UsageProblem(f"{self.path} cannot be read: {error.strerror}; give another root") from error
        if is_file:
            raise UsageProblem(f"{self.path} is a file: name the folder that holds recordings")
        tables = [self.table(name) for name in _TABLES]
        folders = (self.path, self.journal, self.runs, self.annotations, self.manifests, *tables)
        # Looked for one after the other: in a folder that cannot be read none is found.
        for folder in chain(folders, (date for table in tables for date in table.glob("date=*"))):
            if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
                raise UsageProblem(f"{folder} cannot be read: check its permissions, or give another root")

    def why_empty(self) -> str:
        """Say what a root without a recording was perhaps meant to be, behind a semicolon; else nothing."""
        if below := next(self.path.glob("*/sessions"), None):
            return f"; {below.parent} looks like a root"
        if any(self.table("events").glob("date=*")):
            return "; it has events and no sessions: was all of it copied?"
        return ""

    def check_writable(self) -> None:
        """Raise `UsageProblem` where no recording can be written: the root is no folder, or not ours to write to."""
        self._check_path()
        folders = (self.journal, *self.journal.parents)
        # A link that leads nowhere, as to a volume that is not mounted, is there too; what is below a folder of
        # somebody else's is not: what matters is that folder.
        nearest = next(folder for folder in folders if os.path.lexists(folder) or folder == folders[-1])
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise UsageProblem(
                f"no recordings can be written to {self.path}: {nearest} is"
                f" {'not writable' if nearest.is_dir() else 'no folder'}; give another root with --recordings, or in"
                f" {ROOT_VARIABLE}"
            )

    def _check_path(self) -> None:
        try:
            str(self.path.absolute()).encode()
        except FileNotFoundError as error:
            raise UsageProblem(
                "the folder that this is run in is gone: change to one that is there, or give --recordings with the"
                " whole path"
            ) from error
        except UnicodeEncodeError as error:
            # Neither Arrow nor DuckDB opens a file below it.
            raise UsageProblem(f"the path of {self.path} is not UTF-8: rename it, or give another root") from error
        if any(len(part.encode()) > _LONGEST_NAME_BYTES for part in self.path.parts):
            raise UsageProblem(
                f"{self.path} has a name of more than {_LONGEST_NAME_BYTES} bytes in it: give another root"
            )

    def journal_of(self, session_id: str) -> Path:
        """Name the journal of a session in flight."""
        return self.journal / f"{session_id}.journal"

    def quarantined(self, session_id: str) -> Path:
        """Name the journal of a session that could not be sealed, where it is put aside."""
        return self.quarantine / self.journal_of(session_id).name

    def table(self, name: str) -> Path:
        """Name the folder of one table."""
        return self.path / name

    def table_file(self, name: str, session_id: str) -> Path:
        """Name the file of one session in one table: `NAME/date=YYYY-MM-DD/SESSION.parquet`."""
        return self.date_folder(name, date_of(session_id)) / f"{session_id}.parquet"

    def date_folder(self, name: str, date: str) -> Path:
        """Name the folder of one date in one table."""
        return self.path / name / f"date={date}"


def date_of(session_id: str) -> str:
    """Give the UTC day in a session's id, as `YYYY-MM-DD`."""
    return f"{session_id[:4]}-{session_id[4:6]}-{session_id[6:8]}"


def open_root(path: Path | None = None) -> Root:
    """Open the given folder, else `$WIRETAPE_RECORDINGS`, else `./recordings`."""
    return Root(path or Path(os.environ.get(ROOT_VARIABLE) or _USUAL))


def new_session_id(started_at: datetime | None = None) -> str:
    """Make a sortable session id: UTC time to the second and 32 random bits."""
    return session_id_at(started_at or datetime.now(UTC), secrets.token_hex(4))


def session_id_at(at: datetime, suffix: str) -> str:
    """Make the id of a session that began then; the suffix is 8 hexadecimal digits."""
    return f"{at.astimezone(UTC):{_ID_TIME}}-{suffix}"


def started_at_by(session_id: str) -> datetime | None:
    """Give the time in a session's id, to the second; None where it begins with no time."""
    try:
        return datetime.strptime(session_id[:15], _ID_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
