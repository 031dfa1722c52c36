-- name: response_never_started
-- group: response
-- happened: An answer was due, after speech that was taken in or a response.create, and none came in the five seconds and
--   more that the session went on; no error was told.
-- confidence: certain
-- causes: the endpoint dropped the turn; it waits for something that the client did not send
-- refuted by: The same session gets its answer when it waits longer.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: livekit/agents#6817
WITH asked AS (
    SELECT session_id, seq, at_utc, offset_ms
    FROM _marks
    WHERE type = 'input_audio_buffer.committed' OR type = 'response.create'
),
last_answer AS (
    SELECT session_id, MAX(created_ms) AS created_ms FROM _answers WHERE NOT is_aside GROUP BY session_id
)
SELECT
    q.session_id,
    CASE WHEN MAX(s.duration_ms - q.offset_ms) >= 15000 THEN 'certain' ELSE 'likely' END AS confidence,
    first_seqs(LIST(q.seq)) AS evidence,
    MIN(q.at_utc) AS first_at,
    MAX(q.at_utc) AS last_at,
    MAP {'waited_s': (MIN(s.duration_ms) - MAX(q.offset_ms)) / 1000} AS numbers,
    keys_like(MIN(s.failure_keys), 'absent:response.created') AS explains
FROM asked AS q
INNER JOIN sessions AS s ON s.session_id = q.session_id
LEFT JOIN last_answer AS l ON l.session_id = q.session_id
WHERE list_contains(s.failure_keys, 'absent:response.created')
    AND q.offset_ms > COALESCE(l.created_ms, -1)
    AND q.offset_ms <= s.duration_ms - 5000
GROUP BY q.session_id;
