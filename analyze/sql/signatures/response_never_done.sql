-- name: response_never_done
-- group: response
-- happened: A response was announced and never ended, although the session went on for five seconds and more after its
--   last event.
-- confidence: certain
-- causes: the endpoint lost the response; the generation hangs; an MCP server that a call of the response still waits for
-- refuted by: The same session gets its response.done when it waits longer.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: several reports of realtime clients
WITH calling AS (
    SELECT DISTINCT i.session_id, i.response_id
    FROM _marks AS i
    INNER JOIN _marks AS b
        ON b.session_id = i.session_id AND b.item_id = i.item_id AND b.type = 'response.mcp_call.in_progress'
    ANTI JOIN _marks AS e
        ON e.session_id = i.session_id AND e.item_id = i.item_id
        AND e.type IN ('response.mcp_call.completed', 'response.mcp_call.failed')
    WHERE i.type = 'response.output_item.added'
)
SELECT
    a.session_id,
    CASE
        WHEN COUNT(c.response_id) > 0 THEN 'possible'
        -- Some models think for a while before they go on.
        WHEN MAX(s.duration_ms - a.last_ms) >= 15000 THEN 'certain'
        ELSE 'likely'
    END AS confidence,
    first_seqs(list_concat(LIST(a.created_seq), LIST(a.last_seq))) AS evidence,
    MIN(a.created_at) AS first_at,
    MAX(a.created_at) AS last_at,
    MAP {
        'unfinished_responses': COUNT(*),
        'waited_s': MAX(s.duration_ms - a.last_ms) / 1000
    } AS numbers,
    keys_like(MIN(s.failure_keys), 'absent:response.done') AS explains
FROM _answers AS a
INNER JOIN sessions AS s ON s.session_id = a.session_id
LEFT JOIN calling AS c ON c.session_id = a.session_id AND c.response_id = a.response_id
WHERE a.created_seq IS NOT NULL
    AND a.done_seq IS NULL
    AND list_contains(s.failure_keys, 'absent:response.done')
    -- A connection that broke off in the middle of an answer explains it by itself.
    AND a.last_ms <= s.duration_ms - 5000
GROUP BY a.session_id;
