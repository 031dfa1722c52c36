"""`record()`: connections of a program's own, recorded by a process that runs none of that program's code."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.sync.client import connect as connect_in_thread

from capture import record
from capture.attach import close_recorders
from capture.errors import UsageProblem
from capture.journal.counters import sweep_counts
from capture.journal.shared_memory import SHARED_MEMORY, name_for
from capture.private_files import make_private_folder
from capture.recording.facts import KeepRule
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealer_process import SealerProcess
from capture.sealing import leftover_journals
from tests.noise import noise

pytestmark = pytest.mark.codec

SECRET = "s3cr3t-k3y-of-4-t3st"
MESSAGES: list[str | bytes] = ["", '{"type":"a"}', "x" * 70_000, b"\x00\xff", noise(1 << 20)]


@pytest.fixture(autouse=True)
def _recorders_end_with_the_test() -> Iterator[None]:
    yield
    close_recorders()


@asynccontextmanager
async def endpoint(handler: Any = None, **options: Any) -> AsyncIterator[str]:
    async with serve(handler or echo, "127.0.0.1", 0, max_size=None, **options) as server:
        yield f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def echo(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def say_hello(url: str, **options: Any) -> None:
    async with connect(url, **options) as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"


def say_hello_in_thread(url: str, **options: Any) -> None:
    with connect_in_thread(url, **options) as connection:
        connection.send("hello")
        assert connection.recv() == "hello"


def only_recording(root: Root) -> Recording:
    (session_id,) = list_session_ids(root)
    return open_recording(root, session_id)


def contents(recording: Recording, sender: str) -> list[str | bytes]:
    kinds = ("event", "text", "binary")
    return [message.content for message in recording.messages() if message.sender == sender and message.kind in kinds]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_every_message_is_in_the_recording(root: Root, compression: str | None) -> None:
    async with endpoint() as host, record(root.path, tags={"call": "c-1"}, conversation_key="k-1") as tap:
        url = f"ws://{host}/v1/realtime?model=m&api-key={SECRET}"
        async with connect(url, create_connection=tap, compression=compression, max_size=None) as connection:  # type: ignore[arg-type]
            for message in MESSAGES:
                await connection.send(message)
                assert await connection.recv() == message
    found = only_recording(root)
    assert contents(found, "client") == contents(found, "server") == MESSAGES
    session = found.session
    assert session["url"] == f"ws://{host}/v1/realtime?model=m&api-key=[redacted]"
    assert (session["target"], session["host"]) == (f"ws://{host}/v1/realtime", "127.0.0.1")
    assert (dict(session["tags"]), session["conversation_key"]) == ({"call": "c-1"}, "k-1")
    assert (session["close_code"], session["closed_by"], session["complete"]) == (1000, "client", True)
    assert (session["relay_lag_p50_us"], session["backpressure_client_ms"]) == (None, None)
    assert not [path for path in root.path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_connection_with_threads_is_recorded_the_same(root: Root, compression: str | None) -> None:
    def converse(url: str) -> None:
        with connect_in_thread(url, create_connection=tap, compression=compression, max_size=None) as connection:  # type: ignore[arg-type]
            for message in MESSAGES:
                connection.send(message)
                assert connection.recv() == message

    async with endpoint() as host, record(root.path, target="mine") as tap:
        await asyncio.to_thread(converse, f"ws://{host}/v1/realtime")
    found = only_recording(root)
    assert contents(found, "client") == contents(found, "server") == MESSAGES
    assert (found.session["close_code"], found.session["closed_by"], found.session["target"]) == (
        1000,
        "client",
        "mine",
    )


@pytest.mark.parametrize("threads", [False, True])
async def test_inside_tls(root: Root, threads: bool) -> None:
    authority = trustme.CA()
    server_tls, client_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    authority.configure_trust(client_tls)
    # `websockets.sync` reads in one thread and writes in another. Before Python 3.13 a ticket that is read just then
    # swallows what is written (34 of 10,000 connections without a tap, none of 10,000 without tickets).
    server_tls.num_tickets = 0

    def converse(url: str) -> None:
        with connect_in_thread(url, create_connection=tap, ssl=client_tls) as connection:  # type: ignore[arg-type]
            connection.send("hello")
            assert connection.recv() == "hello"

    async with endpoint(ssl=server_tls) as host, record(root.path) as tap:
        if threads:
            await asyncio.to_thread(converse, f"wss://{host}/v1/realtime")
        else:
            await say_hello(f"wss://{host}/v1/realtime", create_connection=tap, ssl=client_tls)
    found = only_recording(root)
    assert contents(found, "client") == contents(found, "server") == ["hello"]
    assert (found.session["url"], found.session["remote_ip"]) == (f"wss://{host}/v1/realtime", "127.0.0.1")


def test_on_uvloop(root: Root) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def converse() -> None:
        async with endpoint() as host, record(root.path) as tap:
            await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(converse())
    found = only_recording(root)
    assert contents(found, "client") == contents(found, "server") == ["hello"]


async def test_a_refused_upgrade_is_recorded_with_its_body(root: Root) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(403, "not from here")

    async with endpoint(process_request=refuse) as host, record(root.path) as tap:
        with pytest.raises(InvalidStatus):
            await connect(f"ws://{host}/v1/realtime", create_connection=tap)  # type: ignore[arg-type]
    found = only_recording(root)
    assert (found.session["handshake_status"], found.session["outcome"]) == (403, "failed")
    assert [message.content for message in found.messages()] == ["not from here"]


async def test_a_server_that_vanishes_is_said(root: Root) -> None:
    async def vanish(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with endpoint(vanish) as host, record(root.path) as tap:
        with pytest.raises(ConnectionClosed):
            await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    session = only_recording(root).session
    assert (session["close_code"], session["closed_by"]) == (1006, "server")
    assert session["end_reason"] == "end of stream from the server"


async def test_a_root_that_cannot_be_written_costs_the_call_nothing(
    root: Root, caplog: pytest.LogCaptureFixture
) -> None:
    root.path.parent.mkdir(exist_ok=True)
    root.path.touch()
    async with endpoint() as host, record(root.path) as tap:
        await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    assert [entry.message for entry in caplog.records if "is not recorded" in entry.message] != []


async def test_a_call_does_not_wait_for_the_disk_of_its_root(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = threading.Event()

    def slow(look: Any) -> Any:
        def waiting(*arguments: Any) -> Any:
            # Whoever waits for the disk on the call's way keeps the event from being set.
            if not mounted.wait(20):
                raise OSError("the disk does not answer")
            return look(*arguments)

        return waiting

    monkeypatch.setattr(Root, "check_writable", slow(Root.check_writable))
    monkeypatch.setattr("capture.journal.writer.sweep_counts", slow(sweep_counts))
    monkeypatch.setattr("capture.journal.counters.name_for", slow(name_for))
    monkeypatch.setattr("capture.journal.file.make_private_folder", slow(make_private_folder))
    monkeypatch.setattr("capture.sealer_process.leftover_journals", slow(leftover_journals))
    async with endpoint() as host, record(root.path) as tap:
        await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
        assert not mounted.is_set()
        mounted.set()
    found = only_recording(root)
    assert contents(found, "client") == contents(found, "server") == ["hello"]
    assert (found.session["complete"], found.session["lost_bytes"]) == (True, 0)


async def test_a_program_whose_folder_is_gone_as_an_old_release_is_goes_on_with_its_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = tmp_path / "release"
    release.mkdir()
    monkeypatch.chdir(release)
    release.rmdir()
    async with endpoint() as host:
        await say_hello(f"ws://{host}/v1/realtime", create_connection=record())
    (told,) = (entry.message for entry in caplog.records if entry.levelno == logging.ERROR)
    assert "a session is not recorded: the folder that this is run in is gone: change to one that is there" in told


async def test_a_root_that_cannot_be_written_starts_no_sealer_for_each_connection(root: Root) -> None:
    root.path.write_text("a file")
    before = set(threading.enumerate())
    async with endpoint() as host, record(root.path) as tap:
        for _ in range(3):
            await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    assert [thread.name for thread in set(threading.enumerate()) - before if thread.name == "sealer"] == []


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory to count in")
async def test_what_a_kill_cut_off_in_shared_memory_keeps_nobody_from_recording(root: Root) -> None:
    cut_off = name_for(root.journal, "counters")
    cut_off.touch()
    try:
        async with endpoint() as host, record(root.path) as tap:
            await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    finally:
        cut_off.unlink()
    assert contents(only_recording(root), "client") == ["hello"]


async def test_a_programs_own_ids_may_be_numbers_and_a_target_a_url_with_its_key(
    root: Root, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call: Any = 4711
    async with (
        endpoint() as host,
        record(root.path, conversation_key=call, tags={"call": call}, target=f"wss://h/?api-key={SECRET}") as tap,
    ):
        await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    session = only_recording(root).session
    assert (session["conversation_key"], dict(session["tags"])) == ("4711", {"call": "4711"})
    assert session["target"] == "wss://h/?api-key=[redacted]"
    assert f"recording wss://h/?api-key=[redacted] as {session['session_id']}" in caplog.messages
    assert SECRET not in caplog.text


async def test_one_record_may_serve_many_connections_at_once(root: Root) -> None:
    async def converse(url: str, number: int) -> None:
        async with connect(url, create_connection=tap) as connection:  # type: ignore[arg-type]
            await connection.send(f"I am {number}")
            await connection.recv()

    async with endpoint() as host, record(root.path) as tap, asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(converse(f"ws://{host}/v1/realtime", number))
    said = [contents(open_recording(root, session_id), "client") for session_id in list_session_ids(root)]
    assert sorted(said) == [[f"I am {number}"] for number in range(5)]


async def test_a_patch_records_what_matches_until_it_is_undone(root: Root) -> None:
    original = connect.__init__

    async def ping(url: str, connect: Any = connect) -> None:
        async with connect(url) as connection:
            await connection.send(url)
            await connection.recv()

    async with endpoint() as host, record(root.path) as tap:
        with tap.patch_websockets():
            await ping(f"ws://{host}/v1/realtime?n=1")
            await ping(f"ws://{host}/v1/realtime?n=2", websockets.connect)
            await ping(f"ws://{host}/v1/listen")
        await ping(f"ws://{host}/v1/realtime?n=3")
    assert connect.__init__ is original
    urls = [open_recording(root, session_id).session["url"] for session_id in list_session_ids(root)]
    assert sorted(urls) == [f"ws://{host}/v1/realtime?n={number}" for number in (1, 2)]


async def test_of_several_patches_the_latest_records(root: Root, tmp_path: Path) -> None:
    original = connect.__init__
    other = Root(tmp_path / "other")
    async with endpoint() as host, record(root.path) as tap, record(other.path) as other_tap:
        first, second = tap.patch_websockets(), other_tap.patch_websockets()
        async with connect(f"ws://{host}/v1/realtime"):
            first.undo()
            first.undo()
            second.undo()
    assert connect.__init__ is original
    assert (len(list_session_ids(root)), len(list_session_ids(other))) == (0, 1)


@pytest.mark.parametrize("is_writable", [True, False])
async def test_a_log_of_the_programs_own_that_fails_is_not_the_calls_trouble(
    root: Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_writable: bool
) -> None:
    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ConnectionError(f"the log's server is gone: {record.getMessage()}")

    caplog.set_level(logging.INFO, "capture")
    monkeypatch.setattr(logging.getLogger("capture"), "handlers", [Failing()])
    if not is_writable:
        root.path.write_text("a file")
    async with endpoint() as host, record(root.path) as tap:
        await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
        await asyncio.to_thread(say_hello_in_thread, f"ws://{host}/v1/realtime", create_connection=tap)
    if is_writable:
        assert len(list_session_ids(root)) == 2


def test_what_is_no_create_connection_of_websockets_is_told() -> None:
    with pytest.raises(TypeError, match=r"websockets\.asyncio\.client and websockets\.sync\.client"):
        record()(object(), object())


PROGRAM = """
import asyncio, sys
from websockets.asyncio.client import connect
from capture import record

