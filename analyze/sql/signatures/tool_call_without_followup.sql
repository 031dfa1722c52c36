-- name: tool_call_without_followup
-- group: turn taking
-- happened: A tool's output was there, sent by the client or brought by an MCP server, and nobody asked for the answer: no
--   response.create, no new response, for five seconds and more.
-- confidence: likely
-- causes: the client does not send response.create after function_call_output, or after the end of an MCP call with which
--   its response ended; it waits for an answer that the endpoint does not give by itself; a tool that is meant to be
--   followed by nothing
-- refuted by: A replay gets an answer without a response.create after the tool's output.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: pipecat#917
WITH called AS (
    SELECT session_id, call_id, MAX(response_id) AS response_id FROM _marks
    WHERE sender = 'server' AND call_id IS NOT NULL
        AND type IN ('response.function_call_arguments.done', 'response.output_item.done')
    GROUP BY session_id, call_id
),
-- Responses of which a tool was still at work to the end.
at_work AS (
    SELECT DISTINCT c.session_id, c.response_id
    FROM called AS c
    ANTI JOIN _marks AS o
        ON o.session_id = c.session_id AND o.call_id = c.call_id
        AND o.sender = 'client' AND o.type = 'conversation.item.create'
),
-- What MCP servers gave to responses that are over and said nothing of it; some endpoints go on by themselves.
mcp_outputs AS (
    SELECT
        m.session_id,
        MAX(GREATEST(m.seq, a.done_seq)) AS seq,
        MAX(GREATEST(m.offset_ms, a.done_ms)) AS offset_ms,
        MAX(GREATEST(m.at_utc, a.done_at)) AS at_utc
    FROM _marks AS m
    INNER JOIN (SELECT DISTINCT session_id, item_id, response_id FROM _marks WHERE type = 'response.output_item.added') AS i
        ON i.session_id = m.session_id AND i.item_id = m.item_id
    INNER JOIN _answers AS a
        ON a.session_id = i.session_id AND a.response_id = i.response_id AND a.status = 'completed' AND NOT a.is_aside
    ANTI JOIN _marks AS w
        ON w.session_id = i.session_id AND w.response_id = i.response_id AND w.seq > m.seq AND w.type IN (
            'response.output_audio_transcript.done', 'response.audio_transcript.done',
            'response.output_text.done', 'response.text.done'
        )
    WHERE m.type IN ('response.mcp_call.completed', 'response.mcp_call.failed')
        AND COALESCE(a.last_audio_ms, -1) < m.offset_ms
    GROUP BY m.session_id, i.response_id
),
-- Until when each answer was under way, or heard: before that nobody asks for the next one.
heard AS (
    SELECT session_id, created_ms,
        GREATEST(done_ms, CASE WHEN status = 'completed' THEN first_audio_ms + audio_ms END) AS until_ms
    FROM _answers
    WHERE NOT is_aside
),
-- Outputs of calls that were made here: calls of before, told as history, are due no answer.
outputs AS (
    SELECT
        m.session_id,
        m.seq,
        GREATEST(m.offset_ms, MAX(h.until_ms)) AS offset_ms,
        m.at_utc
    FROM _marks AS m
    INNER JOIN called AS c ON c.session_id = m.session_id AND c.call_id = m.call_id
    LEFT JOIN heard AS h ON h.session_id = m.session_id AND h.created_ms <= m.offset_ms
    ANTI JOIN at_work AS w ON w.session_id = c.session_id AND w.response_id = c.response_id
    WHERE m.sender = 'client' AND m.type = 'conversation.item.create'
    GROUP BY m.session_id, m.seq, m.offset_ms, m.at_utc
    UNION ALL
    SELECT session_id, seq, offset_ms, at_utc FROM mcp_outputs
),
followed AS (
    SELECT o.session_id, o.seq, o.offset_ms, o.at_utc,
        MIN(CASE WHEN m.type IN ('response.create', 'response.created') THEN m.offset_ms END) AS followed_ms,
        -- The answer is asked for once all outputs are there.
        MIN(CASE WHEN m.call_id IS NOT NULL AND m.type = 'conversation.item.create' THEN m.offset_ms END) AS next_output_ms
    FROM outputs AS o
    LEFT JOIN _marks AS m
        ON m.session_id = o.session_id AND m.seq > o.seq
        AND m.type IN ('response.create', 'response.created', 'conversation.item.create')
    GROUP BY ALL
),
waited AS (
    SELECT f.*, LEAST(COALESCE(f.followed_ms, s.duration_ms), s.duration_ms) - f.offset_ms AS waited_ms
    FROM followed AS f
    INNER JOIN sessions AS s ON s.session_id = f.session_id
    -- The output itself may have been refused.
    ANTI JOIN _errors AS e
        ON e.session_id = f.session_id AND e.seq > f.seq AND e.offset_ms < f.offset_ms + 5000 AND NOT e.is_benign
    WHERE is_whole(s.complete, s.kept)
        AND (f.next_output_ms IS NULL OR f.next_output_ms > f.followed_ms)
)
SELECT
    session_id,
    CASE WHEN COUNT(followed_ms) < COUNT(*) THEN 'likely' ELSE 'possible' END AS confidence,
    first_seqs(LIST(seq)) AS evidence,
    MIN(at_utc) AS first_at,
    MAX(at_utc) AS last_at,
    MAP {'outputs_without_answer': COUNT(*), 'longest_wait_s': MAX(waited_ms) / 1000} AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM waited
WHERE waited_ms >= 5000
GROUP BY session_id;
