-- Tool latency: from the endpoint's call to the client's output, and on to the answer that followed
-- The answer is the response that was asked for with the output, or that the endpoint gave by itself. It counts from the
-- last output that it waited for. MCP calls, which the endpoint makes itself, are in mcp_calls.
WITH calls AS (
    SELECT e.session_id, e.call_id, MAX(i.tool) AS tool, MIN(e.offset_ms) AS called_ms
    FROM events AS e
    JOIN items AS i ON i.session_id = e.session_id AND i.item_id = e.item_id AND i.item_type = 'function_call'
    WHERE e.sender = 'server' AND e.call_id IS NOT NULL AND e.type IN (
        'response.function_call_arguments.done', 'response.output_item.done', 'conversation.item.done'
    )
    GROUP BY ALL
),
marks AS (
    SELECT
        session_id,
        seq,
        offset_ms,
        response_id,
        call_id,
        CASE type
            WHEN 'conversation.item.create' THEN get_json_object(payload, '$.item.type')
            WHEN 'input_audio_buffer.committed' THEN 'turn'
            WHEN 'response.create' THEN 'asked'
            WHEN 'response.created' THEN 'answer'
            WHEN 'error' THEN 'refused'
        END AS mark
    FROM events
    WHERE (type = 'conversation.item.create' AND sender = 'client' AND call_id IS NOT NULL)
        OR type = 'input_audio_buffer.committed'
        -- Beside the conversation nobody answers a tool.
        OR (type = 'response.create' AND get_json_object(payload, '$.response.conversation') IS DISTINCT FROM 'none')
        OR (type = 'response.created' AND (session_id, seq) NOT IN (SELECT (session_id, seq) FROM _begun_responses WHERE is_aside))
        OR (type = 'error' AND error_code = 'conversation_already_has_active_response')
),
made AS (
    SELECT session_id, call_id, MIN(seq) FILTER (mark = 'function_call_output') AS output_seq,
        MIN(offset_ms) FILTER (mark = 'function_call_output') AS output_ms,
        -- A call that the client writes itself is history.
        COUNT(*) FILTER (mark = 'function_call') AS told
    FROM marks WHERE call_id IS NOT NULL GROUP BY ALL
),
became AS (
    SELECT
        *,
        FIRST_VALUE(CASE WHEN mark IN ('answer', 'refused') THEN mark END IGNORE NULLS) OVER (
            PARTITION BY session_id ORDER BY seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS became,
        COUNT(*) FILTER (mark = 'answer') OVER (
            PARTITION BY session_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS answers_before
    FROM marks
),
-- What led to an answer came since the one before: a turn, or else a response.create that was not refused.
answers AS (
    SELECT
        session_id,
        MAX(seq) FILTER (mark = 'answer') AS seq,
        MAX(response_id) FILTER (mark = 'answer') AS response_id,
        MIN_BY(mark, seq) FILTER (mark IN ('turn', 'asked')) AS led_by,
        MAX(seq) FILTER (mark = 'asked') AS asked_seq
    FROM became
    WHERE mark <> 'asked' OR became IS DISTINCT FROM 'refused'
    GROUP BY session_id, answers_before
),
outputs AS (
    SELECT
        m.session_id,
        m.call_id,
        m.output_ms,
        COUNT(a.seq) AS answers_after,
        MIN_BY(a.response_id, a.seq)
            FILTER (a.led_by IS NULL OR (a.led_by = 'asked' AND a.asked_seq > m.output_seq)) AS response_id
    FROM made AS m
    LEFT JOIN answers AS a ON a.session_id = m.session_id AND a.seq > m.output_seq
    GROUP BY ALL
),
called_again AS (SELECT DISTINCT session_id, response_id FROM items WHERE item_type = 'function_call')
SELECT
    c.session_id,
    c.tool,
    c.call_id,
    ROUND(o.output_ms - c.called_ms) AS tool_ms,
    ROUND(r.first_audio_ms - MAX(o.output_ms) OVER (PARTITION BY o.session_id, o.response_id)) AS answer_after_ms,
    CASE
        WHEN o.output_ms IS NULL THEN 'no output was sent'
        WHEN o.response_id IS NULL AND o.answers_after > 0 THEN 'the next turn came first'
        WHEN o.response_id IS NULL THEN 'no answer followed'
        WHEN r.first_audio_ms IS NOT NULL OR r.answer IS NOT NULL THEN 'answered'
        WHEN g.response_id IS NOT NULL THEN 'another call followed'
        WHEN r.status = 'completed' THEN 'the answer was empty'
        ELSE 'answer ' || COALESCE(r.status, 'without an end')
    END AS went_on
FROM calls AS c
LEFT JOIN made AS m USING (session_id, call_id)
LEFT JOIN outputs AS o USING (session_id, call_id)
LEFT JOIN responses AS r ON r.session_id = o.session_id AND r.response_id = o.response_id
LEFT JOIN called_again AS g ON g.session_id = o.session_id AND g.response_id = o.response_id
WHERE COALESCE(m.told, 0) = 0
ORDER BY tool_ms DESC NULLS FIRST, c.session_id, c.call_id
