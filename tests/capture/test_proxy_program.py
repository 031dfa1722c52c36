"""The process that read the command line goes on as the proxy: the same process, without what it needed for that."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime, timedelta
from fcntl import ioctl
from pathlib import Path

import pytest
import trustme

from capture.errors import UsageProblem
from capture.policy import RecordingPolicy
from capture.proxy_program import ProxyOptions, become_proxy
from capture.recording.root import Root
from capture.targets import Target
from tests.proxy_process import calling, endpoint, program, proxy_process, recordings_by_call
from tests.unread_pipe import unread_pipe

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@on_linux
@pytest.mark.slow
async def test_it_is_the_same_process_without_the_command_lines_libraries(root: Root) -> None:
    async with endpoint() as served, proxy_process(root, served.url, "--tag", "a=b") as proxy:
        assert "capture.proxy_program" in read(f"/proc/{proxy.pid}/cmdline")
        loaded = read(f"/proc/{proxy.pid}/maps")
        assert "pydantic" not in loaded
        assert "cryptography" not in loaded
        async with calling(proxy.origin, served, "call") as call:
            await call.say()
        assert await proxy.stop() == 0
    assert dict(recordings_by_call(root)["call"].session["tags"]) == {"a": "b"}


def test_what_could_only_fail_is_told_before(tmp_path: Path) -> None:
    options = ProxyOptions(Target("t", "ws://h"), tmp_path, "0.0.0.0:0", RecordingPolicy(), None, None)
    with pytest.raises(UsageProblem, match="WIRETAPE_CLIENT_TOKEN"):
        become_proxy(options)
    pair = (tmp_path / "certificate", tmp_path / "key")
    with pytest.raises(UsageProblem, match="--tls-cert"):
        become_proxy(ProxyOptions(Target("t", "ws://h"), tmp_path, "127.0.0.1:0", RecordingPolicy(), pair, None))


async def test_a_certificate_that_clients_refuse_is_served_with_a_word(root: Root, tmp_path: Path) -> None:
    ended_at = datetime(2026, 2, 12, 8, 30, tzinfo=UTC)
    issued = trustme.CA().issue_cert("127.0.0.1", not_before=ended_at - timedelta(days=90), not_after=ended_at)
    pair = tmp_path / "pair.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(pair)
    async with proxy_process(root, "ws://127.0.0.1:1", "--tls-cert", str(pair), "--tls-key", str(pair)) as proxy:
        assert proxy.origin.startswith("wss://")
        await proxy.says("pair.pem expired at 2026-02-12 08:30 UTC: clients refuse it; renew its files")
        assert await proxy.stop() == 0


@on_linux
def test_where_too_few_files_may_be_opened_it_says_so_and_does_not_begin(root: Root) -> None:
    command = program("proxy", "--to", "ws://127.0.0.1:1", "--listen", "127.0.0.1:0", "--recordings", str(root.path))
    asked = ["sh", "-c", 'ulimit -n 16; exec "$@"', "sh", *command]
    ended = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    said = "wiretape: no more files can be opened here: allow more first, with `ulimit -n 1024`\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)
    assert not root.path.exists()


def read(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "replace")


def test_an_address_that_nobody_reads_holds_up_neither_calls_nor_its_end(root: Root, tmp_path: Path) -> None:
    command = program("proxy", "--to", "ws://127.0.0.1:1", "--listen", "127.0.0.1:0", "--recordings", str(root.path))
    log = tmp_path / "log"
    with unread_pipe() as pipe, log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=pipe.writing, stderr=stderr)
        while "clients connect to" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


async def test_a_terminal_that_closes_ends_it_as_sigterm_does(root: Root) -> None:
    ours, theirs = pty.openpty()
    async with endpoint() as served:
        process = subprocess.Popen(  # noqa: ASYNC220 - it takes a function to run in it
            program("proxy", "--to", served.url, "--listen", "127.0.0.1:0", "--recordings", str(root.path)),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        async with calling(await asyncio.to_thread(_address_on, ours), served, "call") as call:
            await call.say()
            # The window is closed while somebody calls: the system tells all that runs in it.
            os.close(ours)
            assert await asyncio.to_thread(process.wait, 60) == 0
    session = recordings_by_call(root)["call"].session
    assert (session["outcome"], session["closed_by"], session["end_reason"]) == (
        "ok",
        "recorder",
        "the proxy was stopped",
    )


def _address_on(terminal: int) -> str:
    shown = b""
    while not (address := re.search(rb"^(ws://\S+)\r\n", shown, re.MULTILINE)):
        shown += os.read(terminal, 1 << 16)
    return address[1].decode()
