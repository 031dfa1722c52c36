-- Repeated: one row an item whose transcription completed more than once.

CREATE OR REPLACE TEMP TABLE _repeated AS
SELECT
    h.session_id,                                                               -- its session
    h.item_id,                                                                  -- item that was transcribed
    LIST(e.seq) AS seqs,                                                        -- its completions
    MIN(e.at) AS first_at,                                                      -- the first, UTC
    MAX(e.at) AS last_at,                                                       -- the last, UTC
    COUNT(*) AS completions,                                                    -- how many
    COUNT(DISTINCT get_json_object(e.payload, '$.transcript')) AS texts,        -- different texts; growing ones differ
    MAX(LENGTH(get_json_object(e.payload, '$.transcript'))) AS characters       -- length of the longest
FROM _heard AS h
INNER JOIN events AS e
    ON e.session_id = h.session_id
    AND e.item_id = h.item_id
    AND COALESCE(e.content_index, 0) = h.content_index
WHERE h.completions > 1 AND e.type = 'conversation.item.input_audio_transcription.completed'
GROUP BY h.session_id, h.item_id, h.content_index;
