-- Rewrites: what a replay sent otherwise than its recording, and why.

CREATE OR REPLACE VIEW rewrites AS
SELECT
    session_id,                         -- the replay
    date,                               -- UTC day of the recording
    offset_ns / 1e6 AS offset_ms,       -- when, since the session's start
    step,                               -- step of the plan
    kind,                               -- why: an override, an id of the new session, a deployment's name …
    path,                               -- of the value in the message
    before,                             -- recorded value, as JSON; of path url as it stood
    after                               -- value that was sent, in the same form
FROM _rewrites;
