-- name: session_max_duration
-- group: connection
-- happened: The endpoint ended the session because it had lasted as long as a session may.
-- confidence: certain
-- causes: the session reached the endpoint's cap (60 minutes, earlier 30 and 15) and the client did not open a new one
--   before `expires_at`
-- refuted by: A replay at ten times the pace ends in the same way long before the cap.
-- replay: wiretape replay run {session} --to {target} --speed 10 --trials 1
-- sources: pollen-robotics/reachy_mini#134; pipecat#3170
WITH told AS (
    SELECT session_id, LIST(seq) AS seqs, MIN(at_utc) AS first_at
    FROM _errors
    WHERE about = 'end of session'
    GROUP BY session_id
)
SELECT
    s.session_id,
    CASE
        WHEN t.session_id IS NOT NULL OR s.close_reason LIKE '%maximum duration%' THEN 'certain'
        WHEN s.close_code = 1001 THEN 'likely'
        ELSE 'possible'
    END AS confidence,
    first_seqs(list_append(t.seqs, c.seq)) AS evidence,
    COALESCE(t.first_at, s.ended_at) AS first_at,
    s.ended_at AS last_at,
    MAP {
        'age_s': s.duration_ms / 1000,
        'past_expires_at_s': (epoch_ms(s.ended_at) - epoch_ms(s.expires_at)) / 1000,
        'close_code': s.close_code
    } AS numbers,
    keys_matching(s.failure_keys, '^error\|.*(session_expired|maximum duration)|^close\||^absent:') AS explains
FROM sessions AS s
LEFT JOIN told AS t ON t.session_id = s.session_id
LEFT JOIN _closes AS c ON c.session_id = s.session_id AND c.sender = 'server'
WHERE t.session_id IS NOT NULL
    OR (s.closed_by = 'server' AND s.close_reason LIKE '%maximum duration%')
    OR (
        s.closed_by IN ('server', 'network')
        AND s.close_code IN (1001, 1006)
        AND is_age_of_cap(s.duration_ms, s.started_at, s.expires_at)
    );
