-- name: vad_accepted_but_dead
-- group: turn taking
-- happened: The endpoint echoed a turn detection, speech was sent, and it never said speech_started.
-- confidence: likely
-- causes: the endpoint accepts this kind of turn detection and does not run it; the audio is declared in another format or
--   rate than it has, so that the endpoint hears noise; loud noise that only its energy makes look like speech
-- refuted by: A replay with server_vad stays as deaf: then it is the audio, or the path it takes.
-- replay: wiretape replay run {session} --to {target} --set 'session.audio.input.turn_detection={"type":"server_vad"}' --trials 3
-- sources: livekit#6871
WITH talked AS (
    SELECT p.* FROM _spoken AS p ANTI JOIN _commits AS c ON c.session_id = p.session_id WHERE p.speech_ms >= 1000
),
heard AS (
    SELECT
        session_id,
        COUNT(CASE WHEN type BETWEEN 'input_audio_buffer.commit' AND 'input_audio_buffer.speech_started'
            AND type NOT LIKE '%dtmf%' THEN 1 END) AS turns,
        MAX(CASE WHEN type LIKE '%session.updated' AND sender = 'server' THEN seq END) AS echo_seq,
        MAX(CASE WHEN type LIKE '%session.updated' AND sender = 'server' THEN at_utc END) AS echo_at
    FROM _marks
    WHERE session_id IN (SELECT session_id FROM talked)
    GROUP BY session_id
)
SELECT
    s.session_id,
    -- Energy alone does not tell speech from steady noise, nor from clicks on a line where nobody speaks. And who
    -- sends a clip at once and leaves has not waited.
    CASE
        WHEN h.echo_seq IS NOT NULL AND s.duration_ms >= p.duration_ms AND p.speech_ms BETWEEN 0.1 * p.duration_ms AND 0.95 * p.duration_ms THEN 'likely'
        ELSE 'possible'
    END AS confidence,
    first_seqs([h.echo_seq]) AS evidence,
    COALESCE(h.echo_at, s.started_at) AS first_at,
    s.ended_at AS last_at,
    MAP {'speech_sent_ms': p.speech_ms, 'audio_sent_ms': p.duration_ms, 'peak': p.peak} AS numbers,
    keys_like(s.failure_keys, 'absent:response.created') AS explains
FROM sessions AS s
INNER JOIN talked AS p ON p.session_id = s.session_id
INNER JOIN heard AS h ON h.session_id = s.session_id
WHERE s.turn_detection LIKE '%vad'
    AND h.turns = 0
    -- What was not kept may have been heard.
    AND is_whole(s.complete, s.kept);
