-- Tool latency: from the endpoint's call to the client's output, and on to the answer that followed
WITH calls AS (
    SELECT session_id, call_id, MAX(tool) AS tool, MIN(COALESCE(done_ms, first_seen_ms)) AS called_ms
    FROM items WHERE item_type = 'function_call' AND call_id IS NOT NULL GROUP BY ALL
),
outputs AS (
    SELECT session_id, call_id, MIN(offset_ms) AS output_ms
    FROM events
    WHERE type = 'conversation.item.create' AND sender = 'client' AND call_id IS NOT NULL GROUP BY ALL
)
SELECT
    c.session_id,
    c.tool,
    c.call_id,
    ROUND(o.output_ms - c.called_ms) AS tool_ms,
    ROUND(MIN(r.first_audio_ms) - o.output_ms) AS answer_after_ms,
    CASE WHEN o.output_ms IS NULL THEN 'no output was sent' WHEN MIN(r.created_ms) IS NULL THEN 'no answer followed'
        ELSE 'answered' END AS went_on
FROM calls AS c
LEFT JOIN outputs AS o USING (session_id, call_id)
LEFT JOIN responses AS r ON r.session_id = c.session_id AND r.created_ms >= o.output_ms
GROUP BY c.session_id, c.tool, c.call_id, c.called_ms, o.output_ms
ORDER BY tool_ms DESC NULLS FIRST, c.session_id, c.call_id
