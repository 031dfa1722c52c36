"""How much of the processor sealing one session may take: what takes more never ends.

The text of a session is hostile, and an expression of `--redact` may take for ever on it. The sealer seals one session
after another: one that never ends would be the last.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

LEAST_CPU_S = 600
"""That every session may take."""
_BYTES_A_SECOND = 100_000
"""What is added for its size: sealing takes tens of megabytes a second (docs/performance.md)."""


def limit_cpu(journal: Path, least_cpu_s: float = LEAST_CPU_S) -> None:
    """Have the system kill this process once it has taken too long over a journal; call it before each."""
    with suppress(OSError):
        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed_s = least_cpu_s + journal.stat().st_size / _BYTES_A_SECOND
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        limit = int(used.ru_utime + used.ru_stime + allowed_s) + 1
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))
        # A core would hold what was said, in a file that nobody prunes.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
