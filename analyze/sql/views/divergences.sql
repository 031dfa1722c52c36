-- Divergences: what came otherwise in a replay than in its recording, and what was done about it.

CREATE OR REPLACE VIEW divergences AS
SELECT
    session_id,                         -- the replay
    date,                               -- UTC day of the recording
    offset_ns / 1e6 AS offset_ms,       -- when, since the session's start
    step,                               -- step of the plan that was at hand
    kind,                               -- such as dependency_missing or new_tool (docs/replay.md lists them)
    expected,                           -- what the recording had there
    seen,                               -- what came instead
    action                              -- what the replay did: sent, skipped, went on, ended …
FROM _divergences;
