"""Prometheus and probes ask a proxy how it does."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from capture.errors import UsageProblem
from capture.metrics import Metrics
from capture.metrics_server import check_metrics, serve_metrics
from capture.recording.root import Root
from tests.proxy_process import calling, endpoint, eventually, proxy_process

TOKEN = "m3trics"


@asynccontextmanager
async def served(*, is_draining: bool = False) -> AsyncIterator[str]:
    metrics = Metrics("azure-eastus2")
    metrics.watch(
        SimpleNamespace(live_sessions=0, is_draining=is_draining, unrecorded_sessions=0),
        SimpleNamespace(unsealed_sessions=0, buffer_high_water=0, faltered_sessions=0),
    )
    async with asyncio.TaskGroup() as tasks, serve_metrics("127.0.0.1:0", metrics, tasks) as origin:
        yield origin


async def ask(url: str, headers: Mapping[str, str] | None = None, *, data: bytes | None = None) -> tuple[int, str, str]:
    """Ask as a program with an HTTP library does; status, type, body."""

    def answer() -> tuple[int, str, str]:
        request = urllib.request.Request(url, data=data, headers=dict(headers or {}))  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
                return response.status, response.headers["Content-Type"], response.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers["Content-Type"], refused.read().decode()

    return await asyncio.to_thread(answer)


async def hear_nothing_asked(host: str, port: int) -> bytes:
    """Connect, ask nothing, and give the first line of what comes all the same."""
    loop = asyncio.get_running_loop()
    with socket.socket() as asking:
        asking.setblocking(False)
        await loop.sock_connect(asking, (host, port))
        with suppress(ConnectionResetError):
            return (await loop.sock_recv(asking, 1000)).partition(b"\r\n")[0]
        return b""


async def test_figures_come_in_the_format_that_every_prometheus_reads() -> None:
    async with served() as origin:
        status, content_type, body = await ask(f"{origin}/metrics?x=1")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert {"wiretape_sessions", "wiretape_live_sessions"} <= {
        each.name for each in text_string_to_metric_families(body)
    }


@pytest.mark.parametrize(("is_draining", "answer"), [(False, (200, "ok\n")), (True, (503, "draining\n"))])
async def test_a_probe_hears_whether_calls_are_taken(is_draining: bool, answer: tuple[int, str]) -> None:
    async with served(is_draining=is_draining) as origin:
        status, _, body = await ask(f"{origin}/healthz")
    assert (status, body) == answer


async def say(origin: str, *requests: bytes) -> bytes:
    """Send requests as they are, and give all that comes back."""
    host, port = origin.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"".join(requests))
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_probes_of_load_balancers_hear_an_answer() -> None:
    async with served() as origin:
        of_haproxy = await say(origin, b"GET /healthz HTTP/1.0\r\n\r\n")
        assert of_haproxy.startswith(b"HTTP/1.1 200 OK\r\n")
        assert of_haproxy.endswith(b"\r\n\r\nok\n")
        of_wget = await say(origin, b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert of_wget == of_haproxy.removesuffix(b"ok\n"), "the head of the same answer, and no body"


async def test_nothing_else_is_served() -> None:
    async with served() as origin:
        assert (await ask(f"{origin}/"))[0] == 404
        assert (await ask(f"{origin}/metrics", data=b"{}"))[0] == 405


async def test_pages_of_other_hosts_read_nothing() -> None:
    async with served() as origin:
        for headers in ({"Origin": "https://evil.example"}, {"Host": "rebound.evil.example"}):
            assert (await ask(f"{origin}/metrics", headers))[0] == 403


async def test_beyond_this_machine_a_token_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageProblem, match="set WIRETAPE_METRICS_TOKEN"):
        check_metrics("0.0.0.0:9464")
    monkeypatch.setenv("WIRETAPE_METRICS_TOKEN", f"{TOKEN}\n")
    check_metrics("0.0.0.0:9464")
    async with served() as origin:
        assert (await ask(f"{origin}/metrics"))[0] == 401
        assert (await ask(f"{origin}/metrics", {"Authorization": "Bearer wrong"}))[0] == 401
        assert (await ask(f"{origin}/metrics", {"Authorization": f"Bearer {TOKEN}"}))[0] == 200
        assert (await ask(f"{origin}/healthz"))[0] == 200, "a kubelet has no token"


async def test_readers_that_say_nothing_keep_nobody_out_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.metrics_server._PATIENCE_S", 0.1)
    async with served() as origin, asyncio.TaskGroup() as tasks:
        host, port = origin.removeprefix("http://").split(":")
        silent = [tasks.create_task(hear_nothing_asked(host, int(port))) for _ in range(40)]
        await asyncio.sleep(0.3)
        assert (await ask(f"{origin}/healthz"))[0] == 200, "or a supervisor ends the proxy, and all calls in it"
        for each in silent:
            each.cancel()


async def test_a_reader_that_asks_nothing_hears_why_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.metrics_server._HEAD_S", 0.1)
    async with served() as origin:
        host, port = origin.removeprefix("http://").split(":")
        assert await hear_nothing_asked(host, int(port)) == b"HTTP/1.1 408 Request Timeout"


@pytest.mark.slow
async def test_the_proxy_tells_of_its_calls_and_of_its_end(root: Root) -> None:
    options = ["--metrics", "127.0.0.1:0", "--drain", "60"]
    async with endpoint() as served_endpoint, proxy_process(root, served_endpoint.url, *options) as proxy:
        await proxy.says("metrics are at ")
        origin = proxy.said.partition("metrics are at ")[2].partition("/metrics")[0]
        async with calling(proxy.origin, served_endpoint, "first") as call:
            await call.say()
            assert "\nwiretape_live_sessions 1.0\n" in (await ask(f"{origin}/metrics"))[2]
        await eventually(lambda: " ok · " in proxy.said)
        assert '\nwiretape_sessions_total{kept="whole",outcome="ok"} 1.0\n' in (await ask(f"{origin}/metrics"))[2]
        async with connect(f"{proxy.origin}/v1/realtime?model=m") as last:
            proxy.process.send_signal(signal.SIGTERM)
            await proxy.says("draining")
            assert (await ask(f"{origin}/healthz"))[0] == 503
            await last.send(json.dumps({"type": "session.update"}))
        assert await proxy.process.wait() == 0


@pytest.mark.slow
async def test_a_disk_that_does_not_take_a_call_is_told_while_the_call_goes_on(root: Root) -> None:
    root.path.mkdir(exist_ok=True)
    async with (
        endpoint() as served_endpoint,
        proxy_process(root, served_endpoint.url, "--metrics", "127.0.0.1:0") as proxy,
    ):
        await proxy.says("metrics are at ")
        origin = proxy.said.partition("metrics are at ")[2].partition("/metrics")[0]
        assert "\nwiretape_recording_faults_total 0.0\n" in (await ask(f"{origin}/metrics"))[2]
        root.journal.write_text("a file stands where the folder should be")
        async with calling(proxy.origin, served_endpoint, "first") as call:
            await call.say()
            await proxy.says("recording falters, the call goes on")
            told = (await ask(f"{origin}/metrics"))[2]
            assert "\nwiretape_recording_faults_total 1.0\n" in told
            assert "\nwiretape_live_sessions 1.0\n" in told


@pytest.mark.slow
async def test_the_end_of_the_certificate_that_is_served_is_told(root: Root, tmp_path: Path) -> None:
    ends_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=60)
    issued = trustme.CA().issue_cert("127.0.0.1", not_after=ends_at)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    options = ["--metrics", "127.0.0.1:0", "--tls-cert", str(certificate), "--tls-key", str(key)]
    async with endpoint() as served_endpoint, proxy_process(root, served_endpoint.url, *options) as proxy:
        await proxy.says("metrics are at ")
        origin = proxy.said.partition("metrics are at ")[2].partition("/metrics")[0]
        families = text_string_to_metric_families((await ask(f"{origin}/metrics"))[2])
    told = {each.name: each.samples for each in families}
    [expiration] = told["wiretape_certificate_expiration_timestamp_seconds"]
    assert expiration.value == ends_at.timestamp()
