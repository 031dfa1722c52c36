-- Heard: one row a transcription of input audio that ended, well or not.

CREATE OR REPLACE TEMP TABLE _heard AS
SELECT
    m.session_id,                                                                   -- its session
    m.item_id,                                                                      -- user item that was transcribed
    COALESCE(m.content_index, 0) AS content_index,                                  -- content part of the item
    MIN(c.seq) AS committed_seq,                                                    -- the item's commit; NULL: not seen
    MIN(c.number) AS number,                                                        -- which commit of the session, from 1
    COUNT(CASE WHEN m.type LIKE '%.completed' THEN 1 END) AS completions,           -- times it completed
    COUNT(CASE WHEN m.type LIKE '%.failed' THEN 1 END) AS failures,                 -- times it failed
    MIN(m.seq) AS seq,                                                              -- its first end
    MIN(m.at_utc) AS at_utc,                                                                -- the same, UTC
    MAX(m.seq) AS last_seq,                                                         -- its last end
    MAX(m.at_utc) AS last_at,                                                           -- the same, UTC
    MAX(m.error_type) AS error_type,                                                -- of a failed one
    MAX(m.error_code) AS error_code,                                                -- the same; NULL where none was given
    MAX(m.error_message) AS error_message                                           -- the same
FROM _marks AS m
LEFT JOIN _commits AS c ON c.session_id = m.session_id AND c.item_id = m.item_id
WHERE m.type IN (
    'conversation.item.input_audio_transcription.completed', 'conversation.item.input_audio_transcription.failed'
)
GROUP BY m.session_id, m.item_id, COALESCE(m.content_index, 0);

-- Silences: one row a transcription of audio that is silence throughout, as sealing measured it.

CREATE OR REPLACE TEMP TABLE _silences AS
WITH quiet AS (
    SELECT session_id, UNNEST(quiet_commits) AS quiet
    FROM sessions
    WHERE len(quiet_commits) > 0
        -- What was lost may have been speech.
        AND complete IS NOT FALSE
        -- Logs whose audio was cut to a few bytes a message may have the silence before it only.
        AND audio_in_ms >= 5.0 * events_sent
)
SELECT
    q.session_id,                                                               -- its session
    q.quiet.seq AS committed_seq,                                               -- the commit
    q.quiet.loudest_dbfs AS loudest_dbfs,                                       -- its loudest 20 ms
    m.seq,                                                                      -- the transcription
    m.at_utc,                                                                   -- the same, UTC
    LENGTH(TRIM(get_json_object(m.payload, '$.transcript'))) AS characters      -- length of its text
FROM quiet AS q
INNER JOIN _marks AS m ON m.session_id = q.session_id AND m.item_id = q.quiet.item_id
WHERE m.type = 'conversation.item.input_audio_transcription.completed';
