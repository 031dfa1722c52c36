"""Read recordings back: which there are, and each one's messages and audio as they were sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby, starmap
from typing import Any, NamedTuple, cast

import msgspec
from rapidfuzz import process

from capture.audio import AudioFormat, AudioType
from capture.errors import UsageProblem
from capture.recording.audio_blocks import BlockDamaged, decode_block
from capture.recording.facts import Sender
from capture.recording.payload import restore_audio
from capture.recording.root import Root
from capture.recording.schema import FORMAT_VERSION
from capture.recording.tables import Row, RowGroup, RowView, TableDamaged, list_ids, read_groups, read_rows

_log = logging.getLogger(__name__)
_UP_TO_SECONDS = len("20260212T083055")
_SHOWN_IDS = 5


class RecordedMessage(msgspec.Struct, frozen=True):
    """One message of a recording, its audio put back."""

    seq: int
    offset_ns: int
    """From the session's start to the arrival of the message's last byte."""
    sender: Sender
    kind: str
    type: str | None
    content: str | bytes
    """As it was sent: text where it is valid UTF-8 of the kinds event, text and http, else bytes."""
    redacted: bool
    """Whether a secret was taken out of the content."""
    event_id: str | None
    item_id: str | None
    response_id: str | None
    call_id: str | None
    row: Mapping[str, Any]
    """All columns of schema.EVENTS; the payload without its audio."""

    @property
    def is_pinned(self) -> bool:
        """Whether it was kept although it lies outside the windows."""
        return bool(self.row.get("pinned"))


# In the order of the message's fields.
_HEAD_COLUMNS = ("seq", "offset_ns", "sender", "kind", "type")
_ID_COLUMNS = ("event_id", "item_id", "response_id", "call_id")
_CONTENT_COLUMNS = ("seq", "payload", "payload_bytes", "audio_track", "audio_at", "audio_start", "audio_bytes")


class TrackSpan(NamedTuple):
    """A stretch of a track without holes, in one format."""

    start_byte: int
    """Where it starts in the track."""
    format: AudioFormat
    audio: bytes


class Recording:
    """A session on disk."""

    def __init__(self, root: Root, session: Row) -> None:
        self.root = root
        self.session = session
        """All columns of schema.SESSIONS; maps are dicts."""

    @property
    def session_id(self) -> str:
        """The recording's id."""
        return cast("str", self.session["session_id"])

    def messages(self) -> Iterator[RecordedMessage]:
        """Give the messages back in the order in which they came, one row group in memory at a time.

        Raises `UsageProblem` where a file of the recording is missing or damaged.
        """
        tracks: dict[str, _TrackReader] = {}
        are_missing = any(self.session[count] for count in ("events_sent", "events_received"))
        try:
            for group in read_groups(self.root, "events", self.session_id):
                are_missing = False
                yield from self._messages_of(group, tracks)
        except TableDamaged as damage:
            raise self._unreadable(str(damage)) from damage
        if are_missing:
            raise self._unreadable("its messages are missing: was all of the root copied?")

    def audio(self, track: str) -> list[tuple[AudioFormat, bytes]]:
        """Give a track's audio as spans of one format each, in the order in which they were sent.

        Where messages were not kept (`sessions.kept` is `window`) the track has a hole, and another span begins.
        """
        return [(span.format, span.audio) for span in self.spans(track)]

    def spans(self, track: str, within: range | None = None) -> list[TrackSpan]:
        """Give a track's audio as `audio` does, with the place of each span in the track.

        `within` are the bytes of the track that are wanted: only the blocks that hold some of them are decoded.
        """
        spans: list[TrackSpan] = []
        blocks = (block for block in self._blocks(track) if within is None or _overlaps(block, within))
        try:
            for stretch in _stretches(blocks):
                audio = b"".join(map(decode_block, stretch))
                spans.append(TrackSpan(stretch[0]["start_byte"], _format_of(stretch[0]), audio))
        except BlockDamaged as damage:
            raise self._unreadable(f"the audio of its track {track} is damaged: {damage}") from damage
        return spans

    def _messages_of(self, group: RowGroup, tracks: dict[str, _TrackReader]) -> Iterator[RecordedMessage]:
        fields = (
            *map(group.column, _HEAD_COLUMNS),
            self._contents(group, tracks),
            map(bool, group.column("redacted")),
            *map(group.column, _ID_COLUMNS),
            map(partial(RowView, group), range(len(group))),
        )
        return starmap(RecordedMessage, zip(*fields, strict=True))

    def _contents(self, group: RowGroup, tracks: dict[str, _TrackReader]) -> Iterator[str | bytes]:
        for seq, payload, other, track, at, start, length in zip(*map(group.column, _CONTENT_COLUMNS), strict=True):
            if payload is None:
                yield other or b""
            elif track is None:
                yield payload
            else:
                if track not in tracks:
                    tracks[track] = _TrackReader(self._blocks(track))
                try:
                    audio = tracks[track].read(start, length)
                except (EOFError, BlockDamaged) as problem:
                    raise self._unreadable(f"the audio of message {seq} is missing or damaged") from problem
                yield restore_audio(payload, at, audio)

    def _blocks(self, track: str) -> Iterator[Row]:
        try:
            yield from read_rows(self.root, "audio", self.session_id, track=track)
        except TableDamaged as damage:
            raise self._unreadable(str(damage)) from damage

    def _unreadable(self, reason: str) -> UsageProblem:
        return UsageProblem(f"recording {self.session_id} cannot be read: {reason}")


