-- name: peak_hour_capacity
-- group: response
-- happened: Responses failed with server_error and no code, and how often they did so at this endpoint follows the hour of
--   the day more than chance explains.
-- confidence: likely
-- causes: the region is short of capacity in its peak hours
-- refuted by: The same session fails as often in the best hour as in the worst.
-- replay: wiretape replay run {session} --to {target} --trials 20
-- sources: Microsoft Q&A 5859586
SELECT
    f.session_id,
    CASE WHEN MIN(f.deviate - f.deviate_of_chance) >= 0.7 THEN 'likely' ELSE 'possible' END AS confidence,
    first_seqs(LIST(f.done_seq)) AS evidence,
    MIN(f.done_at) AS first_at,
    MAX(f.done_at) AS last_at,
    MAP {
        'failed_responses': COUNT(*),
        'failed_at_endpoint': MIN(f.failed),
        'responses_at_endpoint': MIN(f.responses),
        'worst_hour_utc': MIN(f.worst_hour),
        'worst_hour_share': MIN(f.highest_rate),
        'best_hour_share': MIN(f.lowest_rate)
    } AS numbers,
    keys_of_failed_answers(MIN(s.failure_keys)) AS explains
FROM _failed_answers AS f
INNER JOIN sessions AS s ON s.session_id = f.session_id
WHERE f.is_in_peak
GROUP BY f.session_id;
