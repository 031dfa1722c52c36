-- Answers: one row a response that the endpoint announced or ended, in either dialect.

CREATE OR REPLACE TEMP TABLE _answers AS
WITH marked AS (
    SELECT
        session_id,
        response_id,
        MIN(CASE WHEN type = 'response.created' THEN seq END) AS created_seq,
        MIN(CASE WHEN type = 'response.created' THEN at_utc END) AS created_at,
        MIN(CASE WHEN type = 'response.created' THEN offset_ms END) AS created_ms,
        MAX(CASE WHEN type = 'response.done' THEN seq END) AS done_seq,
        MAX(CASE WHEN type = 'response.done' THEN at_utc END) AS done_at,
        MAX(CASE WHEN type = 'response.done' THEN offset_ms END) AS done_ms,
        MAX(seq) AS last_seq,
        MAX(offset_ms) AS last_ms,
        MAX(CASE WHEN type = 'response.done' THEN error_type END) AS error_type,
        MAX(CASE WHEN type = 'response.done' THEN error_code END) AS error_code,
        MAX(CASE WHEN type = 'response.done' THEN error_message END) AS error_message,
        COUNT(CASE WHEN type = 'response.function_call_arguments.done' THEN 1 END) AS tool_calls
    FROM _marks
    WHERE response_id IS NOT NULL AND sender = 'server' AND type LIKE 'response.%'
    GROUP BY session_id, response_id
),
-- Each text is parsed once.
told AS (
    SELECT session_id, response_id, CASE WHEN json_valid(payload) THEN json_extract_string(payload, [
        '$.response.status', '$.response.status_details.reason', '$.response.output_modalities',
        '$.response.modalities', '$.response.usage.input_tokens', '$.response.usage.output_tokens'
    ]) END AS facts
    FROM _marks
    WHERE type = 'response.done'
),
ends AS (
    SELECT
        session_id,
        response_id,
        MAX(facts[1]) AS status,
        MAX(facts[2]) AS status_reason,
        MAX(COALESCE(facts[3], facts[4])) AS modalities,
        MAX(TRY_CAST(facts[5] AS BIGINT)) AS input_tokens,
        MAX(TRY_CAST(facts[6] AS BIGINT)) AS output_tokens
    FROM told
    GROUP BY session_id, response_id
),
words AS (
    SELECT
        session_id,
        response_id,
        SUM(LENGTH(get_json_object(payload, '$.transcript'))) AS transcript_characters,
        SUM(LENGTH(get_json_object(payload, '$.text'))) AS text_characters
    FROM _marks
    WHERE type IN (
        'response.output_audio_transcript.done', 'response.audio_transcript.done',
        'response.output_text.done', 'response.text.done'
    )
    GROUP BY session_id, response_id
),
asides AS (
    SELECT DISTINCT session_id, response_id FROM begun_responses('_marks') WHERE is_aside
),
-- Formats seldom change within a session: its bytes and its playing time give the one from the other.
rates AS (
    SELECT a.session_id, MAX(s.audio_out_ms) / NULLIF(SUM(a.audio_bytes), 0) AS ms_per_byte
    FROM _answer_audio AS a
    INNER JOIN sessions AS s ON s.session_id = a.session_id
    WHERE s.kept IS DISTINCT FROM 'window'
    GROUP BY a.session_id
    UNION ALL
    -- Of a session that was cut to windows the playing time is that of all audio, and the bytes are of what was kept.
    SELECT session_id, SUM(duration_ms) / SUM(bytes) AS ms_per_byte
    FROM tracks
    WHERE track = 'server' AND session_id IN (SELECT session_id FROM sessions WHERE kept = 'window')
    GROUP BY session_id
)
SELECT
    m.session_id,                                           -- its session
    m.response_id,                                          -- id of the response
    ROW_NUMBER() OVER (PARTITION BY m.session_id ORDER BY COALESCE(m.created_seq, m.done_seq)) AS number,  -- from 1
    m.created_seq,                                          -- announced: response.created; NULL: not seen
    m.created_at,                                           -- the same, UTC
    m.created_ms,                                           -- the same, milliseconds from the session's start
    m.done_seq,                                             -- over: response.done; NULL: never
    m.done_at,                                              -- the same, UTC
    m.done_ms,                                              -- the same, milliseconds from the session's start
    GREATEST(m.last_seq, a.last_audio_seq) AS last_seq,     -- last event of it that was seen
    GREATEST(m.last_ms, a.last_audio_ms) AS last_ms,        -- the same, milliseconds from the session's start
    x.response_id IS NOT NULL AS is_aside,                  -- out of band: it answers nobody
    d.status,                                               -- completed, cancelled, failed or incomplete
    d.status_reason,                                        -- turn_detected, client_cancelled, content_filter, …
    d.modalities LIKE '%audio%' AS asked_for_audio,         -- by its modalities; NULL: the endpoint did not tell them
    m.error_type,                                           -- of a failed response
    m.error_code,                                           -- the same; NULL where the endpoint gave none
    m.error_message,                                        -- the same
    d.input_tokens,                                         -- tokens read
    d.output_tokens,                                        -- tokens made
    a.first_audio_seq,                                      -- first audio delta; NULL: none came
    a.first_audio_ms,                                       -- the same, milliseconds from the session's start
    a.last_audio_ms,                                        -- last audio delta
    COALESCE(a.audio_bytes, 0) AS audio_bytes,              -- audio that came
    COALESCE(a.audio_messages, 0) AS audio_messages,        -- in how many pieces
    CASE WHEN NOT list_bool_or(list_transform(s.gaps, lambda gap: gap.sender IS DISTINCT FROM 'client'
            AND gap.to_ns > m.created_ms * 1e6 AND gap.from_ns < m.done_ms * 1e6)) IS TRUE
        THEN COALESCE(a.audio_bytes * r.ms_per_byte, 0) END AS audio_ms,    -- how long it plays; NULL: not all is here
    COALESCE(t.transcript_characters, 0) AS transcript_characters,  -- characters of what was said, by its own account
    COALESCE(t.text_characters, 0) AS text_characters,      -- characters of what was written
    m.tool_calls                                            -- tool calls that it made
FROM marked AS m
INNER JOIN sessions AS s ON s.session_id = m.session_id
LEFT JOIN _answer_audio AS a ON a.session_id = m.session_id AND a.response_id = m.response_id
LEFT JOIN ends AS d ON d.session_id = m.session_id AND d.response_id = m.response_id
LEFT JOIN asides AS x ON x.session_id = m.session_id AND x.response_id = m.response_id
LEFT JOIN words AS t ON t.session_id = m.session_id AND t.response_id = m.response_id
LEFT JOIN rates AS r ON r.session_id = m.session_id
WHERE m.created_seq IS NOT NULL OR m.done_seq IS NOT NULL;
