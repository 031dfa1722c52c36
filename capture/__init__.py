"""Record realtime voice sessions off the wire, byte for byte.

How the parts meet:

- a **relay** splices bytes between a client and an endpoint, and hands a copy of each piece to
- the **recorder**, which puts it into the session's **journal** (one writer thread, append-only, crash-safe);
- the **tap** does the same for a `websockets` connection in this process: one of our own (**in-process**, for **call**
  and replay), or one that the program makes by itself (**attach**: `from capture import record`);
- **sealing**, in a process of its own, reads a journal through **wire** (bytes -> WebSocket messages) and
  writes a **recording**: sessions, events and audio as Parquet;
- **realtime** knows what the messages mean: ids, dialects, audio formats, outcomes;
- **redaction** says what never reaches the disk; **targets** says where calls may go.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capture.attach import record

__all__ = ["__version__", "record"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `record` with what it needs when it is asked for: the command line starts without."""
    if name != "record":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from capture.attach import record

    return record
