-- name: close_1000_after_session_update
-- group: connection
-- happened: The endpoint said a clean goodbye (1000) right after session.update, with no error and no answer.
-- confidence: likely
-- causes: the endpoint does not take this configuration and does not say so; a gateway in between ends the session
-- refuted by: A replay whose configuration is empty is closed in the same way.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: OpenAI community 1082530
WITH closed AS (
    SELECT
        session_id,
        MAX(CASE WHEN type LIKE '%session.update' AND sender = 'client' THEN seq END) AS update_seq,
        MAX(CASE WHEN type LIKE '%session.update' AND sender = 'client' THEN at_utc END) AS update_at,
        MAX(CASE WHEN type LIKE '%session.update' AND sender = 'client' THEN offset_ms END) AS update_ms,
        MIN(CASE WHEN kind = 'close' THEN seq END) AS close_seq,
        MIN(CASE WHEN kind = 'close' THEN at_utc END) AS close_at,
        MIN(CASE WHEN kind = 'close' THEN offset_ms END) AS close_ms,
        COUNT(CASE WHEN type = 'error' OR type LIKE 'response.%' OR type LIKE 'input_audio_buffer.%' THEN 1 END) AS others
    FROM _marks
    WHERE session_id IN (SELECT session_id FROM sessions WHERE closed_by = 'server' AND close_code = 1000)
    GROUP BY session_id
)
SELECT
    c.session_id,
    'likely' AS confidence,
    first_seqs([c.update_seq, c.close_seq]) AS evidence,
    c.update_at AS first_at,
    c.close_at AS last_at,
    MAP {'closed_after_update_ms': c.close_ms - c.update_ms} AS numbers,
    keys_like(s.failure_keys, 'absent:%') AS explains
FROM closed AS c
INNER JOIN sessions AS s ON s.session_id = c.session_id
-- An error or an answer may be what was lost.
WHERE s.complete IS NOT FALSE AND c.others = 0 AND c.close_ms - c.update_ms BETWEEN 0 AND 1000;
