-- Transcriptions: one row an item whose input audio was transcribed, or should have been and failed.

CREATE OR REPLACE VIEW transcriptions AS
SELECT
    session_id,                                                             -- its session
    item_id,                                                                -- user item that was transcribed
    COALESCE(content_index, 0) AS content_index,                            -- content part of the item
    CASE
        WHEN COUNT(CASE WHEN type LIKE '%.completed' THEN 1 END) > 0 THEN 'completed'
        WHEN COUNT(CASE WHEN type LIKE '%.failed' THEN 1 END) > 0 THEN 'failed'
        ELSE 'partial'
    END AS state,                                                           -- completed, failed, or partial: no end seen
    MAX(CASE WHEN type LIKE '%.completed' OR type LIKE '%.failed'
        THEN offset_ms END) AS ended_ms,                                    -- when it completed or failed
    -- Pinned it lies outside the windows that were kept, and its pieces were left out.
    MIN(CASE WHEN type NOT LIKE '%.failed' AND pinned IS DISTINCT FROM TRUE
        THEN offset_ms END) AS first_ms,                                    -- its first words that were kept, in pieces or whole
    COUNT(CASE WHEN type LIKE '%.completed' THEN 1 END) AS completions,     -- more than one: repeated by the endpoint
    -- xAI completes more than once, with growing text: the last one counts.
    MAX_BY(CASE WHEN type LIKE '%.completed' THEN get_json_object(payload, '$.transcript') END,
        CASE WHEN type LIKE '%.completed' THEN seq END) AS transcript,      -- what the user said
    MAX(error_type) AS error_type,                                          -- of a failed one
    MAX(error_code) AS error_code,                                          -- the same
    MAX(error_message) AS error_message                                     -- the same
FROM events
-- completed, delta and failed, and nothing else: a range is read from a file faster than a list.
WHERE type BETWEEN 'conversation.item.input_audio_transcription.completed'
    AND 'conversation.item.input_audio_transcription.failed'
GROUP BY session_id, item_id, COALESCE(content_index, 0);
