"""Record realtime voice sessions off the wire, byte for byte.

How the parts meet:

- a **relay** splices bytes between a client and an endpoint, and hands a copy of each piece to
- the **recorder**, which puts it into the session's **journal** (one writer thread, append-only, crash-safe);
- the **in-process** tap does the same for a `websockets` connection of our own (**call**, replay);
- **sealing**, in a process of its own, reads a journal through **wire** (bytes -> WebSocket messages) and
  writes a **recording**: sessions, events and audio as Parquet;
- **realtime** knows what the messages mean: ids, dialects, audio formats, outcomes;
- **redaction** says what never reaches the disk; **targets** says where calls may go.
"""

__version__ = "0.1.0"
