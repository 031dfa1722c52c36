"""Ask questions of recordings, with DuckDB, on the command line and in a terminal.

- the **store** opens a root: Parquet files as tables, and the views of `sql/views/*.sql` over them;
- the **queries** are one typed method a question, and **answers** are what they give back;
- **filters** reads what people type to pick sessions;
- the **timeline** folds a session's events into rows that a person can read;
- the **alignment** sets two sessions side by side with ids and times masked, **diff** reads what differs;
- the **cli** prints answers as tables or JSON; the **tui** shows the same answers on a screen.
"""
