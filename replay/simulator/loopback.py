"""The way to an endpoint in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loopback_directly() -> Iterator[None]:
    """Have loopback reached past any HTTP proxy that the environment names: no other machine knows the simulator."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    exempt = [value for value in dict.fromkeys(before.values()) if value]
    os.environ.update(dict.fromkeys(before, ",".join([*exempt, "127.0.0.1"])))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
