-- name: bad_tool_call_id
-- group: turn taking
-- happened: The client answered a tool call that the endpoint does not know, or under an id that it does not take.
-- confidence: certain
-- causes: the id was kept from another session or made by the client; the call was cut off or deleted before its output
--   came; an id with characters outside `[A-Za-z0-9_-]`, as other vendors make them
-- refuted by: A replay is not refused, where it takes the ids of its own session: then the call was one of another session.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: livekit#3344; livekit#5652
WITH malformed AS (
    SELECT * FROM _marks WHERE call_id IS NOT NULL AND NOT regexp_full_match(call_id, '[A-Za-z0-9_-]+')
),
told AS (
    SELECT session_id, seq, at_utc, TRUE AS refused FROM _errors
    WHERE error_code = 'invalid_tool_call_id' OR error_message LIKE 'Tool call ID%not found%' OR field LIKE '%call_id'
        OR error_param LIKE '%call_id'
    UNION ALL
    SELECT m.session_id, m.seq, m.at_utc, FALSE AS refused
    FROM malformed AS m
    INNER JOIN sessions AS s ON s.session_id = m.session_id
    -- An endpoint that makes such ids takes them.
    ANTI JOIN malformed AS o ON o.session_id = m.session_id AND o.call_id = m.call_id AND o.sender = 'server'
    WHERE m.sender = 'client' AND is_whole(s.complete, s.kept)
)
SELECT
    t.session_id,
    CASE WHEN BOOL_OR(t.refused) THEN 'certain' ELSE 'likely' END AS confidence,
    first_seqs(LIST(t.seq)) AS evidence,
    MIN(t.at_utc) AS first_at,
    MAX(t.at_utc) AS last_at,
    MAP {'refused': COUNT(*) FILTER (t.refused), 'malformed_ids': COUNT(*) FILTER (NOT t.refused)} AS numbers,
    keys_matching(ANY_VALUE(s.failure_keys), '^error\|.*(invalid_tool_call_id|Tool call ID|call_id)') AS explains
FROM told AS t
INNER JOIN sessions AS s ON s.session_id = t.session_id
GROUP BY t.session_id;
