"""The proxy as the program that a process becomes once its command line is read.

The libraries that read and explain a command line take a quarter of a process that carries 500 sessions, for as long as
it lives. The new program has the same process id, the same terminal, and shows the same words in `ps`.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capture.ending import run_to_end, while_read
from capture.event_loop import choose_loop, spare_the_loop
from capture.journal.spooled import open_journals
from capture.narration import narrate, print_line
from capture.open_files import check_room_for_a_connection, raise_open_files_limit
from capture.own_program import own_program
from capture.policy import RecordingPolicy
from capture.proxy import check_serving, read_client_token, run_proxy
from capture.queued_output import A_MOMENT_S, queued_output
from capture.recorder import Recorder
from capture.recording.root import Root
from capture.targets import Target

if TYPE_CHECKING:
    from capture.certificate_renewal import ServedCertificate


@dataclass(frozen=True)
class ProxyOptions:
    """What the command line asks of a proxy."""

    target: Target
    root: Path
    listen: str
    policy: RecordingPolicy
    certificate: tuple[Path, Path] | None
    """With its key, both PEM; None serves without TLS."""
    drain_s: float | None
    metrics: str | None = None
    """Address at which figures for Prometheus are served."""
    is_self_signed: bool = False
    """Whether the certificate is one that was made here."""


def become_proxy(options: ProxyOptions) -> None:
    """Have this process go on as the proxy; where the system does not let it, run the proxy as it is.

    Raises `UsageProblem` where it could only fail.
    """
    check_serving(options.target, options.listen, read_client_token())
    _check_metrics(options)
    _load_certificate(options)
    # Not as an argument: a URL may hold a key, and everybody reads arguments.
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        # A pipe takes 64 KiB without a reader; options are a few hundred bytes.
        pipe.write(pickle.dumps(options))
    os.set_inheritable(reading, True)
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    sys.stdout.flush()
    with suppress(OSError):
        program = own_program(__name__, "main(int(sys.argv[1]))")
        command = [sys.executable, *flags, *program, str(reading), *sys.argv]
        os.execv(sys.executable, command)  # noqa: S606 - a list of arguments, and no shell
    os.close(reading)
    serve(options)


def main(descriptor: int) -> None:
    """Read what the command line asked for, and serve; the program."""
    with os.fdopen(descriptor, "rb") as pipe:
        options: ProxyOptions = pickle.load(pipe)  # noqa: S301 - from this very process
    run_to_end(lambda: serve(options))


def serve(options: ProxyOptions) -> None:
    """Carry and record clients until a signal comes."""
    narrate()
    certificate = _load_certificate(options)
    raise_open_files_limit()
    check_room_for_a_connection()
    spare_the_loop()
    with (
        queued_output(ends_within_s=A_MOMENT_S),
        certificate.renewed() if certificate else nullcontext(),
        Recorder(Root(options.root), journals=open_journals) as recorder,
        asyncio.Runner(loop_factory=choose_loop()) as runner,
    ):
        runner.run(
            run_proxy(
                options.target,
                recorder,
                listen=options.listen,
                tls=certificate.context if certificate else None,
                policy=options.policy,
                drain_s=options.drain_s,
                metrics=options.metrics,
                certificate_ends_at=certificate.ends_at if certificate else None,
                on_listening=_print_address,
            )
        )


def _print_address(origin: str) -> None:
    # The log has it too: clients are served all the same.
    with while_read():
        print_line(origin)


def _check_metrics(options: ProxyOptions) -> None:
    if options.metrics is not None:
        from capture.metrics_server import check_metrics

        check_metrics(options.metrics)


def _load_certificate(options: ProxyOptions) -> ServedCertificate | None:
    if options.certificate is None:
        return None
    # What reads certificates takes six megabytes: only who serves wss has them.
    from capture.certificate_renewal import ServedCertificate

    return ServedCertificate(*options.certificate, is_self_signed=options.is_self_signed)
