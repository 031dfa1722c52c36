-- name: error_right_after_session_created
-- group: connection
-- happened: An error came within a second of session.created, before any audio was taken in, and the error
--   names nothing that the client had sent.
-- confidence: likely
-- causes: the endpoint's backend could not start the session; the deployment is not ready or out of capacity
-- refuted by: Every new session fails in the same way, even with an empty configuration: then it is the deployment.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: Microsoft Q&A 5541981
SELECT
    e.session_id,
    CASE WHEN ANY_VALUE(s.complete) IS FALSE THEN 'possible' ELSE 'likely' END AS confidence,
    first_seqs(LIST(e.seq)) AS evidence,
    MIN(e.at_utc) AS first_at,
    MAX(e.at_utc) AS last_at,
    MAP {'after_created_ms': MIN(e.after_created_ms), 'errors': COUNT(*)} AS numbers,
    list_concat(
        keys_starting(ANY_VALUE(s.failure_keys), LIST(error_key(e.error_type, e.error_code))),
        keys_matching(ANY_VALUE(s.failure_keys), '^close\|server\||^absent:')
    ) AS explains
FROM _errors AS e
INNER JOIN sessions AS s ON s.session_id = e.session_id
WHERE e.about IS NULL
    -- Of requests too, of which some may be audio that is none.
    AND (e.error_type IS DISTINCT FROM 'invalid_request_error' OR s.events_sent = 0)
    AND e.after_created_ms <= 1000 AND NOT e.after_use
GROUP BY e.session_id;
