"""Record sessions: bytes and facts go to the journal as they come, and are sealed when the session has ended."""

from __future__ import annotations

import builtins
import platform
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import msgspec

from capture.clock import Clock, SystemClock, utc_time
from capture.errors import GuestLog
from capture.frames import FrameCursor
from capture.journal import UNKNOWN_BYTES, Direction, Gap, JournalKeeper, JournalWriter, OpenJournal, Taker
from capture.masking import NO_MASKS, Masks, clean_fact, masks_of
from capture.recording.facts import Fact, HandshakeResponse, Sender, SessionEnd, SessionFacts, encode_fact
from capture.recording.root import Root, new_session_id
from capture.sealing import SealedSession, Sealer

if TYPE_CHECKING:
    from typing import Any

_log = GuestLog(__name__)
_DIRECTIONS: dict[Sender, Direction] = {"client": Direction.CLIENT, "server": Direction.SERVER}


class Recorder:
    """Records the sessions of this process into one root: one journal writer, one sealer.

    Use it as a context manager, or `close` it: closing waits until every ended session is sealed.
    """

    def __init__(
        self,
        root: Root,
        *,
        sealer: Sealer | None = None,
        journals: Callable[[Path], JournalKeeper] | None = None,
        clock: Clock | None = None,
        is_checked: bool = False,
    ) -> None:
        """Take the root; raises `UsageProblem` where it cannot be written to, unless the caller has asked it that.

        `journals` makes what writes them into a folder; by default a thread of this process. `clock` tells when
        sessions start and what their offsets are; by default the computer's.
        """
        # Once calls go on, a disk that fails must not stop them. A wrong folder is told before the first one.
        if not is_checked:
            root.check_writable()
        self.root = root
        self.clock = clock or SystemClock()
        self._journals = (journals or JournalWriter)(root.journal)
        self._sealer = sealer or Sealer(root)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def buffer_high_water(self) -> int:
        """The most bytes that ever waited to be written to the journals of this process."""
        return self._journals.high_water_bytes

    @property
    def unsealed_sessions(self) -> int:
        """How many sessions have ended and wait to be sealed."""
        return self._sealer.waiting

    @property
    def faltered_sessions(self) -> int:
        """How many sessions lost something while they went on: ever, and counted at once."""
        return self._journals.faltered

    def new_facts(self, **known: Any) -> SessionFacts:
        """Begin the facts of a session that starts now; `known` are fields of `SessionFacts`."""
        started_at_ns = self.clock.now_ns()
        return SessionFacts(
            session_id=new_session_id(utc_time(started_at_ns)),
            started_at_us=started_at_ns // 1000,
            recorder_id=platform.node(),
            **known,
        )

    def start_session(self, facts: SessionFacts, *, on_loss: Callable[[str], None] | None = None) -> SessionRecording:
        """Open the journal of a session, with its facts as the first record.

        `on_loss` gets the reason when something is not recorded, once, on any thread; it must return at once and
        leave the recording alone. Raises `UsageProblem` where `facts.redact` has a rule that cannot be applied.
        """
        # Before the journal is made: a rule that cannot be applied must not leave one behind.
        masks = masks_of(facts.redact)
        cleaned = cast("SessionFacts", clean_fact(facts, masks))
        return SessionRecording(cleaned, self._journals.open(facts.session_id, on_loss=on_loss), self, masks)

    def close(self) -> None:
        """Flush the journals and wait for sealing; sessions that were not ended stay in the journal."""
        try:
            self._journals.close()
        finally:
            self._sealer.close()

    def seal(self, session_id: str) -> Future[SealedSession]:
        """Have an ended session sealed, in the sealer's own process."""
        return self._sealer.submit(session_id)


