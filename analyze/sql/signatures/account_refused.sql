-- name: account_refused
-- group: response
-- happened: A response or a request was refused because of the account: no quota or credit is left, a billing limit is
--   reached, or it is deactivated.
-- confidence: certain
-- causes: the prepaid credit or the month's budget is used up; the payment failed; the account or project was closed
-- refuted by: The same session is served with the same key.
-- replay: wiretape replay run {session} --to {target} --trials 1
-- sources: livekit/agents#7805 (the codes that no later attempt mends)
SELECT
    m.session_id,
    'certain' AS confidence,
    first_seqs(LIST(m.seq)) AS evidence,
    MIN(m.at_utc) AS first_at,
    MAX(m.at_utc) AS last_at,
    MAP {
        'refused': COUNT(*),
        'failed_responses': COUNT(CASE WHEN m.type = 'response.done' THEN 1 END)
    } AS numbers,
    list_concat(
        keys_starting(
            MIN(s.failure_keys),
            LIST(m.type || '|' || COALESCE(m.error_type, '') || '|' || COALESCE(m.error_code, '') || '|')
        ),
        keys_matching(MIN(s.failure_keys), '^close\|server\||^absent:')
    ) AS explains
FROM _marks AS m
INNER JOIN sessions AS s ON s.session_id = m.session_id
-- Some give the code as the type.
WHERE m.type IN ('response.done', 'error')
    AND (is_of_the_account(m.error_code) OR is_of_the_account(m.error_type))
GROUP BY m.session_id;
