"""Make a recording of a source session: the same rows as of a captured one, with the role `imported`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from capture.importers.source import Item, SourceMessage, SourceSession, Unreadable
from capture.importers.times import Moment, Offsets
from capture.journal import Direction, JournalRecord
from capture.masking import clean_fact, masks_of
from capture.recording.claim import claimed
from capture.recording.facts import Fact, HandshakeRequest, HandshakeResponse, SessionEnd, SessionFacts
from capture.recording.root import Root
from capture.recording.writer import SessionWriter
from capture.redaction import redact_headers, redact_text, redact_url
from capture.rows import SessionRows, TableRow
from capture.sealing import SealedSession
from capture.wire import WireMessage

_REGIONAL_HOSTS = (".microsoft.com", ".azure.com", ".azure.cn", ".azure.us")
# Of the regions that offer realtime models; the first label of a regional endpoint's host, and of no resource's.
_REGION_NAMES = """
    australiaeast brazilsouth canadacentral canadaeast centralindia centralus eastus eastus2 francecentral
    germanywestcentral italynorth japaneast japanwest koreacentral northcentralus northeurope norwayeast polandcentral
    qatarcentral southafricanorth southcentralus southeastasia southindia spaincentral swedencentral switzerlandnorth
    switzerlandwest uaenorth uksouth ukwest westcentralus westeurope westus westus2 westus3
"""
_REGIONS = frozenset(_REGION_NAMES.split())


class ImportedTimes:
    """How the times of a session came out."""

    def __init__(self, source: SourceSession) -> None:
        self._offsets = Offsets(source.first_at, source.started_ns)
        self._left = source.count if source.first_at is None else 0
        self.has_times = source.first_at is not None
        self.started_ns = self._offsets.started_ns
        self.missing = 0
        """Messages without a time, or with one before that of the message before."""

    def offset(self, moment: Moment | None) -> tuple[int, bool]:
        """Give a message's offset in nanoseconds, and whether it is a time.

        In a session without any, offsets are below zero, which no measured one is: they count up to the last message.
        """
        if not self.has_times:
            self._left -= 1
            return -self._left - 1, False
        return self._offsets.offset(moment)


def write_session(
    root: Root,
    session_id: str,
    source: SourceSession,
    times: ImportedTimes,
    *,
    tags: dict[str, str],
    redact: Sequence[str] = (),
    on_item: Callable[[], None] = lambda: None,
    on_unreadable: Callable[[Unreadable], None] = lambda _: None,
) -> SealedSession:
    """Write a session's recording; interrupted or failing, it leaves nothing of it.

    Nothing of the source reaches the disk before secrets, and what `redact` names, are taken out. The session is
    claimed meanwhile: it has no journal that would tell others that its files are no leftovers.
    """
    masks = masks_of(redact)
    rows = SessionRows(session_id)
    last_ns = 0 if times.has_times else -1
    with claimed(root, session_id, "removes what was left of it"), SessionWriter(root, session_id) as writer:

        def put(ready: Iterable[TableRow]) -> None:
            for table, row in ready:
                if table == "events":
                    row["wire_bytes"] = None  # no file tells it, not of the body of an answer either
                writer.add(table, row)

        for fact in _opening(session_id, source, times, tags, redact):
            put(rows.tell(clean_fact(fact, masks)))
        for item in source.items():
            on_item()
            last_ns, is_time = times.offset(item.at if isinstance(item, SourceMessage) else None)
            if isinstance(item, Unreadable):
                on_unreadable(item)
            elif times.has_times and not is_time:
                times.missing += 1
            put(_take(rows, item, last_ns, has_time=is_time and times.started_ns is not None))
        if source.body:
            put(rows.feed(JournalRecord(Direction.SERVER, max(last_ns, 0), source.body)))
        for fact in _ending(source, times, last_ns):
            put(rows.tell(clean_fact(fact, masks)))
        put(rows.finish())
        session_row = rows.session_row()
        writer.commit(session_row)
    return SealedSession.from_row(session_id, session_row)


def _take(rows: SessionRows, item: Item, offset_ns: int, *, has_time: bool) -> list[TableRow]:
    if isinstance(item, SourceMessage):
        return rows.take(WireMessage(item.sender, item.kind, item.content, 0, offset_ns), has_time=has_time)
    if item.is_lost:
        rows.pass_over(offset_ns, f"{item.place} of the file: {item.reason}")
    return []


def _opening(
    session_id: str, source: SourceSession, times: ImportedTimes, tags: dict[str, str], redact: Sequence[str]
) -> Iterator[Fact]:
    url = source.url and redact_url(source.url)
    yield SessionFacts(
        session_id=session_id,
        started_at_us=None if times.started_ns is None else times.started_ns // 1000,
        role="imported",
        target=url,
        region=_region_of(url),
        remote_ip=redact_text(source.remote_ip) if source.remote_ip else None,
        url=url,
        tags={**tags, **source.tags},
        redact=list(redact),
    )
    if source.request_headers is not None:
        path = _path_of(url or "")
        headers = redact_headers(source.request_headers)
        yield HandshakeRequest(offset_ns=0, method=source.method, path=path, headers=headers)
    # Messages say that the WebSocket stood, whatever the status; without one the answer's headers are told as nothing.
    if source.status is not None:
        headers = redact_headers(source.response_headers or ())
        yield HandshakeResponse(offset_ns=0, status=source.status, headers=headers, redact=list(redact))


def _ending(source: SourceSession, times: ImportedTimes, last_ns: int) -> Iterator[Fact]:
    end = source.end
    if end is None:
        return
    offset_ns = last_ns
    if times.has_times and end.at is not None:
        offset_ns = max(times.offset(end.at)[0], last_ns)
    yield SessionEnd(
        offset_ns=offset_ns,
        end_reason=end.reason and redact_text(end.reason),
        close_code=end.close_code,
        close_reason=end.close_reason and redact_text(end.close_reason),
    )


def _region_of(url: str | None) -> str | None:
    """Tell the region where the host is a regional endpoint; a resource's name may name one and lie elsewhere."""
    host = _split_host(url or "").lower()
    label = host.partition(".")[0]
    return label if label in _REGIONS and host.endswith(_REGIONAL_HOSTS) else None


def _split_host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _path_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
