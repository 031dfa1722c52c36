"""Open files: as many as the system grants, and a clear word where they do not suffice."""

from __future__ import annotations

import asyncio
import errno
import resource
import subprocess
import sys

import pytest

from capture.errors import OutOfFiles
from capture.open_files import AcceptFaults, check_room_for_a_connection, count_connections_with_room

RAISED = """
import resource
from capture.open_files import count_connections_with_room, raise_open_files_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 464))
raise_open_files_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE), count_connections_with_room())
"""


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    told = subprocess.run([sys.executable, "-c", RAISED], capture_output=True, text=True, check=True)
    assert told.stdout == "(464, 464) 100\n"


def test_there_is_always_room_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8, 8))
    assert count_connections_with_room() == 1


@pytest.mark.parametrize("limit", [68, resource.RLIM_INFINITY])
def test_with_room_for_one_connection_a_proxy_begins(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    check_room_for_a_connection()


def test_without_room_for_one_connection_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (67, 67))
    with pytest.raises(OutOfFiles, match="allow more first, with `ulimit -n 1024`"):
        check_room_for_a_connection()


async def test_a_flood_of_failed_accepts_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    faults, loop = AcceptFaults(), asyncio.get_running_loop()
    for _ in range(100):
        faults.handle(loop, {"message": "socket.accept()", "exception": OSError(errno.EMFILE, "Too many open files")})
    assert caplog.messages == ["no further client can be accepted: Too many open files; live calls go on"]
    faults.handle(loop, {"message": "something else", "exception": ValueError("broken")})
    assert len(caplog.messages) == 2
