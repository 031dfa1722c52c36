"""Record the connections that a program makes by itself: `from capture import record`."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import wraps
from multiprocessing.util import Finalize
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.headers import build_host
from websockets.uri import WebSocketURI

from capture.arguments import parse_redactions
from capture.errors import GuestLog, UsageProblem
from capture.journal import JournalWriter
from capture.keeping import parse_keep
from capture.recorder import Recorder, SessionRecording
from capture.recording.facts import KeepRule
from capture.recording.root import Root, open_root
from capture.redaction import redact_url
from capture.sealer_process import SealerProcess
from capture.sealing import SealedSession
from capture.tap import Tap, TappedConnection, TappedSyncConnection

_log = GuestLog(__name__)

EXIT_WAIT_S = 2.0
"""How long a program that ends waits for its sessions to be sealed; the sealer then finishes without it."""
_LEAST_WAIT_S = 0.1
"""That each root's journals get to be written in, though another root's disk has stalled."""
LOOK_AT_ROOT_S = 0.1
"""How long the first connection waits for word whether its root can be written to."""
CONTEXT_WAIT_S = 60.0
"""How long `with record(…)` waits."""
_LAST = -1_000
"""Priority of what a process of `multiprocessing` does at its end: behind all that the program registers there."""


def record(
    root: Path | str | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    target: str | None = None,
    conversation_key: str | None = None,
    keep: KeepRule | str = "all",
    pre_s: float | None = None,
    post_s: float | None = None,
    redact: Sequence[str] | str = (),
) -> ConnectionRecorder:
    """Give a `create_connection` for `connect` of `websockets`: what connects through it is recorded.

    Every connection is a session of its own in the root (else `$WIRETAPE_RECORDINGS`, else `./recordings`), and
    bears the tags; `target` names the endpoint, else its URL does. `keep`, `pre_s`, `post_s` and `redact` are the
    proxy's options `--keep`, `--pre`, `--post` and `--redact`; raises `UsageProblem` where they cannot be read, or
    the root is empty.
    Nothing that fails later reaches a connection: one that cannot be recorded works all the same, and an error is
    logged.
    """
    if root == "":
        # Of a variable that is not set. As a path it would be the folder that the program happens to be in.
        raise UsageProblem("the root is empty, as of a variable that is not set: name a folder, or give None")
    facts: dict[str, Any] = {
        "tags": {str(name): str(value) for name, value in (tags or {}).items()},
        # Ids of programs are numbers and UUIDs, too: found out at the first connection, nothing would be recorded.
        "target": None if target is None else str(target),
        "conversation_key": None if conversation_key is None else str(conversation_key),
        "keep_rule": _keep_rule(keep, pre_s, post_s),
        "redact": parse_redactions([redact] if isinstance(redact, str) else redact),
    }
    return ConnectionRecorder(open_root(Path(root) if root is not None else None), facts)


def _keep_rule(keep: KeepRule | str, pre_s: float | None, post_s: float | None) -> KeepRule:
    if not isinstance(keep, KeepRule):
        return parse_keep(str(keep), pre_s, post_s)
    if pre_s is not None or post_s is not None:
        raise UsageProblem("a KeepRule has seconds of its own: give pre_s and post_s there")
    # A rule that cannot be read back would be found out in the journal, when the call is over.
    text = f"sample:{keep.sample}" if keep.keep == "sample" else keep.keep
    return parse_keep(text, keep.pre_s, keep.post_s)


class ConnectionRecorder:
    """Makes connections with a tap. As a context manager it waits until what has ended by then is sealed."""

    def __init__(self, root: Root, facts: Mapping[str, Any]) -> None:
        self.root = root
        # In a folder that is gone, as an old release is, there is no whole path: the first connection says so.
        with suppress(FileNotFoundError):
            self.root = Root(root.path.absolute())
        self._facts = facts
        self._unsealed: set[Future[SealedSession]] = set()
        _connection_recorders.add(self)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Make a connection of `websockets.asyncio` or `websockets.sync`, as `connect` there asks for one.

        Raises TypeError where it is anything else that asks.
        """
        first, second = (*arguments, None, None)[:2]
        if isinstance(first, ClientProtocol):
            return TappedConnection(*arguments, tap=self._tap(first), **options)
        if isinstance(second, ClientProtocol) and hasattr(first, "sendall"):
            return TappedSyncConnection(*arguments, tap=self._tap(second), **options)
        raise TypeError("record() is a create_connection for websockets.asyncio.client and websockets.sync.client")

    def patch_websockets(self, url_part: str = "/realtime") -> Patch:
        """Record where no `create_connection` can be given: every connection to a URL that holds this part.

        Holds for `websockets.asyncio.client.connect` in the whole process, from now until `undo`.
        """
        return Patch(self, url_part)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every session that has ended is sealed; False where the time was too short."""
        return not wait(set(self._unsealed), timeout_s).not_done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.wait(CONTEXT_WAIT_S):
            _warn_of_sealing()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unsealed = [asyncio.wrap_future(sealed) for sealed in set(self._unsealed)]
        try:
            async with asyncio.timeout(CONTEXT_WAIT_S):
                # Not in a thread: after Ctrl-C the loop would wait for that one before it ends.
                await asyncio.gather(*unsealed, return_exceptions=True)
        except TimeoutError:
            _warn_of_sealing()

    def forget(self) -> None:
        """Wait for nothing any more, in a forked child: what was recorded before, its parent seals."""
        self._unsealed = set()

    def _tap(self, protocol: ClientProtocol) -> Tap:
        uri = protocol.uri
        # Holding the protocol, the tap would hold the connection, and keep it from being collected.
        return Tap(lambda: self._begin(uri), self._keep_until_sealed)

    def _begin(self, uri: WebSocketURI) -> SessionRecording:
        recorder = _shared_recorder(self.root)
        host = build_host(uri.host, uri.port, uri.secure)
        url = redact_url(f"{'wss' if uri.secure else 'ws'}://{host}{uri.resource_name}")
        known = {**self._facts, "target": self._facts["target"] or url.partition("?")[0]}
        recording = recorder.start_session(recorder.new_facts(host=uri.host, url=url, **known))
        # As it is recorded: a URL that names the target may hold its key.
        _log.info("recording %s as %s", recording.facts.target, recording.session_id)
        return recording

    def _keep_until_sealed(self, sealed: Future[SealedSession]) -> None:
        self._unsealed.add(sealed)
        sealed.add_done_callback(self._unsealed.discard)


def _warn_of_sealing() -> None:
    _log.warning("sealing takes longer than %g s; it goes on", CONTEXT_WAIT_S)


_connection_recorders: weakref.WeakSet[ConnectionRecorder] = weakref.WeakSet()
_recorders: dict[Root, tuple[Recorder, JournalWriter, SealerProcess]] = {}
"""One for each root: a journal has one writer in a process."""
_recorders_lock = threading.Lock()


def close_recorders() -> None:
    """Write the journals out and wait for sealing, up to `EXIT_WAIT_S`; later connections begin anew.

    Called at the exit of the interpreter. Sessions that have not ended stay in the journal, for `recover`.
    A signal's handler that has interrupted the recording of a message closes nothing: the exit does.
    """
    deadline_s = time.monotonic() + EXIT_WAIT_S
    # Held by what such a handler has interrupted, it would be waited for without end.
    if not _recorders_lock.acquire(timeout=EXIT_WAIT_S):
        return
    try:
        closing = list(_recorders.items())
        _recorders.clear()
    finally:
        _recorders_lock.release()
    try:
        # All of them first: what the sealers are handed has to be on disk.
        for root, shared in closing:
            shared[1].close(max(_LEAST_WAIT_S, deadline_s - time.monotonic()))
            if not shared[1].is_closed:
                _recorders.setdefault(root, shared)
    finally:
        for _, (_, journals, sealer) in closing:
            if journals.is_closed:
                sealer.close(max(0.0, deadline_s - time.monotonic()))


def _shared_recorder(root: Root) -> Recorder:
    with _recorders_lock:
        if root not in _recorders:
            # What may fail goes first: the process of a sealer that nobody has would stay, one for each connection.
            _check_writable_soon(root)
            journals = JournalWriter(root.journal)
            sealer = SealerProcess(root)
            recorder = Recorder(root, sealer=sealer, journals=lambda _: journals, is_checked=True)
            _recorders[root] = (recorder, journals, sealer)
            # A process that `multiprocessing` forks ends by `os._exit`, which calls no `atexit`.
            Finalize(None, close_recorders, exitpriority=_LAST)
        return _recorders[root][0]


def _check_writable_soon(root: Root) -> None:
    """Raise `UsageProblem` where the root cannot be written to, if its disk says so at once."""
    checked: Future[None] = Future()

    def check() -> None:
        try:
            root.check_writable()
            checked.set_result(None)
        except Exception as problem:  # noqa: BLE001 - who waits for it judges it
            checked.set_exception(problem)

    threading.Thread(target=check, name="root check", daemon=True).start()
    # The call comes first: on a disk that has stalled, only the thread that writes the journals waits for it.
    with suppress(TimeoutError):
        checked.result(LOOK_AT_ROOT_S)


def _begin_anew_in_child() -> None:
    global _recorders_lock
    # The parent's may have been held when it forked.
    _recorders_lock = threading.Lock()
    for _, _, sealer in _recorders.values():
        sealer.forget()
    _recorders.clear()
    for connection_recorder in _connection_recorders:
        connection_recorder.forget()


atexit.register(close_recorders)
os.register_at_fork(after_in_child=_begin_anew_in_child)


class Patch:
    """A change of `websockets.asyncio.client.connect` that can be undone; as a context manager it undoes itself.

    A connection for which the program gives a `create_connection` of its own is left alone. Of several patches that
    match a URL, the latest records.
    """

    def __init__(self, recorder: ConnectionRecorder, url_part: str) -> None:
        self.recorder = recorder
        self.url_part = url_part
        with _patches_lock:
            _patches.append(self)
            setattr(connect, "__init__", _patched_init)  # noqa: B010 - mypy takes no assignment to a method

    def undo(self) -> None:
        """Leave later connections alone; those that stand are recorded to their end. Undoing again does nothing."""
        with _patches_lock:
            if self in _patches:
                _patches.remove(self)
            # Whoever has patched it after us holds ours, which does nothing without patches.
            if not _patches and connect.__init__ is _patched_init:
                setattr(connect, "__init__", _original_init)  # noqa: B010 - as above

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()


_patches: list[Patch] = []
_patches_lock = threading.Lock()
_original_init: Callable[..., None] = connect.__init__


@wraps(_original_init)
def _patched_init(self: connect, *arguments: Any, **options: Any) -> None:
    uri = arguments[0] if arguments else options.get("uri")
    if options.get("create_connection") is None and isinstance(uri, str):
        matching = [patch for patch in _patches if patch.url_part in uri]
        if matching:
            options["create_connection"] = matching[-1].recorder
    _original_init(self, *arguments, **options)
