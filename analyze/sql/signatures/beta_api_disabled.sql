-- name: beta_api_disabled
-- group: connection
-- happened: The endpoint no longer speaks the beta dialect: it said `beta_api_shape_disabled` and closed with 4000.
-- confidence: certain
-- causes: the client sends `OpenAI-Beta: realtime=v1` or the beta subprotocol; the client library is older than the GA
--   interface
-- refuted by: A replay, which speaks the dialect of the recording, is served.
-- replay: wiretape replay run {session} --to {target} --trials 1
-- sources: TanStack/ai#586; openai-realtime: beta removed on 2026-05-12
WITH told AS (
    SELECT session_id, seq, at_utc FROM _errors WHERE about = 'beta api'
    UNION ALL
    SELECT c.session_id, c.seq, c.at_utc
    FROM _closes AS c
    INNER JOIN sessions AS s ON s.session_id = c.session_id
    WHERE c.sender = 'server' AND s.close_reason LIKE '%beta_api_shape_disabled%'
    UNION ALL
    SELECT session_id, UNNEST(list_append(seqs, NULL)) AS seq, started_at AS at_utc FROM _refusals WHERE about = 'beta api'
)
SELECT
    s.session_id,
    'certain' AS confidence,
    first_seqs(LIST(t.seq)) AS evidence,
    MIN(t.at_utc) AS first_at,
    MAX(t.at_utc) AS last_at,
    MAP {'close_code': s.close_code, 'handshake_status': s.handshake_status} AS numbers,
    keys_matching(s.failure_keys, 'beta_api_shape_disabled|^close\|server\|4000\||^absent:') AS explains
FROM told AS t
INNER JOIN sessions AS s ON s.session_id = t.session_id
GROUP BY s.session_id, s.close_code, s.handshake_status, s.failure_keys;
