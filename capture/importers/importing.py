"""Import files of other tools into a root: one session after another, none twice."""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from capture.errors import UsageProblem, WiretapeError
from capture.importers.damaged import Buffer
from capture.importers.har import is_har, read_har
from capture.importers.jsonl import read_jsonl
from capture.importers.recording import ImportedTimes, write_session
from capture.importers.source import SourceSession, Unreadable
from capture.narration import counted
from capture.recording.claim import claimed
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root, session_id_at
from capture.sealing import SealedSession

DIGEST_TAG, FILE_TAG = "import.digest", "import.file"
SHOWN_UNREADABLE = 50
"""Of more parts of a file that cannot be read, only the count is kept."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""Windows PowerShell writes what it redirects as UTF-16."""
_PACKED = {b"\x1f\x8b": "gzip -dk", b"PK\x03\x04": "unzip", b"\x28\xb5\x2f\xfd": "zstd -dk"}
"""How packed files begin, and what unpacks them."""
_NO_MESSAGES = "it holds no WebSocket session that can be read"
_HASHED_AT_ONCE = 1 << 20
_UNPACKED_BYTES = 1 << 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Form(NamedTuple):
    """A form that files have."""

    read: Callable[[Buffer, int], Iterator[SourceSession | Unreadable]]
    what_it_needs: str
    """Behind what is said of a file without any session."""


def _read_cassette(text: Buffer, start: int) -> Iterator[SourceSession | Unreadable]:
    # PyYAML takes 17 ms to import, and few files are cassettes.
    from capture.importers.cassette import read_cassette

    return read_cassette(text, start)


_HAR = _Form(read_har, ": of a HAR only entries with _webSocketMessages are imported")
_CASSETTE = _Form(_read_cassette, ": of a cassette, interactions with a direction and data are imported")
_JSON_LINES = _Form(
    read_jsonl,
    ': a log is to be one JSON object a line, such as {"dir": "sent", "event": {"type": "response.create"}},'
    " with nothing before it",
)


@dataclass(slots=True)
class FileImport:
    """What became of one file."""

    path: Path
    sessions: list[SealedSession] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    """Recordings that this very file was imported as before."""
    unreadable: list[Unreadable] = field(default_factory=list)
    unreadable_count: int = 0
    notes: list[str] = field(default_factory=list)
    """What the file does not hold, in plain words."""
    problem: str | None = None
    """Why nothing of it could be read; None where something could."""

    @property
    def is_done(self) -> bool:
        """Whether something of it is in the root."""
        return bool(self.sessions or self.already)

    def name(self, unreadable: Unreadable) -> None:
        """Take in a part that could not be read."""
        self.unreadable_count += 1
        if len(self.unreadable) < SHOWN_UNREADABLE:
            self.unreadable.append(unreadable)


