"""TLS between client and proxy: a certificate that is given, or one of our own making and how to trust it."""

from __future__ import annotations

import fcntl
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from capture.errors import UsageProblem
from capture.narration import Seldom
from capture.private_files import make_private_folder, replacing, state_folder

_LIFETIME = timedelta(days=825)
"""The longest that Apple's systems accept of a certificate outside the public authorities."""
_RENEWED_BEFORE_END = timedelta(days=30)
_ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
_WHY_NO_HANDSHAKE = {
    "HTTP_REQUEST": "it speaks no TLS: have it connect to wss://",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not take the certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take the certificate",
}
# The second is said of a key of another kind: RSA and EC.
_NO_PAIR = ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED", "KEY_TYPE_MISMATCH")
_TOO_WEAK = ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Certificate:
    """A certificate of our own making, on disk."""

    path: Path
    """The certificate alone: what clients are told to trust."""
    key_path: Path
    """Key and certificate, for the owner only."""
    names: tuple[str, ...]
    """Hosts and addresses that it is valid for."""
    expires_at: datetime
    is_new: bool
    """Whether it was made just now, so that no client can trust it yet."""


def load_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Make the context of a server; `UsageProblem` where the files cannot be read or do not belong together."""
    for path, option in ((certificate, "--tls-cert"), (key, "--tls-key")):
        if path.is_fifo():
            # The program that checks it is not yet the one that serves with it.
            raise UsageProblem(f"{option} {path} is a pipe, and is read more than once: give a file")
        try:
            path.open("rb").close()
        except OSError as error:
            raise UsageProblem(f"{option} {path} cannot be read: {error.strerror or error}") from error
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # A WebSocket is an upgrade of HTTP/1.1; a client that offers more must not choose it.
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = _telling_of_failures()
    try:
        # An empty password keeps OpenSSL from asking for one at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise UsageProblem(_fault(certificate, key, error)) from error
    return context


def _telling_of_failures() -> type[ssl.SSLObject]:
    # The loop ends such connections without a word, and clients often know no more than that.
    say = Seldom(_log.warning)

    class Telling(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                reason = error.reason or "no reason"
                say("a client's TLS handshake failed: %s", _WHY_NO_HANDSHAKE.get(reason) or reason.replace("_", " "))
                raise

    return Telling


def keep_certificate(host: str, folder: Path | None = None) -> Certificate:
    """Give the self-signed certificate for a host to listen on, kept in a folder of the user's until it ends.

    It vouches for its own names only: no authority whose key could sign for others. Raises `UsageProblem` where the
    folder (default: `$XDG_STATE_HOME/wiretape`, else `~/.local/state/wiretape`) cannot be used.
    """
    folder = folder or state_folder()
    names = _names(host)
    try:
        make_private_folder(folder)
        with _only_one(folder):
            stem = folder / (re.sub(r"[^\w.-]", "_", names[-1]) if len(names) > len(_ALWAYS_NAMED) else "localhost")
            path, key_path = Path(f"{stem}.pem"), Path(f"{stem}.key.pem")
            found = _usable(key_path, names)
            is_new = found is None
            if found is None:
                found, private = _make(names)
                with replacing(key_path) as file:
                    file.write(private)
            # It is no secret, and is mounted into containers whose users are others.
            with replacing(path, 0o644) as file:
                file.write(found.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise UsageProblem(f"no certificate can be kept in {folder}: {error.strerror or error}") from error
    return Certificate(path, key_path, names, found.not_valid_after_utc, is_new)


def trust_advice(certificate: Certificate) -> str:
    """Say how clients come to trust it: Python, Node and curl."""
    path, names = certificate.path, ", ".join(certificate.names)
    return f"""\
self-signed certificate {path}{" (new)" if certificate.is_new else ""},
valid for {names} until {certificate.expires_at:%Y-%m-%d}; clients, not this proxy, trust it so:
  Python  SSL_CERT_FILE={path}
          or websockets.connect(..., ssl=ssl.create_default_context(cafile="{path}"))
  Node    NODE_EXTRA_CA_CERTS={path}
  curl    --cacert {path}"""


def _fault(certificate: Path, key: Path, error: Exception) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_PAIR:
        return (
            f"{key} is not the key of the certificate {certificate}: give the pair that belongs together (of a"
            " chain the certificate itself comes first)"
        )
    if b"ENCRYPTED" in key.read_bytes():
        return f"{key} is encrypted: give a key without a passphrase (openssl pkey -in FILE -out FILE)"
    if reason.startswith(_TOO_WEAK):
        return (
            f"{certificate} is too weak for clients ({reason.replace('_', ' ').lower()}): make a new one, with its key"
        )
    return f"{certificate} and {key} are no certificate and key in PEM form: {error}"


def _names(host: str) -> tuple[str, ...]:
    # Nobody can connect to a wildcard; other machines know this one by its name.
    named = socket.gethostname() if host in _WILDCARDS else host
    return _ALWAYS_NAMED if named in _ALWAYS_NAMED else (*_ALWAYS_NAMED, named)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    # Two proxies that start at once would otherwise each make one, and clients trust only the last.
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _usable(key_path: Path, names: tuple[str, ...]) -> x509.Certificate | None:
    try:
        kept = key_path.read_bytes()
        found = x509.load_pem_x509_certificate(kept)
        key = serialization.load_pem_private_key(kept, None)
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    is_lasting = found.not_valid_after_utc - datetime.now(UTC) > _RENEWED_BEFORE_END
    is_pair = found.public_key() == key.public_key()
    return found if is_lasting and is_pair and set(named) == set(map(_general_name, names)) else None


def _make(names: tuple[str, ...]) -> tuple[x509.Certificate, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"wiretape on {socket.gethostname()}"[:64])])
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of containers and phones differ a little.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME - timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
    )
    made = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made, private + made.public_bytes(serialization.Encoding.PEM)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode())
