"""A proxy that runs for months: its certificate is renewed under it, halfway, wrongly or too late."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from capture.certificate_renewal import ServedCertificate, Validity
from capture.errors import UsageProblem
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from capture.tls import keep_certificate

FIRST_OF_MARCH = datetime(2026, 3, 1, tzinfo=UTC)


class Files:
    """A pair of files that an authority's certificates are written to, and what time it is."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self.now = FIRST_OF_MARCH

    def issue(self, *, starts_in_days: float = -30, ends_in_days: float = 60) -> trustme.LeafCert:
        return self.authority.issue_cert(
            "127.0.0.1",
            not_before=self.now + timedelta(days=starts_in_days),
            not_after=self.now + timedelta(days=ends_in_days),
        )

    def write(self, issued: trustme.LeafCert) -> trustme.LeafCert:
        self.certificate.write_bytes(chain(issued))
        self.key.write_bytes(issued.private_key_pem.bytes())
        return issued

    def served(self) -> ServedCertificate:
        return ServedCertificate(self.certificate, self.key, now=lambda: self.now)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def chain(issued: trustme.LeafCert) -> bytes:
    return b"".join(each.bytes() for each in issued.cert_chain_pems)


def served_to(client: ssl.SSLObject) -> int:
    return x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"").serial_number


