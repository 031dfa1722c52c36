-- Repeated: one row an item whose transcription completed more than once.

CREATE OR REPLACE TEMP TABLE _repeated AS
SELECT
    h.session_id,                                                               -- its session
    h.item_id,                                                                  -- item that was transcribed
    LIST(m.seq) AS seqs,                                                        -- its completions
    MIN(m.at_utc) AS first_at,                                                  -- the first, UTC
    MAX(m.at_utc) AS last_at,                                                   -- the last, UTC
    COUNT(*) AS completions,                                                    -- how many
    COUNT(DISTINCT get_json_object(m.payload, '$.transcript')) AS texts,        -- different texts; growing ones differ
    MAX(LENGTH(get_json_object(m.payload, '$.transcript'))) AS characters       -- length of the longest
FROM _heard AS h
INNER JOIN _marks AS m
    ON m.session_id = h.session_id
    AND m.item_id = h.item_id
    AND COALESCE(m.content_index, 0) = h.content_index
WHERE h.completions > 1 AND m.type = 'conversation.item.input_audio_transcription.completed'
GROUP BY h.session_id, h.item_id, h.content_index;
