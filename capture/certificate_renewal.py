"""The certificate that clients are met with, for months: renewed files are taken in, a near end is told."""

from __future__ import annotations

import hashlib
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from capture.errors import UsageProblem
from capture.tls import load_tls

LOOK_EVERY_S = 60.0
_NEAR_END = timedelta(days=14)
_NEAR_END_PART = 6
"""Certificates that live for days are renewed later than others: the end is near in the last sixth of their time."""
_SAID_AGAIN_AFTER = timedelta(days=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validity:
    """From when until when clients accept a certificate."""

    begins_at: datetime
    ends_at: datetime

    def state(self, now: datetime) -> str:
        """Tell whether it is `valid`, `ends soon`, `has ended` or `begins later`."""
        if now < self.begins_at:
            return "begins later"
        if now >= self.ends_at:
            return "has ended"
        near = min(_NEAR_END, (self.ends_at - self.begins_at) / _NEAR_END_PART)
        return "ends soon" if self.ends_at - now <= near else "valid"

    def is_valid(self, now: datetime) -> bool:
        """Tell whether clients accept it now."""
        return self.begins_at <= now < self.ends_at


@dataclass(frozen=True)
class _Pair:
    """What stood in the two files."""

    digest: str
    validity: Validity | None = field(compare=False)
    """None where OpenSSL may read the certificate and we do not."""


class ServedCertificate:
    """A certificate and its key, as they are served and as they stand in their files."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        is_self_signed: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Load it; `UsageProblem` as for `load_tls`. `is_self_signed`: it is one that Wiretape made."""
        self._certificate = certificate
        self._key = key
        self._is_self_signed = is_self_signed
        self._now = now
        # Read before it is loaded: what is written between the two is new at the next look.
        found = self._read()
        self._context = load_tls(certificate, key)
        if isinstance(found, str):
            raise UsageProblem(found)
        self._served = found
        self._seen: _Pair | str = found
        self._fault: str | None = None
        """Why the files cannot be served, once that was said."""
        self._said: tuple[str, datetime] | None = None
        """The last word on its validity."""

    def context(self) -> ssl.SSLContext:
        """Give what the next client is met with."""
        return self._context

    def ends_at(self) -> datetime | None:
        """Tell until when what is served is valid, where that is known."""
        validity = self._served.validity
        return validity.ends_at if validity else None

    @contextmanager
    def renewed(self, every_s: float = LOOK_EVERY_S) -> Iterator[None]:
        """Look at the files now and then, on a thread of its own, until the block is left."""
        self._say_validity()
        is_over = threading.Event()

        def look_on() -> None:
            while not is_over.wait(every_s):
                try:
                    self.look()
                except Exception as error:  # noqa: BLE001 - what is wrong now may be right next time
                    _log.warning("the files of the certificate cannot be looked at: %s", error)

        # A daemon, and not in the loop: a file may lie on a disk that stalls, and neither calls nor the exit must.
        threading.Thread(target=look_on, name="wiretape certificate", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def look(self) -> None:
        """Take in what stands in the files where it is new, whole and of use; else say once why the old one goes on."""
        found = self._read()
        # Two files are not written at once, nor is one: only what two looks find the same is finished.
        is_settled, self._seen = found == self._seen, found
        if found == self._served:
            self._fault = None
        elif is_settled:
            fault = found if isinstance(found, str) else self._take(found)
            if fault is not None and fault != self._fault:
                _log.warning("%s; the certificate from before is served on%s", fault, self._until())
            self._fault = fault
        self._say_validity()

    def _read(self) -> _Pair | str:
        """Give what stands in the files, or why it cannot be read."""
        digest = hashlib.sha256()
        for path in (self._key, self._certificate):
            if path.is_fifo():
                return f"{path} is a pipe: give a file"
            try:
                content = path.read_bytes()
            except OSError as error:
                return f"{path} cannot be read any more: {error.strerror or error}"
            digest.update(hashlib.sha256(content).digest())
        return _Pair(digest.hexdigest(), _validity(content))

    def _take(self, found: _Pair) -> str | None:
        """Serve it from now on; gives why that cannot be."""
        now = self._now()
        served = self._served.validity
        if found.validity and not found.validity.is_valid(now) and (served is None or served.is_valid(now)):
            return f"the new certificate in {self._certificate} is not taken: it {_when(found.validity, now)}"
        try:
            context = load_tls(self._certificate, self._key)
        except (UsageProblem, OSError) as error:
            return f"the new certificate is not taken: {error}"
        if self._read() != found:
            # It was written meanwhile, and may be of two halves.
            return self._fault
        self._context, self._served, self._said = context, found, None
        trust = "; clients have to trust it anew" if self._is_self_signed else ""
        _log.info("a new certificate is served, from %s%s%s; live calls go on", self._certificate, self._until(), trust)
        return None

    def _until(self) -> str:
        validity = self._served.validity
        return f", valid until {_time(validity.ends_at)}" if validity else ""

    def _say_validity(self) -> None:
        validity, now = self._served.validity, self._now()
        state = validity.state(now) if validity else "valid"
        if validity is None or state == "valid":
            self._said = None
            return
        if self._said is not None and self._said[0] == state and now - self._said[1] < _SAID_AGAIN_AFTER:
            return
        self._said = (state, now)
        _log.warning("the certificate %s %s: %s", self._certificate, _when(validity, now), self._advice(state))

    def _advice(self, state: str) -> str:
        if state == "begins later":
            return "clients refuse it until then; look at this machine's clock"
        refused = "clients refuse it; " if state == "has ended" else ""
        if self._is_self_signed:
            return f"{refused}start the proxy again to have a new one made, which clients have to trust anew"
        return f"{refused}renew its files, and new connections get the new one without a restart"


def _when(validity: Validity, now: datetime) -> str:
    if now < validity.begins_at:
        return f"is not valid before {_time(validity.begins_at)}"
    if now >= validity.ends_at:
        return f"expired at {_time(validity.ends_at)}"
    return f"expires at {_time(validity.ends_at)}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _validity(certificate: bytes) -> Validity | None:
    try:
        # The first one: those behind it are its issuers.
        found = x509.load_pem_x509_certificate(certificate)
        return Validity(found.not_valid_before_utc, found.not_valid_after_utc)
    except ValueError:
        return None