def met_with(served: ServedCertificate) -> int:
    """Shake hands in memory; gives the serial number of the certificate that a client sees."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server)
    server = served.context().wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return served_to(client)


def serial(issued: trustme.LeafCert) -> int:
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number


# Renewed


def test_a_renewed_pair_is_served_once_it_stands_still(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first = files.write(files.issue())
    served = files.served()
    served.look()
    served.look()
    second = files.write(files.issue(ends_in_days=90))
    served.look()
    assert met_with(served) == serial(first)
    served.look()
    assert met_with(served) == serial(second)
    served.look()
    assert caplog.messages == [
        f"a new certificate is served, from {files.certificate}, valid until 2026-05-30 00:00 UTC; live calls go on"
    ]


def test_a_secret_of_kubernetes_is_followed_through_its_links(files: Files, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(Path("..data", name))

    def mounted(version: str) -> trustme.LeafCert:
        folder = mount / version
        folder.mkdir()
        issued = files.issue()
        (folder / "tls.crt").write_bytes(chain(issued))
        (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
        (mount / "..data_tmp").symlink_to(version)
        (mount / "..data_tmp").rename(mount / "..data")
        return issued

    first = mounted("..2026_03_01")
    served = ServedCertificate(mount / "tls.crt", mount / "tls.key", now=lambda: files.now)
    assert met_with(served) == serial(first)
    second = mounted("..2026_04_30")
    served.look()
    served.look()
    assert met_with(served) == serial(second)


def test_a_pair_that_is_replaced_between_two_looks_is_not_taken_before_it_stands_still(files: Files) -> None:
    first = files.write(files.issue())
    served = files.served()
    for _ in range(3):
        last = files.write(files.issue())
        served.look()
        assert met_with(served) == serial(first)
    served.look()
    assert met_with(served) == serial(last)


def test_half_a_renewal_is_said_once_and_the_other_half_completes_it(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    first = files.write(files.issue())
    served = files.served()
    second = files.issue()
    files.certificate.write_bytes(chain(second))
    for _ in range(5):
        served.look()
    assert met_with(served) == serial(first)
    assert caplog.messages == [
        (
            f"the new certificate is not taken: {files.key} is not the key of the certificate {files.certificate}: give"
            " the pair that belongs together (of a chain the certificate itself comes first); the certificate from"
            " before is served on, valid until 2026-04-30 00:00 UTC"
        )
    ]
    files.write(second)
    served.look()
    served.look()
    assert met_with(served) == serial(second)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB", b"no PEM at all"])
def test_a_half_written_file_breaks_nothing(files: Files, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    first = files.write(files.issue())
    served = files.served()
    for path in (files.certificate, files.key):
        whole = path.read_bytes()
        path.write_bytes(content)
        for _ in range(3):
            served.look()
        assert met_with(served) == serial(first)
        path.write_bytes(whole)
        served.look()
    assert len(caplog.messages) == 2
    assert all("the new certificate is not taken" in line for line in caplog.messages)


def test_files_that_are_gone_or_closed_to_us_are_said_once(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    first = files.write(files.issue())
    served = files.served()
    files.key.rename(files.key.with_name("away"))
    for _ in range(3):
        served.look()
    assert met_with(served) == serial(first)
    assert caplog.messages == [
        (
            f"{files.key} cannot be read any more: No such file or directory; the certificate from before is served on,"
            " valid until 2026-04-30 00:00 UTC"
        )
    ]
    second = files.write(files.issue())
    served.look()
    served.look()
    assert met_with(served) == serial(second)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    files.write(files.issue())
    served = files.served()
    files.key.unlink()
    os.mkfifo(files.key)
    served.look()
    served.look()
    assert "is a pipe: give a file" in caplog.text
    with pytest.raises(UsageProblem, match="is a pipe, and is read more than once"):
        files.served()


def test_one_that_clients_would_refuse_is_not_taken_for_one_that_they_accept(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    first = files.write(files.issue(ends_in_days=60))
    served = files.served()
    files.write(files.issue(ends_in_days=-1))
    for _ in range(3):
        served.look()
    second = files.write(files.issue(starts_in_days=2))
    for _ in range(3):
        served.look()
    assert met_with(served) == serial(first)
    assert [line.partition(";")[0].partition("taken: ")[2] for line in caplog.messages] == [
        "it expired at 2026-02-28 00:00 UTC",
        "it is not valid before 2026-03-03 00:00 UTC",
    ]
    files.now += timedelta(days=2)
    served.look()
    assert met_with(served) == serial(second)


# The end that comes near


def test_an_end_that_is_near_is_said_at_the_start_and_once_a_day(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    files.write(files.issue(starts_in_days=-74.5, ends_in_days=15.5))
    served = files.served()
    with served.renewed(every_s=3600):
        assert caplog.messages == []
    for hours in range(16 * 24):
        files.now = FIRST_OF_MARCH + timedelta(hours=hours)
        served.look()
    said = [line.partition(str(files.certificate))[2] for line in caplog.messages]
    near = " expires at 2026-03-16 12:00 UTC: renew its files, and new connections get the new one without a restart"
    assert said[:-1] == [near] * 14
    assert said[-1] == (
        " expired at 2026-03-16 12:00 UTC: clients refuse it; renew its files, and new connections get the new one"
        " without a restart"
    )
    files.write(files.issue())
    for _ in range(50):
        files.now += timedelta(hours=1)
        served.look()
    assert len(caplog.messages) == 15


@pytest.mark.parametrize(
    ("starts_in_days", "ends_in_days", "said"),
    [
        (-90, -1, "expired at 2026-02-28 00:00 UTC: clients refuse it"),
        (-76, 14, "expires at 2026-03-15 00:00 UTC: renew its files"),
        (1, 90, "is not valid before 2026-03-02 00:00 UTC: clients refuse it until then; look at this machine's clock"),
    ],
)
def test_what_clients_refuse_or_will_soon_is_said_at_the_start(
    files: Files, starts_in_days: float, ends_in_days: float, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    files.write(files.issue(starts_in_days=starts_in_days, ends_in_days=ends_in_days))
    with files.served().renewed(every_s=3600):
        [line] = caplog.messages
    assert line.startswith(f"the certificate {files.certificate} {said}")


@pytest.mark.parametrize(("days", "near_days"), [(825, 14), (90, 14), (47, 47 / 6), (6, 1)])
def test_the_end_of_a_short_lived_certificate_is_near_later(days: float, near_days: float) -> None:
    validity = Validity(FIRST_OF_MARCH, FIRST_OF_MARCH + timedelta(days=days))
    near = validity.ends_at - timedelta(days=near_days)
    assert validity.state(near - timedelta(seconds=1)) == "valid"
    assert validity.state(near + timedelta(seconds=1)) == "ends soon"


def test_one_of_our_own_has_to_be_made_anew_by_a_start_and_trusted_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    made = keep_certificate("127.0.0.1", tmp_path)
    now = made.expires_at - timedelta(days=10)
    served = ServedCertificate(made.path, made.key_path, is_self_signed=True, now=lambda: now)
    with served.renewed(every_s=3600):
        assert caplog.messages.pop().endswith(
            " UTC: start the proxy again to have a new one made, which clients have to trust anew"
        )
    # Another proxy of this user is started, and makes it.
    made.key_path.unlink()
    keep_certificate("127.0.0.1", tmp_path)
    served.look()
    served.look()
    [new] = [line for line in caplog.messages if line.startswith("a new certificate is served")]
    assert new.endswith("; clients have to trust it anew; live calls go on")


# In a proxy


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def proxy(root: Root, served: ServedCertificate) -> AsyncIterator[str]:
    recorder = Recorder(root, sealer=Sealer(root, in_process=True))
    async with asyncio.timeout(30), serve(echo, "127.0.0.1", 0) as endpoint:
        target = Target("endpoint", f"ws://127.0.0.1:{next(iter(endpoint.sockets)).getsockname()[1]}")
        async with serve_proxy(target, recorder, listen="127.0.0.1:0", tls=served.context) as origin:
            yield origin
    recorder.close()


def seen_by(client: ClientConnection) -> int:
    return served_to(client.transport.get_extra_info("ssl_object"))


async def test_a_live_call_goes_on_and_the_next_gets_the_renewed_certificate(files: Files, root: Root) -> None:
    files.now = datetime.now(UTC)
    first, trusting = files.write(files.issue()), ssl.create_default_context()
    files.authority.configure_trust(trusting)
    served = files.served()
    with served.renewed(every_s=0.01):
        async with proxy(root, served) as origin, connect(f"{origin}/v1/realtime", ssl=trusting) as before:
            second = files.write(files.issue())
            while True:
                async with connect(f"{origin}/v1/realtime", ssl=trusting) as after:
                    if seen_by(after) == serial(second):
                        break
            await before.send("still there?")
            assert await before.recv() == "still there?"
            assert seen_by(before) == serial(first)
