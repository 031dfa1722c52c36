-- name: vad_accepted_but_dead
-- group: turn taking
-- happened: The endpoint echoed a turn detection, speech was sent, and it never said speech_started.
-- confidence: likely
-- causes: the endpoint accepts this kind of turn detection and does not run it; the audio is declared in another format or
--   rate than it has, so that the endpoint hears noise; loud noise that only its energy makes look like speech
-- refuted by: A replay with server_vad stays as deaf: then it is the audio, or the path it takes.
-- replay: wiretape replay run {session} --to {target} --set 'session.audio.input.turn_detection.type="server_vad"' --trials 3
-- sources: livekit#6871
WITH heard AS (
    SELECT
        session_id,
        COUNT(CASE WHEN type LIKE 'input_audio_buffer.%' THEN 1 END) AS marks,
        MAX(CASE WHEN type LIKE '%session.updated' AND sender = 'server' THEN seq END) AS echo_seq,
        MAX(CASE WHEN type LIKE '%session.updated' AND sender = 'server' THEN at_utc END) AS echo_at
    FROM _marks
    GROUP BY session_id
)
SELECT
    s.session_id,
    -- Where all of it is loud, energy does not tell speech from noise.
    CASE WHEN p.speech_ms > 0.95 * p.duration_ms OR h.echo_seq IS NULL THEN 'possible' ELSE 'likely' END AS confidence,
    first_seqs(list_filter([h.echo_seq], lambda seq: seq IS NOT NULL)) AS evidence,
    COALESCE(h.echo_at, s.started_at) AS first_at,
    s.ended_at AS last_at,
    MAP {'speech_sent_ms': p.speech_ms, 'audio_sent_ms': p.duration_ms, 'peak': p.peak} AS numbers,
    keys_like(s.failure_keys, 'absent:response.created') AS explains
FROM sessions AS s
INNER JOIN _spoken AS p ON p.session_id = s.session_id
INNER JOIN heard AS h ON h.session_id = s.session_id
WHERE s.turn_detection IN ('server_vad', 'semantic_vad')
    AND p.speech_ms >= 1000
    AND h.marks = 0
    -- What was not kept may have been heard.
    AND s.complete AND s.kept = 'whole';
