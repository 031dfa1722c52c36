-- Closes: the close frame that each side sent, where it sent one.

CREATE OR REPLACE TEMP TABLE _closes AS
SELECT
    session_id,                             -- its session
    sender,                                 -- client or server
    MIN(seq) AS seq,                        -- place in the session
    MIN(offset_ms) AS offset_ms,            -- milliseconds from the session's start
    MIN(at_utc) AS at_utc                   -- UTC
FROM _marks
WHERE kind = 'close'
GROUP BY session_id, sender;
