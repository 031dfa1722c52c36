"""TLS between client and proxy: the certificate that is made, what trusts it, and calls over it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from capture import tls
from capture.errors import UsageProblem
from capture.policy import RelayLimits
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.reader import list_session_ids, open_recording
from capture.targets import Target
from capture.tls import Certificate, keep_certificate, load_tls, trust_advice
from tests.noise import noise

NOWHERE = Target("nowhere", "ws://127.0.0.1:1")


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return keep_certificate("127.0.0.1", tmp_path / "state")


# The certificate of our own


def test_a_certificate_is_made_once_and_used_again(tmp_path: Path) -> None:
    first = keep_certificate("127.0.0.1", tmp_path)
    assert first.names == ("localhost", "127.0.0.1", "::1")
    assert (first.key_path.stat().st_mode & 0o777, first.is_new) == (0o600, True)
    again = keep_certificate("localhost", tmp_path)
    assert (again.path, again.is_new) == (first.path, False)
    assert again.expires_at - datetime.now(UTC) > timedelta(days=800)
    assert "PRIVATE" not in first.path.read_text()


def test_another_host_gets_a_certificate_of_its_own_beside_the_first(tmp_path: Path) -> None:
    local, other = keep_certificate("127.0.0.1", tmp_path), keep_certificate("voice.internal", tmp_path)
    assert other.names == ("localhost", "127.0.0.1", "::1", "voice.internal")
    assert other.path != local.path
    assert not keep_certificate("127.0.0.1", tmp_path).is_new
    assert not keep_certificate("voice.internal", tmp_path).is_new


def test_every_address_is_served_under_the_machines_own_name(tmp_path: Path) -> None:
    assert keep_certificate("0.0.0.0", tmp_path).names[3:] == (socket.gethostname(),)  # noqa: S104 - not listened on


@pytest.mark.parametrize(
    "damage", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_cannot_be_used_is_made_again(tmp_path: Path, damage: bytes) -> None:
    keep_certificate("127.0.0.1", tmp_path).key_path.write_bytes(damage)
    made = keep_certificate("127.0.0.1", tmp_path)
    assert made.is_new
    load_tls(made.path, made.key_path)


def test_one_that_ends_soon_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as short:
        short.setattr(tls, "_LIFETIME", timedelta(days=7))
        assert keep_certificate("127.0.0.1", tmp_path).is_new
    assert keep_certificate("127.0.0.1", tmp_path).is_new
    assert not keep_certificate("127.0.0.1", tmp_path).is_new


@pytest.mark.parametrize(("variable", "folder"), [("XDG_STATE_HOME", "wiretape"), ("HOME", ".local/state/wiretape")])
def test_it_is_kept_in_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, folder: str
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert keep_certificate("127.0.0.1").path == tmp_path / folder / "localhost.pem"


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageProblem, match=r"no certificate can be kept in .*/file/state"):
        keep_certificate("127.0.0.1", tmp_path / "file" / "state")


def test_the_advice_names_the_file_for_each_kind_of_client(certificate: Certificate) -> None:
    advice = trust_advice(certificate)
    for setting in ("SSL_CERT_FILE=", "NODE_EXTRA_CA_CERTS=", "--cacert "):
        assert f"{setting}{certificate.path}" in advice


# Certificates that are given


def refusal(certificate: Path, key: Path) -> str:
    with pytest.raises(UsageProblem) as refused:
        load_tls(certificate, key)
    return str(refused.value)


def test_a_pair_that_cannot_be_served_is_refused_with_what_to_do(tmp_path: Path, certificate: Certificate) -> None:
    other = trustme.CA().issue_cert("localhost")
    other.private_key_pem.write_to_path(tmp_path / "other.key")
    (tmp_path / "text").write_text("no PEM at all")
    missing = tmp_path / "missing.pem"
    assert refusal(missing, certificate.key_path) == f"--tls-cert {missing} cannot be read: No such file or directory"
    assert refusal(certificate.path, missing) == f"--tls-key {missing} cannot be read: No such file or directory"
    assert "is not the key of the certificate" in refusal(certificate.path, tmp_path / "other.key")
    assert "no certificate and key in PEM form" in refusal(tmp_path / "text", tmp_path / "text")


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_a_key_of_another_kind_is_told_as_one_of_another_certificate(
    tmp_path: Path, certificate: Certificate, key_type: trustme.KeyType
) -> None:
    # As certbot's, once its default went from RSA to ECDSA.
    key = tmp_path / "other.key"
    trustme.CA().issue_cert("localhost", key_type=key_type).private_key_pem.write_to_path(key)
    assert refusal(certificate.path, key) == (
        f"{key} is not the key of the certificate {certificate.path}: give the pair that belongs together (of a chain"
        " the certificate itself comes first)"
    )


def test_a_certificate_that_is_too_weak_is_told_as_such(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too weak, as it is to be
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "weak.pem"
    path.write_bytes(pem)
    assert refusal(path, path) == f"{path} is too weak for clients (ee key too small): make a new one, with its key"


def test_a_key_with_a_passphrase_is_refused_without_asking_for_it(tmp_path: Path, certificate: Certificate) -> None:
    key = serialization.load_pem_private_key(certificate.key_path.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    (tmp_path / "locked.key").write_bytes(locked)
    assert "is encrypted: give a key without a passphrase" in refusal(certificate.path, tmp_path / "locked.key")


# Calls over it


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def endpoint(handler: Any = echo, **options: Any) -> AsyncIterator[Target]:
    async with serve(handler, "127.0.0.1", 0, max_size=None, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Target("endpoint", f"{'wss' if 'ssl' in options else 'ws'}://127.0.0.1:{port}")


@asynccontextmanager
async def relayed(
    target: Target, recorder: Recorder, certificate: Certificate, limits: RelayLimits | None = None
) -> AsyncIterator[str]:
    context = load_tls(certificate.path, certificate.key_path)
    async with (
        asyncio.timeout(30),
        serve_proxy(target, recorder, listen="127.0.0.1:0", tls=lambda: context, limits=limits) as origin,
    ):
        yield origin


def trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.path))


def only_session(recorder: Recorder) -> dict[str, Any]:
    recorder.close()
    [session_id] = list_session_ids(recorder.root)
    return open_recording(recorder.root, session_id).session


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Give a certificate authority that the process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


@pytest.fixture
def endpoint_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("is_tls_above", [False, True])
async def test_large_messages_pass_both_ways_over_tls_and_the_close_with_them(
    recorder: Recorder, certificate: Certificate, endpoint_tls: ssl.SSLContext, is_tls_above: bool
) -> None:
    options: dict[str, Any] = {"ssl": endpoint_tls} if is_tls_above else {}
    message = noise(4 << 20)
    async with endpoint(**options) as target, relayed(target, recorder, certificate) as origin:
        assert origin.startswith("wss://127.0.0.1:")
        async with connect(f"{origin}/v1/realtime", ssl=trusting(certificate), max_size=None) as client:
            await client.send(message)
            assert await client.recv() == message
        assert client.close_code == 1000
    session = only_session(recorder)
    assert (session["outcome"], session["close_code"], session["closed_by"]) == ("ok", 1000, "client")


async def test_a_client_over_tls_that_reads_slowly_holds_the_endpoint_back(
    recorder: Recorder, certificate: Certificate, endpoint_tls: ssl.SSLContext
) -> None:
    sent, total = 0, 400
    chunk = noise(1 << 16)

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        for _ in range(total):
            await connection.send(chunk)
            sent += 1

    async with (
        endpoint(flood, ssl=endpoint_tls, compression=None) as target,
        relayed(target, recorder, certificate) as origin,
        connect(f"{origin}/v1/realtime", ssl=trusting(certificate), compression=None, max_queue=1) as client,
    ):
        seen = -1
        while seen != sent or not sent:
            seen = sent
            await asyncio.sleep(0.1)
        assert sent < total
        received = [await client.recv() for _ in range(total)]
    assert received == [chunk] * total
    assert only_session(recorder)["backpressure_client_ms"] > 0


async def test_an_endpoint_that_breaks_off_breaks_off_over_tls(recorder: Recorder, certificate: Certificate) -> None:
    async def break_off(connection: ServerConnection) -> None:
        await connection.send("hello")
        connection.transport.abort()

    async with endpoint(break_off) as target, relayed(target, recorder, certificate) as origin:
        client = await connect(f"{origin}/v1/realtime", ssl=trusting(certificate))
        assert await client.recv() == "hello"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1006


async def test_a_client_over_tls_that_vanishes_is_noticed_by_the_endpoint(
    recorder: Recorder, certificate: Certificate
) -> None:
    gone = asyncio.Event()

    async def watch(connection: ServerConnection) -> None:
        await connection.wait_closed()
        gone.set()

    async with endpoint(watch) as target, relayed(target, recorder, certificate) as origin:
        client = await connect(f"{origin}/v1/realtime", ssl=trusting(certificate))
        client.transport.abort()
        await gone.wait()
    assert only_session(recorder)["close_code"] == 1006


async def test_a_handshake_that_never_ends_is_given_up(recorder: Recorder, certificate: Certificate) -> None:
    async with relayed(NOWHERE, recorder, certificate, RelayLimits(head_s=0.05)) as origin:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(origin.rpartition(":")[2]))
        writer.write(b"\x16\x03\x01\x02\x00")
        # A reset is as good an end as a close.
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


def go_without_trust(origin: str) -> None:
    port = int(origin.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


async def test_a_client_that_speaks_no_tls_or_does_not_trust_it_gets_nothing_and_others_go_on(
    recorder: Recorder, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    async with endpoint() as target, relayed(target, recorder, certificate) as origin:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(f"{origin}/v1/realtime", ssl=ssl.create_default_context())
        # Unlike asyncio's, clients of other languages say why they go.
        await asyncio.to_thread(go_without_trust, origin)
        async with connect(f"{origin}/v1/realtime", ssl=trusting(certificate)) as client:
            await client.send("still there?")
            assert await client.recv() == "still there?"
    async with endpoint() as target, relayed(target, recorder, certificate) as origin:
        with pytest.raises(Exception, match=r"HTTP response|Connection|EOF"):
            await connect(f"ws{origin.removeprefix('wss')}/v1/realtime")
        async with connect(f"{origin}/v1/realtime", ssl=trusting(certificate)) as client:
            await client.send("still there?")
            assert await client.recv() == "still there?"
    told = [record.message for record in caplog.records if "handshake" in record.message]
    assert told == [
        "a client's TLS handshake failed: it does not trust the certificate",
        "a client's TLS handshake failed: it speaks no TLS: have it connect to wss://",
    ]


def test_a_key_from_a_pipe_is_refused_with_what_to_do(tmp_path: Path, certificate: Certificate) -> None:
    pipe = tmp_path / "key"
    os.mkfifo(pipe)
    with pytest.raises(UsageProblem, match=r"--tls-key .* is a pipe, .* give a file"):
        load_tls(certificate.path, pipe)


async def test_a_refusal_reaches_a_client_over_tls_whole(recorder: Recorder, certificate: Certificate) -> None:
    async with relayed(NOWHERE, recorder, certificate) as origin:
        port = int(origin.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(certificate))
        writer.write(b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"cannot be reached" in answer


async def test_azures_client_which_insists_on_wss_calls_through(recorder: Recorder, certificate: Certificate) -> None:
    from openai import AsyncAzureOpenAI

    from replay.simulator import load_scenario
    from replay.simulator import serve as simulate

    async with (
        simulate([load_scenario("healthy")]) as simulator,
        # The client asks on Azure's path of the beta; a target with path and query is used as it is.
        relayed(Target("simulator", f"{simulator.origin}/v1/realtime?model=m"), recorder, certificate) as origin,
        AsyncAzureOpenAI(
            api_key="sk-of-nobody", api_version="2025-08-28", azure_endpoint=f"https://{origin.removeprefix('wss://')}"
        ) as openai,
    ):
        options: Any = {"ssl": trusting(certificate)}
        async with openai.realtime.connect(model="gpt-realtime", websocket_connection_options=options) as call:
            first = await call.recv()
    assert first.type == "session.created"
    session = only_session(recorder)
    assert (session["provider"], session["handshake_status"]) == ("simulator", 101)


PYTHON = """
import asyncio, sys
from websockets.asyncio.client import connect
async def main():
    async with connect(sys.argv[1]) as client:
        await client.send("hello")
        print(await client.recv())
asyncio.run(main())
"""
NODE = """
const [, url] = process.argv;
const socket = require("tls").connect({port: new URL(url).port, host: "127.0.0.1"}, () => {
  console.log("hello");
  socket.destroy();
});
"""


@pytest.mark.parametrize(
    ("variable", "command"),
    [
        ("SSL_CERT_FILE", (sys.executable, "-c", PYTHON)),
        ("NODE_EXTRA_CA_CERTS", ("node", "-e", NODE)),
        ("CURL_CA_BUNDLE", ("curl", "--silent", "--show-error", "--max-time", "10", "--output", "/dev/null")),
    ],
    ids=["python", "node", "curl"],
)
async def test_clients_that_follow_the_advice_trust_it(
    recorder: Recorder, certificate: Certificate, variable: str, command: tuple[str, ...]
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    said = "https" if command[0] == "curl" else "wss"
    async with endpoint() as target, relayed(target, recorder, certificate) as origin:
        client = await asyncio.create_subprocess_exec(
            *command,
            f"{said}{origin.removeprefix('wss')}/v1/realtime",
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, variable: str(certificate.path)},
        )
        told, _ = await client.communicate()
    assert client.returncode == 0
    assert told.decode().strip() == ("" if command[0] == "curl" else "hello")
