-- Items: one row a conversation item that the endpoint made known, in either dialect.

CREATE OR REPLACE VIEW items AS
SELECT
    session_id,                                                         -- its session
    item_id,                                                            -- id of the item
    MAX(previous_item_id) AS previous_item_id,                          -- item before it; NULL at the head
    MIN(offset_ms) AS first_seen_ms,                                    -- first event that names it
    -- GA says added and done, beta says created.
    MIN(CASE WHEN type IN ('conversation.item.added', 'conversation.item.created')
        THEN offset_ms END) AS added_ms,                                -- joined the conversation
    MAX(CASE WHEN type IN ('conversation.item.done', 'response.output_item.done')
        THEN offset_ms END) AS done_ms,                                 -- complete
    MAX(get_json_object(payload, '$.item.type')) AS item_type,          -- message, function_call, …
    MAX(get_json_object(payload, '$.item.role')) AS role,               -- user, assistant or system
    MAX_BY(get_json_object(payload, '$.item.status'), seq) AS status,   -- last status told
    MAX(call_id) AS call_id,                                            -- of a tool call or its output
    MAX(get_json_object(payload, '$.item.name')) AS tool,               -- name of the tool called
    MAX(response_id) AS response_id                                     -- response that made it; NULL for user items
FROM events
WHERE item_id IS NOT NULL
    AND sender = 'server'
    AND type IN (
        'conversation.item.added', 'conversation.item.created', 'conversation.item.done',
        'response.output_item.added', 'response.output_item.done', 'input_audio_buffer.committed'
    )
GROUP BY session_id, item_id;
