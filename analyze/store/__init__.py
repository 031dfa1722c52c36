"""A root opened with DuckDB; nothing outside this folder speaks to the engine.

- the **store** answers SQL: our own queries, the pass of the signatures, and what people type into the console;
- its **tables** are sessions, events, audio, divergences and rewrites; sessions are held in memory, the others are
  read from their files, those of one session where a question is about one;
- **table files** are told apart by name and footer: ours, not committed, or not to be read and why;
- over the tables stand the views of `sql/views`; the **console** lets nothing pass but one reading statement.
"""

from analyze.store.console import ConsoleResult, TokenKind, sql_tokens
from analyze.store.small_files import why_slow
from analyze.store.store import VIEWS, Store, open_store

__all__ = ["VIEWS", "ConsoleResult", "Store", "TokenKind", "open_store", "sql_tokens", "why_slow"]
