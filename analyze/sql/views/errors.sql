-- Errors: one row an event that says that something failed. Typed columns only, so that a search over all
-- recordings stays cheap; what never came is in sessions.failure_keys.

CREATE OR REPLACE VIEW errors AS
SELECT
    session_id,         -- its session
    seq,                -- place in the session
    offset_ms,          -- milliseconds from the session's start
    e.at,               -- UTC
    type,               -- event that told it: error, ….failed, response.done; an MCP call's response.output_item.done
    error_type,         -- such as server_error
    error_code,         -- NULL where the endpoint gave none
    error_message,      -- the endpoint's words
    error_param,        -- what the endpoint complained of
    item_id,            -- item that failed
    response_id         -- response that failed
FROM events AS e
WHERE error_message IS NOT NULL
    OR error_type IS NOT NULL
    OR error_code IS NOT NULL
    OR type IN (
        'error', 'conversation.item.input_audio_transcription.failed', 'mcp_list_tools.failed',
        'response.mcp_call.failed'
    );
