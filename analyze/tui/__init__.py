"""The answers of `analyze.queries` on a screen, keyboard first.

- the **app** is modes and keys: Sessions, Failures and SQL, with Session, Diff and Replay opened above them;
- the **memory** is what the screens remember over a restart;
- a **source** gives the screens their answers: a root behind a lock in the program, a fake in a test;
- a **screen** asks its source in a thread and hands what comes back down to its widgets;
- a **widget** shows what it is given and sends messages up; it asks nothing itself;
- a **line** is runs of text with a **tone** (what the text means: ok, failed, client …); everything on the
  screen is made of lines, no text is ever read as markup, and control characters are shown escaped.
"""