class Importer:
    """Imports files into one root."""

    def __init__(
        self,
        root: Root,
        *,
        again: bool = False,
        redact: Sequence[str] = (),
        on_progress: Callable[[Path, int, int], None] = lambda _path, _done, _total: None,
    ) -> None:
        """Take the root; `again` imports what is there already once more.

        Raises `UsageProblem` where the root cannot be written to or read.
        `on_progress` gets a file, and of the session at hand how many of how many messages are done.
        """
        self._root = root
        self._again = again
        self._redact = redact
        self._on_progress = on_progress
        self._is_writing = self._is_interrupted = False
        self._known: dict[str, str] = {}
        root.check_writable()
        root.check_readable()

    def interrupt(self) -> None:
        """Take in that the user wants it to end: raises `KeyboardInterrupt`, now or before the next message.

        Raised anywhere while a session is written, it could be lost in a callback of the library that packs audio,
        and with it a piece of that audio.
        """
        if not self._is_writing or self._is_interrupted:
            raise KeyboardInterrupt
        self._is_interrupted = True

    def import_file(self, path: Path) -> FileImport:
        """Import every session of a file; waits while another process imports the same one.

        Raises `UsageProblem` where the file cannot be opened, and `ImportFailed` where the root cannot be written to.
        """
        text = _open(path)
        if unpacking := next((how for begin, how in _PACKED.items() if text[: len(begin)] == begin), None):
            return FileImport(path, problem=f"it is packed: unpack it first, with {unpacking}")
        if text[:2] in _UTF_16_MARKS:
            text = bytes(text).decode("utf-16", "replace").encode("utf-8", "replace")
        digest = _digest(text)
        try:
            with claimed(self._root, digest, f"imports {path.name}"):
                # Now, and not before: what another has just imported of this file is known too.
                self._known = {session_id[-8:]: session_id for session_id in list_session_ids(self._root)}
                return self._import_sessions(path, text, digest)
        except OSError as error:
            raise ImportFailed(f"{path} is not imported whole: {_told(error)}") from error

    def _import_sessions(self, path: Path, text: Buffer, digest: str) -> FileImport:
        done = FileImport(path)
        start = len(_BYTE_ORDER_MARK) if text[: len(_BYTE_ORDER_MARK)] == _BYTE_ORDER_MARK else 0
        form = _form_of(path, text, start)
        for found in form.read(text, start):
            if isinstance(found, Unreadable):
                done.name(found)
            else:
                self._import_session(done, found, digest)
        if not done.is_done:
            done.problem = _NO_MESSAGES + form.what_it_needs
        return done

    def _import_session(self, done: FileImport, source: SourceSession, digest: str) -> None:
        suffix = hashlib.sha256(f"{digest} {source.key}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
        before = self._imported_before(suffix, digest)
        if before is not None and not self._again:
            done.already.append(before)
            return
        times = ImportedTimes(source)
        session_id = _session_id(times.started_ns, secrets.token_hex(4) if suffix in self._known else suffix)
        count = 0

        def step() -> None:
            nonlocal count
            if self._is_interrupted:
                raise KeyboardInterrupt
            count += 1
            if count % 1000 == 0:
                self._on_progress(done.path, count, source.count)

        self._is_writing = True
        try:
            sealed = write_session(
                self._root,
                session_id,
                source,
                times,
                tags={FILE_TAG: _storable_name(done.path), DIGEST_TAG: digest},
                redact=self._redact,
                on_item=step,
                on_unreadable=done.name,
            )
        finally:
            self._is_writing = False
        self._known[session_id[-8:]] = session_id
        done.sessions.append(sealed)
        done.notes += [f"{session_id}: {note}" for note in _notes(source, times)]

    def _imported_before(self, suffix: str, digest: str) -> str | None:
        # The name leads to it, and its tag tells that it is no other session by chance.
        session_id = self._known.get(suffix)
        if session_id is None:
            return None
        try:
            tags = open_recording(self._root, session_id).session["tags"] or {}
        except UsageProblem:
            return None
        return session_id if tags.get(DIGEST_TAG) == digest else None


class NothingImported(WiretapeError):
    """No file held a session that could be read."""

    exit_code = 1


class ImportFailed(WiretapeError):
    """The root could not be written to, or the disk is full; what was imported whole before stays."""


def _notes(source: SourceSession, times: ImportedTimes) -> Iterator[str]:
    if source.count and not times.has_times:
        yield "the file has no times: the order of messages is kept, times and latencies stay empty"
    elif source.count and times.started_ns is None:
        yield "the file's times count from a start that it does not tell: the time of day stays empty"
    if times.has_times and times.missing:
        yield f"{counted(times.missing, 'message')} without a time, or with one before that of the message before"
    missing = [
        name
        for name, value in (("URL", source.url), ("handshake", source.status), ("end", source.end))
        if value is None
    ]
    if missing:
        yield f"the file does not tell: {', '.join(missing)}"


def _session_id(started_ns: int | None, suffix: str) -> str:
    # An id begins with a time. Where the session's is not known it is that of the import, and started_at stays empty.
    at = datetime.now(UTC)
    if started_ns is not None and started_ns >= 0:
        at = _EPOCH + timedelta(seconds=started_ns // 10**9)
    return session_id_at(at, suffix)


def _storable_name(path: Path) -> str:
    # A name is bytes, of any encoding; a column holds text.
    return os.fsencode(path.name).decode("utf-8", "replace")


def _told(error: OSError) -> str:
    return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)


def _form_of(path: Path, text: Buffer, start: int) -> _Form:
    suffix = path.suffix.lower()
    if suffix in (".har", ".zhar") or is_har(text, start):
        return _HAR
    return _CASSETTE if suffix in (".yaml", ".yml") else _JSON_LINES


def _open(path: Path) -> Buffer:
    """Map a file into memory: what has been read of it can be dropped again, however long it is."""
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".zhar":
                return _unpacked(path, file.read())
            if path.stat().st_size == 0:
                return b""
            # It goes with the last slice of it.
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, zlib.error) as error:
        raise UsageProblem(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _unpacked(path: Path, packed: bytes) -> bytes:
    """Unpack a HAR as mitmproxy packs it."""
    stream = zlib.decompressobj()
    text = stream.decompress(packed, _UNPACKED_BYTES)
    # A megabyte can be made to say a gigabyte, and all of it would be held in memory.
    if stream.unconsumed_tail:
        raise UsageProblem(f"{path} unpacks to more than {_UNPACKED_BYTES >> 20} MiB: unpack it to a .har file first")
    if not stream.eof:
        raise UsageProblem(f"{path} cannot be read: it is cut off")
    return text


def _digest(text: Buffer) -> str:
    digest = hashlib.sha256()
    for at in range(0, len(text), _HASHED_AT_ONCE):
        digest.update(text[at : at + _HASHED_AT_ONCE])
    return digest.hexdigest()[:32]
