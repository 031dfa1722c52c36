-- name: inference_rate_limited
-- group: response
-- happened: A response or a request was refused because a rate limit was reached.
-- confidence: certain
-- causes: the quota of tokens or requests a minute or a day is used up, by this client or by others of the same account;
--   the endpoint holds new responses back for a while
-- refuted by: The same session is refused when nothing else runs on the account.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: openai-python#2502; openai-agents-js#1022
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
    list_filter(
        MIN(s.failure_keys),
        lambda failure_key: regexp_matches(
            failure_key,
            '^(response\.done|error)\|((inference_)?rate_limit_exceeded\||[^|]*\|(inference_)?rate_limit_exceeded\|)'
        )
    ) AS explains
FROM _marks AS m
INNER JOIN sessions AS s ON s.session_id = m.session_id
-- Some call it an invalid request: the code says what it is. Others give the code as the type.
WHERE m.type IN ('response.done', 'error')
    AND (is_rate_limit(m.error_code) OR is_rate_limit(m.error_type))
GROUP BY m.session_id;
