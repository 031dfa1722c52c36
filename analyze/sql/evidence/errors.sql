-- Errors: one row an `error` event, with what it is about where that has a name of its own. A refused session.update
-- is told by the field it names, or by being the answer to what the client asked last.

CREATE OR REPLACE TEMP TABLE _errors AS
WITH ordered AS (
    SELECT
        *,
        COUNT(CASE WHEN sender = 'client' AND type LIKE '%session.update' THEN 1 END) OVER before AS updates_before,
        COUNT(CASE WHEN sender = 'server' AND type LIKE '%session.updated' THEN 1 END) OVER before AS updated_before,
        COUNT(CASE WHEN sender = 'server' AND type LIKE '%session.updated' THEN 1 END) OVER whole AS updated,
        MAX(CASE WHEN sender = 'server' AND type = 'session.created' THEN offset_ms END) OVER before AS created_ms,
        MAX(CASE WHEN type LIKE 'input_audio_buffer.%' OR type LIKE 'response.%' THEN seq END) OVER before
            AS used_seq,
        MAX(CASE WHEN sender = 'client' AND type LIKE '%session.update' THEN seq END) OVER before AS update_seq,
        MAX(CASE WHEN sender = 'client' AND kind = 'event' THEN seq END) OVER before AS asked_seq
    FROM _marks
    WHERE session_id IN (SELECT session_id FROM _marks WHERE type = 'error' AND sender = 'server')
    WINDOW
        before AS (PARTITION BY session_id ORDER BY seq ROWS UNBOUNDED PRECEDING),
        whole AS (PARTITION BY session_id)
),
named AS (
    SELECT *, COALESCE(error_param, NULLIF(regexp_extract(error_message, '''((session|response)\.[^'']+)''', 1), '')) AS field
    FROM ordered
    WHERE type = 'error' AND sender = 'server'
)
SELECT
    n.session_id,                                   -- its session
    n.seq,                                          -- place in the session
    n.offset_ms,                                    -- milliseconds from the session's start
    n.at_utc,                                       -- UTC
    n.error_type,                                   -- such as invalid_request_error
    n.error_code,                                   -- NULL where the endpoint gave none
    n.error_message,                                -- the endpoint's words
    n.error_param,                                  -- what the endpoint complained of
    n.field,                                        -- the same, or the field that its words name
    n.offset_ms - n.created_ms AS after_created_ms, -- since session.created; NULL: none came before it
    n.used_seq IS NOT NULL AS after_use,            -- something was said or asked before it
    n.update_seq,                                   -- the last session.update before it
    n.updated,                                      -- updates that the session took in all
    -- What it refused was needless: the session has no failure key of it.
    len(keys_starting(s.failure_keys, [error_key(n.error_type, n.error_code)])) = 0 AS is_benign,
    CASE
        WHEN error_code = 'beta_api_shape_disabled' THEN 'beta api'
        WHEN error_code = 'invalid_api_key' THEN 'key'
        WHEN is_of_the_account(error_code) OR is_of_the_account(error_type) THEN 'account'
        WHEN is_rate_limit(error_code) OR is_rate_limit(error_type) THEN 'quota'
        WHEN error_code = 'session_expired' OR error_message LIKE '%maximum duration%' THEN 'end of session'
        WHEN error_message LIKE 'Passing a transcription session%' THEN 'session type'
        WHEN error_code = 'unknown_parameter' AND is_of_one_dialect(field) THEN 'dialect'
        WHEN error_code = 'missing_required_parameter' AND field = 'session.type' THEN 'dialect'
        WHEN error_message LIKE '%''transcription_session.update''%' THEN 'dialect'
        WHEN field LIKE 'session.%' THEN 'update'
        WHEN error_type = 'invalid_request_error' AND update_seq = asked_seq AND updates_before > updated_before
            THEN 'update'
    END AS about                                    -- NULL: something else
FROM named AS n
INNER JOIN sessions AS s ON s.session_id = n.session_id;
