-- name: response_server_error_midstream
-- group: response
-- happened: A response ended as failed with server_error and no code.
-- confidence: likely
-- causes: a fault of the endpoint while it made the answer; this session's context or tools, if it always fails here
-- refuted by: The same session fails at another region or endpoint too.
-- replay: wiretape replay run {session} --to {target} --trials 10
-- sources: Microsoft Q&A 5821653; livekit/agents#4617
SELECT
    f.session_id,
    'likely' AS confidence,
    first_seqs(LIST(f.done_seq)) AS evidence,
    MIN(f.done_at) AS first_at,
    MAX(f.done_at) AS last_at,
    MAP {
        'failed_responses': COUNT(*),
        'failed_after_audio': COUNT(f.first_audio_seq),
        'longest_response_ms': MAX(f.response_ms)
    } AS numbers,
    keys_of_failed_answers(MIN(s.failure_keys)) AS explains
FROM _failed_answers AS f
INNER JOIN sessions AS s ON s.session_id = f.session_id
GROUP BY f.session_id
HAVING NOT BOOL_OR(f.is_in_peak);