class _TrackReader:
    """Gives spans of one track, asked for in ascending order, from as few decoded blocks as needed."""

    def __init__(self, blocks: Iterator[Row]) -> None:
        self._blocks = blocks
        self._audio = b""
        """What is decoded of the track."""
        self._start = 0
        """Where that starts in the track."""
        self._end = 0

    def read(self, start: int, length: int) -> bytes:
        """Give the bytes of a span; raises `EOFError` where the track lacks them."""
        offset = start - self._start
        if offset < 0 or start + length > self._end:
            self._decode_up_to(start, start + length)
            offset = 0
        return self._audio[offset : offset + length]

    def _decode_up_to(self, start: int, end: int) -> None:
        """Drop what lies before the span, and decode what is missing of it."""
        if start < self._start:
            raise EOFError
        pieces = [self._audio[start - self._start :]]
        while self._end < end:
            block = next(self._blocks, None)
            if block is None:
                raise EOFError
            begin = block["start_byte"]
            # A hole before the span is what was not kept; one that reaches into it is damage.
            if not (begin == self._end or self._end < begin <= start):
                raise EOFError
            self._end = begin + block["bytes"]
            if self._end > start:
                pieces.append(decode_block(block)[max(start - begin, 0) :])
        self._start, self._audio = start, b"".join(filter(None, pieces))


def open_recording(root: Root, session_id: str) -> Recording:
    """Open one recording by its whole id (`resolve_session` finds it).

    Raises `UsageProblem` where there is none, its sessions row cannot be read, or its format is a later one.
    """
    try:
        rows = list(read_rows(root, "sessions", session_id))
    except TableDamaged as damage:
        raise UsageProblem(f"recording {session_id} cannot be read: {damage}") from damage
    if not rows:
        raise UsageProblem(f"there is no recording {session_id} in {root.path}")
    version = rows[0]["format_version"]
    if version is not None and version > FORMAT_VERSION:
        # Its columns may mean something else: what is replayed from them would be another session.
        raise UsageProblem(
            f"recording {session_id} was written by a newer wiretape (format {version}): update wiretape"
        )
    return Recording(root, rows[0])


def list_session_ids(root: Root) -> list[str]:
    """List the ids of all recordings of a root, oldest first; files that are none of ours are passed over."""
    root.check_readable()
    return sorted(list_ids(root))


def resolve_session(root: Root, text: str) -> str:
    """Find the session that an id, a unique prefix of one, or `last` means.

    Raises `UsageProblem` naming the nearest ids, or the candidates where several begin so.
    """
    return find_session(root, list_session_ids(root), text)


def find_session(root: Root, ids: list[str], text: str) -> str:
    """Find among ids, the oldest first, what `resolve_session` finds among the recordings of a root."""
    if not ids:
        raise UsageProblem(_why_empty(root))
    if text in ids:
        return text
    if text == "last":
        return _last(root, ids)
    matches = [session_id for session_id in ids if session_id.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageProblem(f"'{text}' begins {len(matches)} recordings: {_shorten(matches)}; give more of the id")
    nearest = [found for found, _, _ in process.extract(text, ids, limit=3)]
    raise UsageProblem(f"no recording matches '{text}' in {root.path}; nearest: {', '.join(nearest)}")


def _last(root: Root, ids: list[str]) -> str:
    # Ids sort by their second of start; within one second only the row tells which came last.
    for _, same_second in groupby(reversed(ids), key=lambda session_id: session_id[:_UP_TO_SECONDS]):
        rows = []
        for session_id in same_second:
            try:
                rows.append(open_recording(root, session_id).session)
            except UsageProblem as problem:
                _log.warning("%s", problem)
        if rows:
            return cast("str", max(rows, key=_started)["session_id"])
    raise UsageProblem(f"none of the {len(ids)} recordings in {root.path} can be read")


def _started(session: Row) -> float:
    return session["started_at"].timestamp() if session["started_at"] else 0.0


def _why_empty(root: Root) -> str:
    return (
        f"there are no recordings in {root.path}: make one with `wiretape capture call`, `wiretape capture import`"
        f" or `wiretape demo`, or give another root with --recordings{root.why_empty()}"
    )


def _shorten(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return ", ".join(ids[:_SHOWN_IDS]) + more


def _stretches(blocks: Iterator[Row]) -> Iterator[list[Row]]:
    """Group blocks that follow each other without a hole, in one format."""
    stretch: list[Row] = []
    for block in blocks:
        if stretch and not _goes_on(stretch[-1], block):
            yield stretch
            stretch = []
        stretch.append(block)
    if stretch:
        yield stretch


def _overlaps(block: Row, within: range) -> bool:
    return bool(block["start_byte"] < within.stop and block["start_byte"] + block["bytes"] > within.start)


def _goes_on(before: Row, block: Row) -> bool:
    follows = before["start_byte"] + before["bytes"] == block["start_byte"]
    return follows and _format_of(before) == _format_of(block)


def _format_of(block: Row) -> AudioFormat:
    return AudioFormat(cast("AudioType", block["format"]), block["rate"])
