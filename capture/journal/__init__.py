"""Journals: sessions in flight, on disk a moment after they happen; append-only, safe against a kill.

- **records**: what a journal holds, and how it is encoded: bytes of either sender, facts, and gaps;
- a **file** is one journal on disk: private, locked while it is written, cut back after a failed write;
- the **writer** is one thread for all journals of a process; appending to a **journal** only fills a buffer;
- a **spool** is a file in shared memory: a **feed** of the process that carries calls puts pieces into its **blocks**,
  another process **drain**s it into the journals, so that a stalled disk, and all work for the files, is that one's;
- **counters** tell after a kill how many bytes had been taken, so that what was not yet written is counted;
- the **reader** gives the records back, past a torn end and around damage, and never a wrong one.
"""

from capture.journal.counters import forget_counts, taken_bytes, with_losses
from capture.journal.file import is_abandoned, is_locked
from capture.journal.protocols import JournalKeeper, OpenJournal, Taker
from capture.journal.reader import JournalUnreadable, follow_journal, read_journal
from capture.journal.records import UNKNOWN_BYTES, Direction, Gap, JournalRecord, decode_gap
from capture.journal.shared_memory import sweep_orphans
from capture.journal.spool import has_living_recorder, spooled_names
from capture.journal.writer import Journal, JournalWriter
from capture.journal.writer_process import write_what_was_left

__all__ = [
    "UNKNOWN_BYTES",
    "Direction",
    "Gap",
    "Journal",
    "JournalKeeper",
    "JournalRecord",
    "JournalUnreadable",
    "JournalWriter",
    "OpenJournal",
    "Taker",
    "decode_gap",
    "follow_journal",
    "forget_counts",
    "has_living_recorder",
    "is_abandoned",
    "is_locked",
    "read_journal",
    "spooled_names",
    "sweep_orphans",
    "taken_bytes",
    "with_losses",
    "write_what_was_left",
]