print("the program runs", flush=True)

async def call():
    async with connect(sys.argv[1], create_connection=record(sys.argv[2])) as connection:
        await connection.send("hello")
        await connection.recv()
        {middle}

asyncio.run(call())
"""


FORKING_PROGRAM = """
import os, sys, warnings
from websockets.sync.client import connect
from capture import record

warnings.simplefilter("ignore")
warnings.simplefilter("always", ResourceWarning)
sys.stderr = sys.stdout

def call():
    with record(sys.argv[2]) as tap, connect(sys.argv[1], create_connection=tap) as connection:
        connection.send("hello")
        connection.recv()

call()
child = os.fork()
call()
if child:
    os.waitpid(child, 0)
"""


LEAVING_CHILD = """
import os, sys
from websockets.sync.client import connect
from capture import record

with record(sys.argv[2]) as tap, connect(sys.argv[1], create_connection=tap) as connection:
    with connect(sys.argv[1], create_connection=tap) as ended:
        ended.send("hello")
        ended.recv()
    # The session that ended is sealed by the parent; in the child nobody will ever tell of it.
    child = os.fork()
    if not child:
        print("the child waits:", tap.wait(20), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    connection.send("hello")
    connection.recv()
"""


POOLING_PROGRAM = """
import multiprocessing, sys
from websockets.sync.client import connect
from capture import record

def call():
    with connect(sys.argv[1], create_connection=record(sys.argv[2])) as connection:
        connection.send("hello")
        connection.recv()

if __name__ == "__main__":
    worker = multiprocessing.get_context("{middle}").Process(target=call)
    worker.start()
    worker.join()
"""


POLITE_PROGRAM = """
import atexit, sys
from websockets.sync.client import connect
from capture import record

@atexit.register
def hang_up():
    connection.send("goodbye")
    connection.recv()
    connection.close()

connection = connect(sys.argv[1], create_connection=record(sys.argv[2]))
connection.send("hello")
connection.recv()
"""


LEAVING_OPEN = """
import asyncio, gc, sys, time
from websockets.asyncio.client import connect
from capture import record

async def call():
    connection = await connect(sys.argv[1], create_connection=tap)
    await connection.send("hello")
    await connection.recv()

tap = record(sys.argv[2])
asyncio.run(call())
gc.collect()
for _ in range(3000):
    if list(tap.root.path.glob("sessions/*/*.parquet")):
        break
    time.sleep(0.01)
else:
    sys.exit("it is not sealed")
"""


INTERRUPTED = """
import asyncio, concurrent.futures, faulthandler, signal, sys
from websockets.asyncio.client import connect
import capture.attach

async def call():
    async with capture.attach.record(sys.argv[2]) as tap:
        async with connect(sys.argv[1], create_connection=tap) as connection:
            await connection.send("hello")
            await connection.recv()
        asyncio.get_running_loop().call_later(0.2, signal.raise_signal, signal.SIGINT)

# Sealing takes for ever.
capture.attach.SealerProcess.submit = lambda sealer, session_id: concurrent.futures.Future()
capture.attach.CONTEXT_WAIT_S = 1e6
faulthandler.dump_traceback_later(30, exit=True)
try:
    asyncio.run(call())
except KeyboardInterrupt:
    print("interrupted")
"""


SIGNALLED = """
import faulthandler, signal, sys, time
from websockets.sync.client import connect
import capture.attach

def end(*_):
    capture.attach.close_recorders()
    print("the handler goes on", flush=True)
    sys.exit(5)

faulthandler.dump_traceback_later(30, exit=True)
signal.signal(signal.SIGTERM, end)
connection = connect(sys.argv[1], create_connection=capture.attach.record(sys.argv[2]))
connection.send("hello")
connection.recv()
# A message after a silence wakes the thread that writes; the signal comes at that moment, with the lock held.
((_, journals, _),) = capture.attach._recorders.values()
while not journals._is_resting:
    time.sleep(0.01)
journals._wake.set = lambda: signal.raise_signal(signal.SIGTERM)
capture.attach.EXIT_WAIT_S = 0.2
try:
    connection.send("after a silence")
finally:
    del journals._wake.set
    capture.attach.EXIT_WAIT_S = 20
"""


async def run(tmp_path: Path, root: Root, middle: str = "", program: str = PROGRAM) -> tuple[int, str]:
    # No `if __name__ == "__main__"`: a script of three lines has none.
    script = tmp_path / "program.py"
    script.write_text(program.format(middle=middle))
    async with endpoint() as host:
        arguments = [sys.executable, str(script), f"ws://{host}/v1/realtime", str(root.path)]
        process = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_program_that_just_ends_is_run_once_and_leaves_its_recording(root: Root, tmp_path: Path) -> None:
    code, said = await run(tmp_path, root)
    assert (code, said) == (0, "the program runs\n")
    async with asyncio.timeout(20):
        while not list_session_ids(root):  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.02)
    assert contents(only_recording(root), "client") == ["hello"]


async def test_a_session_that_was_open_at_the_exit_is_sealed_by_the_next_program_that_records_at_the_latest(
    root: Root, tmp_path: Path
) -> None:
    await run(
        tmp_path, root, middle="import os; from capture.attach import close_recorders; close_recorders(); os._exit(9)"
    )
    # On a busy machine the program's own sealer looks late for what others left, and finds this session.
    (left,) = list_session_ids(root) or leftover_journals(root)
    async with endpoint() as host, record(root.path) as tap:
        await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    sessions = {found: open_recording(root, found).session for found in list_session_ids(root)}
    assert len(sessions) == 2
    assert (sessions[left]["complete"], sessions[left]["outcome"]) == (False, "incomplete")


async def test_a_forked_child_records_as_its_parent_does(root: Root, tmp_path: Path) -> None:
    assert await run(tmp_path, root, program=FORKING_PROGRAM) == (0, "")
    async with asyncio.timeout(20):
        while len(list_session_ids(root)) < 3:  # noqa: ASYNC110 - other processes' files
            await asyncio.sleep(0.02)
    assert leftover_journals(root) == []


@pytest.mark.parametrize("start", ["fork", "forkserver", "spawn"])
async def test_a_worker_of_multiprocessing_leaves_a_whole_recording(root: Root, tmp_path: Path, start: str) -> None:
    assert (await run(tmp_path, root, start, POOLING_PROGRAM))[0] == 0
    async with asyncio.timeout(20):
        while not list_session_ids(root):  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.02)
    found = only_recording(root)
    assert contents(found, "client") == contents(found, "server") == ["hello"]
    assert (found.session["complete"], found.session["close_code"]) == (True, 1000)


async def test_what_a_program_does_to_end_its_calls_at_its_exit_is_recorded(root: Root, tmp_path: Path) -> None:
    assert (await run(tmp_path, root, program=POLITE_PROGRAM))[0] == 0
    async with asyncio.timeout(20):
        while not list_session_ids(root):  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.02)
    found = only_recording(root)
    assert contents(found, "client") == ["hello", "goodbye"]
    assert (found.session["complete"], found.session["close_code"]) == (True, 1000)


async def test_a_connection_that_is_left_open_when_its_loop_ends_is_sealed_while_the_program_goes_on(
    root: Root, tmp_path: Path
) -> None:
    assert (await run(tmp_path, root, program=LEAVING_OPEN))[0] == 0
    found = only_recording(root)
    assert contents(found, "client") == contents(found, "server") == ["hello"]
    assert (found.session["closed_by"], found.session["end_reason"]) == (
        "client",
        "the program let go of the connection",
    )


async def test_ctrl_c_ends_the_wait_for_sealing(root: Root, tmp_path: Path) -> None:
    assert await run(tmp_path, root, program=INTERRUPTED) == (0, "interrupted\n")


async def test_a_signal_s_handler_that_closes_in_the_middle_of_recording_does_not_lock_up(
    root: Root, tmp_path: Path
) -> None:
    assert await run(tmp_path, root, program=SIGNALLED) == (5, "the handler goes on\n")
    # The exit has closed what the handler could not.
    async with endpoint() as host, record(root.path) as tap:
        await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    found = [open_recording(root, session_id) for session_id in list_session_ids(root)]
    assert [contents(recording, "server") for recording in found] == [["hello"], ["hello"]]


@pytest.mark.parametrize("in_thread", [False, True])
async def test_sealing_that_takes_too_long_is_said(
    root: Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, in_thread: bool
) -> None:
    monkeypatch.setattr("capture.attach.CONTEXT_WAIT_S", 0.01)
    monkeypatch.setattr(SealerProcess, "submit", lambda _sealer, _session_id: Future())
    async with endpoint() as host:
        if in_thread:
            with record(root.path) as tap:
                await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
        else:
            async with record(root.path) as tap:
                await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    assert "sealing takes longer than 0.01 s; it goes on" in caplog.messages


async def test_a_forked_child_waits_for_nothing_that_its_parent_recorded(root: Root, tmp_path: Path) -> None:
    assert await run(tmp_path, root, program=LEAVING_CHILD) == (0, "the child waits: True\n")
    assert [contents(open_recording(root, found), "client") for found in list_session_ids(root)] == [["hello"]] * 2


async def test_who_waits_for_a_call_that_outlived_the_recorders_does_not_wait_for_ever(root: Root) -> None:
    tap = record(root.path)
    async with endpoint() as host, connect(f"ws://{host}/v1/realtime", create_connection=tap) as connection:  # type: ignore[arg-type]
        await connection.send("hello")
        await connection.recv()
        await asyncio.to_thread(close_recorders)
    assert await asyncio.to_thread(tap.wait, 30)
    # It ended when nobody wrote any more: for `recover`, or the next program.
    assert leftover_journals(root) != []


async def test_however_many_roots_a_program_has_it_waits_for_two_seconds_in_all(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []
    close, now_s = SealerProcess.close, itertools.count()

    def close_and_tell(sealer: SealerProcess, within_s: float | None = None) -> None:
        waits.append(within_s)
        close(sealer, 60)

    monkeypatch.setattr(SealerProcess, "close", close_and_tell)
    async with endpoint() as host:
        for tenant in "abc":
            await say_hello(f"ws://{host}/v1/realtime", create_connection=record(root.path / tenant))
        with monkeypatch.context() as clock:
            clock.setattr("capture.attach.time", SimpleNamespace(monotonic=lambda: next(now_s)))
            close_recorders()
    assert waits == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("keep", "sessions"), [("failed", 0), ("sample:0", 0), ("sample:1", 1), ("all", 1)])
async def test_what_went_well_is_kept_as_keep_says(root: Root, keep: str, sessions: int) -> None:
    async with endpoint() as host, record(root.path, keep=keep) as tap:
        await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    assert len(list_session_ids(root)) == sessions
    assert leftover_journals(root) == []
    assert {path.parts[len(root.path.parts)] for path in root.path.rglob("*") if path.is_file()} == (
        {"sessions", "events"} if sessions else set()
    )


async def test_what_failed_is_kept_whatever_keep_says(root: Root) -> None:
    async def fail(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.close(1011)

    async with endpoint(fail) as host, record(root.path, keep="failed", pre_s=5, post_s=5) as tap:
        with pytest.raises(ConnectionClosed):
            await say_hello(f"ws://{host}/v1/realtime", create_connection=tap)
    assert contents(only_recording(root), "client") == ["hello"]


@pytest.mark.parametrize("redact", [["transcripts"], "transcripts", ["emails,transcripts"]])
async def test_what_must_not_be_kept_is_masked(root: Root, redact: Any) -> None:
    said = '{"type":"response.output_audio_transcript.done","transcript":"call me at home"}'
    async with endpoint() as host, record(root.path, redact=redact) as tap:
        connection = await connect(f"ws://{host}/v1/realtime", create_connection=tap)  # type: ignore[arg-type]
        await connection.send(said)
        assert await connection.recv() == said
        await connection.close()
    masked = said.replace("call me at home", "x" * 15)
    assert contents(only_recording(root), "client") == contents(only_recording(root), "server") == [masked]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"keep": "faild"}, "--keep takes all, failed, or sample:P with a share P from 0 to 1, not 'faild'"),
        ({"keep": "sample:2"}, "--keep takes all, failed, or sample:P"),
        ({"keep": 0.1}, "--keep takes all, failed, or sample:P"),
        ({"keep": KeepRule(keep="sample", sample=2.0)}, "--keep takes all, failed, or sample:P"),
        ({"keep": KeepRule(pre_s=1.0)}, "--pre and --post go together"),
        ({"keep": KeepRule(), "pre_s": 1, "post_s": 1}, "a KeepRule has seconds of its own"),
        ({"pre_s": 5}, "--pre and --post go together"),
        ({"pre_s": -1, "post_s": 1}, "--pre and --post take seconds, 0 or more"),
        ({"redact": ["transcript"]}, "--redact takes transcripts, audio, emails"),
        ({"redact": "/(/"}, "is no regular expression of Python's"),
        ({"redact": ["/(a+)+$/"]}, "takes too long to search"),
    ],
)
def test_what_cannot_be_kept_or_redacted_is_told_at_once(root: Root, wrong: Any, said: str) -> None:
    with pytest.raises(UsageProblem, match=re.escape(said)):
        record(root.path, **wrong)
    assert not root.path.exists()


def test_a_root_of_a_variable_that_is_not_set_is_not_the_current_folder() -> None:
    with pytest.raises(UsageProblem, match="the root is empty, as of a variable that is not set"):
        record("")
