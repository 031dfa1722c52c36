-- Commits: one row a stretch of speech that the endpoint took in.

CREATE OR REPLACE TEMP TABLE _commits AS
SELECT
    session_id,                                                         -- its session
    item_id,                                                            -- user item that was made of it
    ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY MIN(seq)) AS number,    -- from 1
    MIN(seq) AS seq,                                                    -- input_audio_buffer.committed
    MIN(at_utc) AS at_utc,                                                      -- the same, UTC
    MIN(offset_ms) AS offset_ms                                         -- the same, milliseconds from the session's start
FROM _marks
WHERE type = 'input_audio_buffer.committed' AND sender = 'server'
GROUP BY session_id, item_id;