class SessionRecording:
    """One session being recorded. None of its methods raises or waits: the call comes first."""

    def __init__(self, facts: SessionFacts, journal: OpenJournal, recorder: Recorder, masks: Masks = NO_MASKS) -> None:
        self._masks = masks
        self.facts = facts
        self._journal = journal
        self._recorder = recorder
        # The function itself and no method around it: the splice calls it twice a piece.
        self.monotonic_ns: Callable[[], int] = recorder.clock.monotonic_ns
        self._started_ns = self.monotonic_ns()
        self._sealed: Future[SealedSession] | None = None
        self._frames: dict[Sender, FrameCursor] = {"client": FrameCursor(), "server": FrameCursor()}
        self._takers: dict[Sender, Taker] = {
            sender: journal.taker(direction, self._started_ns, self._frames[sender])
            for sender, direction in _DIRECTIONS.items()
        }
        self._journal.append(Direction.FACT, 0, encode_fact(facts))

    @property
    def session_id(self) -> str:
        """The id under which the recording will be found."""
        return self.facts.session_id

    @property
    def ended(self) -> bool:
        """Whether `end` was called."""
        return self._sealed is not None

    def now_ns(self) -> int:
        """Read the session's clock: nanoseconds since its start, monotonic."""
        return self.monotonic_ns() - self._started_ns

    def may_send(self, sender: Sender) -> bool:
        """Whether a frame could be sent in this sender's name: none of its own is in progress, or was its last."""
        frames = self._frames[sender]
        return frames.is_between_frames and not frames.has_closed

    def bytes(self, sender: Sender, chunk: builtins.bytes) -> None:
        """Take a copy of bytes that went over the wire after the 101."""
        self._takers[sender](chunk, self.monotonic_ns())

    def taker(self, sender: Sender) -> Taker:
        """Give what takes copies of one sender's bytes: `bytes` for those to whom each microsecond counts.

        It takes the bytes, and the `monotonic_ns` of this recording at which they came.
        """
        return self._takers[sender]

    def http_body(self, sender: Sender, body: builtins.bytes) -> None:
        """Take the body of a plain HTTP exchange or of a refused upgrade; sealing makes it one `http` row."""
        if body:
            self._journal.append(_DIRECTIONS[sender], self.now_ns(), body)

    def fact(self, fact: Fact) -> None:
        """Note something about the session."""
        if isinstance(fact, HandshakeResponse) and self.facts.redact:
            fact = msgspec.structs.replace(fact, redact=self.facts.redact)
        # What is not to be kept of heads and reasons is known by now: it never reaches the disk.
        self._journal.append(Direction.FACT, self.now_ns(), encode_fact(clean_fact(fact, self._masks)))

    def lose_track(self, reason: str) -> None:
        """Note that from here on bytes of both senders are missing, nobody knows how many."""
        now_ns = self.now_ns()
        for sender in _DIRECTIONS:
            gap = Gap(sender, now_ns, now_ns, UNKNOWN_BYTES, reason)
            self._journal.append(Direction.GAP, now_ns, gap.record().content)

    def end(self, end: SessionEnd | None = None) -> Future[SealedSession]:
        """End the session, once: its journal is closed and then sealed. The future holds the sealed session."""
        if self._sealed is None:
            sealed = self._sealed = Future()
            # Who waits may give up (a task that is cancelled); sealing goes on and has its result all the same.
            sealed.set_running_or_notify_cancel()
            self.fact(self._with_health(end or SessionEnd(offset_ns=self.now_ns())))
            self._journal.close(lambda: self._seal(sealed))
        return self._sealed

    def _with_health(self, end: SessionEnd) -> SessionEnd:
        if end.buffer_high_water is not None:
            return end
        return msgspec.structs.replace(end, buffer_high_water=self._recorder.buffer_high_water)

    def _seal(self, sealed: Future[SealedSession]) -> None:
        # Runs on the writer thread, once the last record is on disk.
        try:
            _chain(self._recorder.seal(self.session_id), sealed)
        except Exception as error:  # noqa: BLE001 - the writer thread must live on; the journal is still there
            _log.warning("session %s could not be sealed yet: %s", self.session_id, error)
            sealed.set_exception(error)


class Unrecorded:
    """Stands in for a recording that could not be started: the call goes on without it."""

    monotonic_ns = staticmethod(time.monotonic_ns)

    def now_ns(self) -> int:
        """Tell the start: nobody reads this clock."""
        return 0

    def http_body(self, sender: Sender, body: builtins.bytes) -> None:
        """Let a body pass."""

    def fact(self, fact: Fact) -> None:
        """Let a fact pass."""

    def end(self, end: SessionEnd) -> Future[SealedSession] | None:  # noqa: ARG002 - as a recording has it
        """End nothing."""
        return None

    def taker(self, sender: Sender) -> Taker:  # noqa: ARG002 - as a recording has it
        """Give what lets bytes pass."""
        return lambda _chunk, _arrived_ns: None

    def may_send(self, sender: Sender) -> bool:  # noqa: ARG002 - as a recording has it
        """Deny it: nobody has followed the frames."""
        return False


def _chain(source: Future[SealedSession], sink: Future[SealedSession]) -> None:
    def copy(done: Future[SealedSession]) -> None:
        error = done.exception()
        if error is not None:
            sink.set_exception(error)
        else:
            sink.set_result(done.result())

    source.add_done_callback(copy)
