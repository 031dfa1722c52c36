-- Responses: one row a response of the endpoint, in either dialect.

-- Those out of band (a moderation, a summary) answer nobody: their conversation is null. Some endpoints say null of all
-- responses, and old ones say nothing: there a response is out of band that the client asked for as such.
CREATE OR REPLACE VIEW _asides AS
WITH
told AS (
    SELECT
        session_id,
        seq,
        response_id,
        FALSE AS asks,
        get_json_object(payload, '$.response.conversation_id') IS NOT NULL AS is_named,
        is_json_null(payload, '$.response.conversation_id') AS is_null
    FROM events
    WHERE type = 'response.created'
    UNION ALL
    SELECT session_id, seq, NULL AS response_id, TRUE AS asks, FALSE AS is_named, FALSE AS is_null
    FROM events
    WHERE type = 'response.create' AND get_json_object(payload, '$.response.conversation') = 'none'
),
asked AS (
    SELECT
        *,
        SUM(CASE WHEN asks THEN 1 WHEN is_named THEN 0 ELSE -1 END) OVER so_far AS balance,
        COUNT(CASE WHEN is_named THEN 1 END) OVER so_far AS named
    FROM told
    WINDOW so_far AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
-- A response that finds nothing asked for takes nothing: the lowest balance so far counts these.
waiting AS (
    SELECT *, balance - LEAST(0, MIN(balance) OVER so_far) AS waiting
    FROM asked
    WINDOW so_far AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
ordered AS (
    SELECT *, LAG(waiting) OVER (PARTITION BY session_id ORDER BY seq) AS waited FROM waiting
)
SELECT session_id, seq, response_id
FROM ordered
WHERE NOT asks AND NOT is_named AND (waited > 0 OR (is_null AND named > 0));

-- Where a session was cut to windows and an answer began or ended outside of them (its response.created or response.done
-- is pinned), its first or its last audio is not there, and what is there is not all of it.
CREATE OR REPLACE VIEW responses AS
SELECT
    session_id,                                                                     -- its session
    response_id,                                                                    -- id of the response
    MIN(CASE WHEN type = 'response.created' THEN offset_ms END) AS created_ms,      -- announced
    CASE WHEN MAX(CASE WHEN type = 'response.created' AND pinned THEN 1 END) IS NULL
        THEN MIN(CASE WHEN type IN ('response.output_audio.delta', 'response.audio.delta')
            THEN offset_ms END) END AS first_audio_ms,                              -- first audio; NULL too: left out
    CASE WHEN MAX(CASE WHEN type = 'response.done' AND pinned THEN 1 END) IS NULL
        THEN MAX(CASE WHEN type IN ('response.output_audio.delta', 'response.audio.delta')
            THEN offset_ms END) END AS last_audio_ms,                               -- last audio; NULL too: left out
    CASE WHEN MAX(CASE WHEN type IN ('response.created', 'response.done') AND pinned THEN 1 END) IS NULL
        THEN SUM(CASE WHEN audio_track = 'server' THEN audio_bytes END)
        END AS audio_bytes,                                                         -- of the answer; NULL too: left out
    MAX(CASE WHEN type = 'response.done' THEN offset_ms END) AS done_ms,            -- over; NULL: never
    MAX(CASE WHEN type = 'response.done'
        THEN get_json_object(payload, '$.response.status') END) AS status,          -- completed, cancelled, failed, incomplete
    MAX(CASE WHEN type = 'response.done'
        THEN get_json_object(payload, '$.response.status_details.reason')
        END) AS status_reason,                                                      -- turn_detected, content_filter, …
    MAX(CASE WHEN type = 'response.done' THEN error_type END) AS error_type,        -- of a failed response
    MAX(CASE WHEN type = 'response.done' THEN error_code END) AS error_code,        -- the same
    MAX(CASE WHEN type = 'response.done' THEN error_message END) AS error_message,  -- the same
    MAX(CASE WHEN type = 'response.done'
        THEN TRY_CAST(get_json_object(payload, '$.response.usage.input_tokens') AS BIGINT)
        END) AS input_tokens,                                                       -- tokens read
    MAX(CASE WHEN type = 'response.done'
        THEN TRY_CAST(get_json_object(payload, '$.response.usage.output_tokens') AS BIGINT)
        END) AS output_tokens,                                                      -- tokens made
    -- An answer that was cut off has no done event: then the deltas tell how far it came. Of one outside the windows
    -- response.done is there alone, and holds its words.
    COALESCE(
        STRING_AGG(CASE
            WHEN type IN ('response.output_audio_transcript.done', 'response.audio_transcript.done')
                THEN get_json_object(payload, '$.transcript')
            WHEN type IN ('response.output_text.done', 'response.text.done')
                THEN get_json_object(payload, '$.text')
        END, ' ' ORDER BY seq),
        MAX(CASE WHEN type = 'response.done' AND pinned THEN COALESCE(
            joined_texts(payload, '$.response.output[*].content[*].transcript'),
            joined_texts(payload, '$.response.output[*].content[*].text')
        ) END),
        STRING_AGG(CASE
            WHEN type IN (
                'response.output_audio_transcript.delta', 'response.audio_transcript.delta',
                'response.output_text.delta', 'response.text.delta'
            ) THEN get_json_object(payload, '$.delta')
        END, '' ORDER BY seq)
    ) AS answer                                                                     -- what was said or written
FROM events
WHERE response_id IS NOT NULL
    AND sender = 'server'
    AND type LIKE 'response.%'
GROUP BY session_id, response_id;
