-- name: active_response_race
-- group: turn taking
-- happened: The client asked for a response while another one was under way; the request was lost.
-- confidence: certain
-- causes: the client sends response.create before it has seen the response.done of the one before; the endpoint's turn
--   detection answers by itself (create_response) and the client asks as well; a tool's output and speech at the same time
-- refuted by: A replay, which asks again just as early, is not refused.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: livekit#2064; livekit#6244
WITH refused AS (
    SELECT * FROM _errors
    WHERE error_code IN ('conversation_already_has_active_response', 'response_already_active')
        OR error_message ILIKE '%already has an active response%'
),
asked AS (
    SELECT r.session_id, r.seq, MAX(m.seq) AS create_seq
    FROM refused AS r
    INNER JOIN _marks AS m
        ON m.session_id = r.session_id AND m.seq < r.seq AND m.sender = 'client' AND m.type = 'response.create'
    GROUP BY r.session_id, r.seq
)
SELECT
    r.session_id,
    'certain' AS confidence,
    first_seqs(LIST(r.seq) || LIST(a.create_seq)) AS evidence,
    MIN(r.at_utc) AS first_at,
    MAX(r.at_utc) AS last_at,
    MAP {'refused_requests': COUNT(*)} AS numbers,
    keys_matching(
        ANY_VALUE(s.failure_keys),
        '^error\|.*(conversation_already_has_active_response|response_already_active|already has an active response)'
    ) AS explains
FROM refused AS r
INNER JOIN sessions AS s ON s.session_id = r.session_id
LEFT JOIN asked AS a ON a.session_id = r.session_id AND a.seq = r.seq
GROUP BY r.session_id;
