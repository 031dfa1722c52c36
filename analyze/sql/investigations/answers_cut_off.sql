-- Answers that were cut off: cancelled, failed or incomplete, and those without an end
SELECT
    r.session_id,
    r.response_id,
    COALESCE(r.status, 'no response.done') AS status,
    r.status_reason,
    r.error_type,
    r.error_code,
    ROUND(r.created_ms) AS created_ms,
    ROUND(r.last_audio_ms - r.first_audio_ms) AS audio_span_ms,
    s.target,
    s.model,
    r.answer
FROM responses AS r
JOIN sessions AS s USING (session_id)
WHERE r.status IS DISTINCT FROM 'completed'
ORDER BY s.started_at DESC, r.session_id, r.created_ms
