"""Large roots to ask questions of: a few calls are sealed for real, and each session of a root is a copy of one.

`calls` makes the messages of a call and has them sealed; `filling` copies its rows into a root of any size, with ids,
times, regions and models of its own, a file a session or compacted.
"""
