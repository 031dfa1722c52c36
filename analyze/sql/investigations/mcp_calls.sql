-- MCP calls: how long the endpoint waited for each, and how it ended
-- The endpoint calls MCP servers by itself, inside of an answer: what a call takes is part of the turn's latencies.
WITH told AS (
    SELECT
        session_id,
        item_id,
        MIN(CASE WHEN type = 'response.mcp_call.in_progress' THEN offset_ms END) AS begun_ms,
        MIN(CASE WHEN type IN ('response.mcp_call.completed', 'response.mcp_call.failed') THEN offset_ms END) AS ended_ms,
        COUNT(CASE WHEN type = 'response.mcp_call.failed' THEN 1 END) AS failures,
        MAX(get_json_object(payload, '$.item.server_label')) AS server,
        MAX(error_type) AS error_type,
        MAX(error_code) AS error_code,
        MAX(error_message) AS error_message
    FROM events
    WHERE sender = 'server' AND (
        type LIKE 'response.mcp\_call.%' ESCAPE '\'
        OR type IN ('response.output_item.added', 'response.output_item.done', 'conversation.item.done')
    )
    GROUP BY session_id, item_id
)
SELECT
    i.session_id,
    t.server,
    i.tool,
    i.item_id,
    ROUND(t.begun_ms) AS begun_ms,
    ROUND(t.ended_ms - t.begun_ms) AS took_ms,
    CASE
        WHEN t.failures > 0 OR COALESCE(t.error_type, t.error_code, t.error_message) IS NOT NULL THEN 'failed'
        WHEN t.ended_ms IS NOT NULL OR i.done_ms IS NOT NULL THEN 'completed'
        ELSE 'no end'
    END AS ended,
    t.error_type,
    t.error_code,
    t.error_message,
    s.target,
    i.response_id
FROM items AS i
JOIN told AS t ON t.session_id = i.session_id AND t.item_id = i.item_id
JOIN sessions AS s ON s.session_id = i.session_id
WHERE i.item_type = 'mcp_call'
ORDER BY took_ms DESC NULLS FIRST, i.session_id, i.item_id
