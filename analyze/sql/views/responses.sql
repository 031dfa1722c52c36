-- Responses: one row a response of the endpoint, in either dialect.

-- Responses as they begin, by events or by a table of those that begin and ask for them. Those out of band (a
-- moderation, a summary) answer nobody: their conversation is null. Some endpoints say null of all responses, and old
-- ones say nothing: there those are out of band that the client asked for so.
CREATE OR REPLACE MACRO begun_responses(source) AS TABLE
WITH
told AS (
    SELECT
        session_id,
        seq,
        offset_ms,
        response_id,
        type = 'response.create' AS asks,
        get_json_object(payload, '$.response.conversation') AS asked_for,
        get_json_object(payload, '$.response.conversation_id') IS NOT NULL AS is_named,
        is_json_null(payload, '$.response.conversation_id') AS is_null
    FROM query_table(source)
    -- A range is read from a file faster than a list.
    WHERE type BETWEEN 'response.create' AND 'response.created' AND type IN ('response.create', 'response.created')
),
steps AS (
    SELECT
        *,
        CASE WHEN asks THEN CASE WHEN asked_for = 'none' THEN 1 ELSE 0 END WHEN is_named THEN 0 ELSE -1 END AS step
    FROM told
),
asked AS (
    SELECT *, SUM(step) OVER so_far AS balance, COUNT(CASE WHEN is_named THEN 1 END) OVER so_far AS named
    FROM steps
    WINDOW so_far AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
-- A response that finds nothing asked for takes nothing: the lowest balance so far counts these.
ordered AS (
    SELECT *, balance - step - LEAST(0, COALESCE(MIN(balance) OVER before, 0)) AS waiting
    FROM asked
    WINDOW before AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT
    session_id,
    seq,
    offset_ms,
    response_id,
    NOT is_named AND (waiting > 0 OR (is_null AND named > 0)) AS is_aside
FROM ordered
WHERE NOT asks;

CREATE OR REPLACE VIEW _begun_responses AS
SELECT * FROM begun_responses('events');

-- Whether some of what came between two times was left out, by the gaps that are given.
CREATE OR REPLACE MACRO is_cut(from_ms, to_ms, gaps) AS
    list_bool_or(list_transform(gaps, lambda gap:
        gap.from_ns < to_ms * 1e6 AND gap.to_ns > from_ms * 1e6)) IS TRUE;

CREATE OR REPLACE VIEW _told_responses AS
SELECT
    session_id,
    response_id,
    MIN(CASE WHEN type = 'response.created' THEN offset_ms END) AS created_ms,
    MIN(CASE WHEN type IN ('response.output_audio.delta', 'response.audio.delta') THEN offset_ms END) AS first_audio_ms,
    MAX(CASE WHEN type IN ('response.output_audio.delta', 'response.audio.delta') THEN offset_ms END) AS last_audio_ms,
    SUM(CASE WHEN audio_track = 'server' THEN audio_bytes END) AS audio_bytes,
    MAX(CASE WHEN type = 'response.done' THEN offset_ms END) AS done_ms,
    MAX(CASE WHEN type = 'response.done' THEN get_json_object(payload, '$.response.status') END) AS status,
    MAX(CASE WHEN type = 'response.done'
        THEN get_json_object(payload, '$.response.status_details.reason') END) AS status_reason,
    MAX(CASE WHEN type = 'response.done' THEN error_type END) AS error_type,
    MAX(CASE WHEN type = 'response.done' THEN error_code END) AS error_code,
    MAX(CASE WHEN type = 'response.done' THEN error_message END) AS error_message,
    MAX(CASE WHEN type = 'response.done'
        THEN TRY_CAST(get_json_object(payload, '$.response.usage.input_tokens') AS BIGINT) END) AS input_tokens,
    MAX(CASE WHEN type = 'response.done'
        THEN TRY_CAST(get_json_object(payload, '$.response.usage.output_tokens') AS BIGINT) END) AS output_tokens,
    STRING_AGG(CASE
        WHEN type IN ('response.output_audio_transcript.done', 'response.audio_transcript.done')
            THEN get_json_object(payload, '$.transcript')
        WHEN type IN ('response.output_text.done', 'response.text.done')
            THEN get_json_object(payload, '$.text')
    END, ' ' ORDER BY seq) AS said,
    -- Outside of the windows that were kept it is there alone, and holds all words.
    MAX(CASE WHEN type = 'response.done' AND pinned THEN COALESCE(
        joined_texts(payload, '$.response.output[*].content[*].transcript'),
        joined_texts(payload, '$.response.output[*].content[*].text')
    ) END) AS said_in_all,
    STRING_AGG(CASE
        WHEN type IN (
            'response.output_audio_transcript.delta', 'response.audio_transcript.delta',
            'response.output_text.delta', 'response.text.delta'
        ) THEN get_json_object(payload, '$.delta')
    END, '' ORDER BY seq) AS begun_to_say
FROM events
WHERE response_id IS NOT NULL
    AND sender = 'server'
    AND type LIKE 'response.%'
GROUP BY session_id, response_id;

-- Where a session was cut to windows, the first or the last audio of an answer may be left out, and what is there is not
-- all of it.
CREATE OR REPLACE VIEW responses AS
SELECT
    r.session_id,                                               -- its session
    r.response_id,                                              -- id of the response
    r.created_ms,                                               -- announced
    CASE WHEN NOT is_cut(r.created_ms, r.first_audio_ms, s.left_out)
        THEN r.first_audio_ms END AS first_audio_ms,            -- first audio; NULL too: left out
    CASE WHEN NOT is_cut(r.last_audio_ms, COALESCE(r.done_ms, s.duration_ms), s.left_out)
        THEN r.last_audio_ms END AS last_audio_ms,              -- last audio; NULL too: left out
    CASE WHEN NOT is_cut(r.created_ms, COALESCE(r.done_ms, s.duration_ms), s.left_out)
        THEN r.audio_bytes END AS audio_bytes,                  -- of the answer; NULL too: left out
    r.done_ms,                                                  -- over; NULL: never
    r.status,                                                   -- completed, cancelled, failed, incomplete
    r.status_reason,                                            -- turn_detected, content_filter, …
    r.error_type,                                               -- of a failed response
    r.error_code,                                               -- the same
    r.error_message,                                            -- the same
    r.input_tokens,                                             -- tokens read
    r.output_tokens,                                            -- tokens made
    -- An answer that was cut off has no done event: then the deltas tell how far it came.
    COALESCE(r.said_in_all, r.said, r.begun_to_say) AS answer   -- what was said or written
FROM _told_responses AS r
INNER JOIN (
    SELECT
        session_id,
        duration_ms,
        CASE WHEN kept = 'window' THEN list_filter(gaps, lambda gap: gap.sender IS DISTINCT FROM 'client') END AS left_out
    FROM _sessions
) AS s ON s.session_id = r.session_id;
