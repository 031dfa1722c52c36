-- name: abnormal_close_1006
-- group: connection
-- happened: The connection ended without a close frame, and no error came before it. Pacing and the recorder's own
--   health stand in the numbers: look at them before blaming anyone.
-- confidence: certain
-- causes: the network or something between client and endpoint dropped the connection; the endpoint's safeguard against
--   audio that comes too fast or for very long; the recorder or its machine stalled, where its numbers say so
-- refuted by: Replays at the recorded pace end in the same place each time: then it is what was sent, and no accident.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: Microsoft Q&A a/12377610
WITH closing AS (
    SELECT m.session_id, MAX(m.seq) AS last_seq, MAX(m.at_utc) AS last_at,
        MAX(CASE WHEN m.sender = 'server' THEN m.offset_ms END) AS heard_ms
    FROM _marks AS m
    WHERE m.session_id IN (SELECT session_id FROM sessions WHERE close_code = 1006)
    GROUP BY m.session_id
),
-- Pieces of an answer are no marks.
answering AS (
    SELECT session_id, MAX(last_ms) AS heard_ms FROM _answers GROUP BY session_id
)
SELECT
    s.session_id,
    CASE
        -- The close frame may be what was lost.
        WHEN s.complete IS FALSE THEN 'possible'
        WHEN s.relay_lag_max_us IS NULL THEN 'likely'
        WHEN s.relay_lag_max_us > 1e6 OR s.backpressure_client_ms > 1000 THEN 'possible'
        ELSE 'certain'
    END AS confidence,
    first_seqs([c.last_seq]) AS evidence,
    s.ended_at AS first_at,
    s.ended_at AS last_at,
    MAP {
        'age_s': s.duration_ms / 1000,
        'pacing_ratio': s.pacing_ratio,
        -- What windows left out may have been its last words.
        'since_endpoint_spoke_s': CASE WHEN s.kept IS DISTINCT FROM 'window'
            THEN (s.duration_ms - GREATEST(c.heard_ms, a.heard_ms)) / 1000 END,
        'relay_lag_max_us': s.relay_lag_max_us,
        'backpressure_client_ms': s.backpressure_client_ms,
        'backpressure_server_ms': s.backpressure_server_ms,
        'lost_bytes': s.lost_bytes
    } AS numbers,
    keys_matching(s.failure_keys, '^close\|[a-z]*\|1006\||^absent:') AS explains
FROM sessions AS s
LEFT JOIN closing AS c ON c.session_id = s.session_id
LEFT JOIN answering AS a ON a.session_id = s.session_id
WHERE s.close_code = 1006
    AND s.closed_by IN ('server', 'network')
    AND len(keys_like(s.failure_keys, 'close|%|1006|%')) > 0
    AND NOT is_age_of_cap(s.duration_ms, s.started_at, s.expires_at)
    AND NOT EXISTS (
        SELECT 1 FROM _errors AS e
        WHERE e.session_id = s.session_id AND NOT e.is_benign
            AND (e.offset_ms > s.duration_ms - 5000 OR e.about = 'end of session')
    );
