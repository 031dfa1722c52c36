"""Answers as tables and JSON on stdout.

- the **page** is what they have in common, above `replay.printing`, which is stdout: tables that fold to the terminal;
- the **listing** shows sessions and failure matrices, the **session** one session, the **comparison** two, the
  **decision** a run's verdict.

Everything that came over the wire goes through `plain_text.visible` and is never read as markup.
"""
