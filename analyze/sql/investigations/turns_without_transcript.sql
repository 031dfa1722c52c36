-- Turns without a transcript: one was asked for, and it failed or never came
SELECT
    t.session_id,
    t.turn,
    t.transcription,
    s.target,
    s.region,
    s.transcription_model,
    x.error_type,
    x.error_code,
    x.error_message,
    ROUND(t.committed_ms) AS committed_ms,
    t.response_status AS answer_status
FROM turns AS t
JOIN sessions AS s USING (session_id)
LEFT JOIN transcriptions AS x ON x.session_id = t.session_id AND x.item_id = t.item_id AND x.content_index = 0
WHERE t.transcription IN ('failed', 'missing')
ORDER BY s.started_at DESC, t.session_id, t.turn
