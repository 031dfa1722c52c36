-- name: model_variant_capacity
-- group: response
-- happened: Responses failed with inference_service_unavailable_error: the model read its input and wrote nothing.
-- confidence: likely
-- causes: this variant of the model is short of capacity in this region
-- refuted by: Another model on the same resource fails in the same way.
-- replay: wiretape replay run {session} --to {target} --to TARGET_WITH_ANOTHER_MODEL --trials 5
-- sources: Microsoft Q&A 5846034
WITH models AS (
    SELECT
        endpoint_of(s.url, s.target, s.region, s.session_id) AS endpoint,
        s.model,
        COUNT(CASE WHEN a.error_code = 'inference_service_unavailable_error' THEN 1 END) AS unavailable,
        COUNT(CASE WHEN a.error_type IS NULL AND a.error_code IS NULL THEN 1 END) AS fine
    FROM _answers AS a
    INNER JOIN sessions AS s ON s.session_id = a.session_id
    WHERE a.done_seq IS NOT NULL
    GROUP BY ALL
),
failed AS (
    SELECT
        a.session_id,
        COUNT(*) AS failed_responses,
        LIST(a.done_seq) AS seqs,
        MIN(a.done_at) AS first_at,
        MAX(a.done_at) AS last_at,
        MAX(a.input_tokens) AS input_tokens,
        MAX(a.output_tokens) AS output_tokens
    FROM _answers AS a
    WHERE a.error_code = 'inference_service_unavailable_error'
    GROUP BY a.session_id
)
SELECT
    f.session_id,
    CASE WHEN COUNT(CASE WHEN m.unavailable = 0 THEN 1 END) > 0 AND MAX(COALESCE(m.unavailable, 0)) = 0 THEN 'likely'
        ELSE 'possible' END AS confidence,
    first_seqs(MIN(f.seqs)) AS evidence,
    MIN(f.first_at) AS first_at,
    MAX(f.last_at) AS last_at,
    MAP {
        'failed_responses': MIN(f.failed_responses),
        'most_input_tokens': MIN(f.input_tokens),
        'most_output_tokens': MIN(f.output_tokens),
        'other_models_fine': COUNT(CASE WHEN m.unavailable = 0 THEN 1 END),
        'other_models_unavailable': COUNT(CASE WHEN m.unavailable > 0 THEN 1 END)
    } AS numbers,
    keys_like(MIN(s.failure_keys), 'response.done|%|inference_service_unavailable_error|%') AS explains
FROM failed AS f
INNER JOIN sessions AS s ON s.session_id = f.session_id
-- The other models of the same resource, where they answered anything.
LEFT JOIN models AS m
    ON m.endpoint = endpoint_of(s.url, s.target, s.region, s.session_id)
    AND m.model <> s.model
    AND m.fine + m.unavailable > 0
GROUP BY f.session_id;
