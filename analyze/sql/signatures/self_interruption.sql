-- name: self_interruption
-- group: turn taking
-- happened: Answers were cut off again and again by very short speech soon after their audio began: the endpoint most
--   likely heard its own voice.
-- confidence: likely
-- causes: the loudspeaker is heard by the microphone and nothing cancels the echo; noise that a sensitive turn detection
--   takes for speech; a caller who says "yes" a lot
-- refuted by: A replay to an endpoint with the same audio is cut off as well although nothing is played back: then it is in
--   the audio that was sent, as noise or as a second voice.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- replay: wiretape replay run {session} --to {target} --set 'session.audio.input.turn_detection={"type":"server_vad","threshold":0.8}' --trials 3
-- sources: livekit#1988
WITH cut AS (
    SELECT session_id, response_id, first_audio_ms, done_seq, done_ms, done_at FROM _answers
    -- Where some of its audio is not here, nobody knows when it began.
    WHERE status = 'cancelled' AND status_reason = 'turn_detected' AND first_audio_ms IS NOT NULL AND audio_ms IS NOT NULL
),
bursts AS (
    SELECT session_id, seq, offset_ms,
        LEAD(offset_ms) OVER (PARTITION BY session_id ORDER BY seq) - offset_ms AS lasted_ms,
        LEAD(type) OVER (PARTITION BY session_id ORDER BY seq) AS next_type, type
    FROM _marks
    WHERE type IN ('input_audio_buffer.speech_started', 'input_audio_buffer.speech_stopped')
),
echoes AS (
    SELECT c.session_id, c.done_seq, c.done_at, b.seq, b.lasted_ms, b.offset_ms - c.first_audio_ms AS after_ms
    FROM cut AS c
    ASOF JOIN (SELECT * FROM bursts WHERE type LIKE '%started' AND next_type LIKE '%stopped') AS b
        ON b.session_id = c.session_id AND c.done_ms >= b.offset_ms
    WHERE b.offset_ms BETWEEN c.first_audio_ms AND c.first_audio_ms + 2000 AND b.lasted_ms <= 1500
),
answers AS (
    SELECT session_id, COUNT(*) AS answers FROM _answers WHERE first_audio_ms IS NOT NULL GROUP BY session_id
)
SELECT
    e.session_id,
    CASE
        -- An echo comes as soon as it is played, and ends when it is. Callers hear what they object to first.
        WHEN COUNT(*) * 2 >= ANY_VALUE(a.answers) AND MEDIAN(e.after_ms) <= 1000 AND MEDIAN(e.lasted_ms) <= 1000
            THEN 'likely'
        ELSE 'possible'
    END AS confidence,
    first_seqs(LIST(e.seq) || LIST(e.done_seq)) AS evidence,
    MIN(e.done_at) AS first_at,
    MAX(e.done_at) AS last_at,
    MAP {
        'interruptions': COUNT(*),
        'answers': ANY_VALUE(a.answers),
        'median_after_audio_began_ms': MEDIAN(e.after_ms),
        'median_speech_ms': MEDIAN(e.lasted_ms)
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM echoes AS e
INNER JOIN answers AS a ON a.session_id = e.session_id
GROUP BY e.session_id
HAVING COUNT(*) >= 3;
