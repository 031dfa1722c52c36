-- Slowest turns: longest from the end of speech to the first audio of the answer
-- A written turn counts from the message. What the caller said and what was answered stand beside it.
SELECT
    t.session_id,
    t.turn,
    ROUND(t.first_audio_ms - COALESCE(t.speech_stopped_ms, t.asked_ms, t.committed_ms)) AS first_audio_after_ms,
    ROUND(t.response_done_ms - t.first_audio_ms) AS answer_ms,
    s.target,
    s.region,
    s.model,
    t.response_status,
    t.transcript,
    t.answer
FROM turns AS t
JOIN sessions AS s USING (session_id)
WHERE t.first_audio_ms IS NOT NULL
ORDER BY first_audio_after_ms DESC NULLS LAST, t.session_id, t.turn
LIMIT 100
