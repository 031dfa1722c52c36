-- name: invalid_key_close_3000
-- group: connection
-- happened: The upgrade was accepted, and then the key was not: error `invalid_api_key`, close 3000.
-- confidence: certain
-- causes: a wrong, expired or revoked key; a key of another service or region
-- refuted by: A replay with the same key is served.
-- replay: wiretape replay run {session} --to {target} --trials 1
-- sources: OpenAI wire; twilio-samples/speech-assistant-openai-realtime-api-python#4
WITH told AS (
    SELECT session_id, seq, at_utc FROM _errors WHERE about = 'key'
    UNION ALL
    SELECT c.session_id, c.seq, c.at_utc
    FROM _closes AS c
    INNER JOIN sessions AS s ON s.session_id = c.session_id
    WHERE c.sender = 'server' AND s.close_code = 3000 AND s.close_reason LIKE '%invalid_api_key%'
)
SELECT
    s.session_id,
    'certain' AS confidence,
    first_seqs(LIST(t.seq)) AS evidence,
    MIN(t.at_utc) AS first_at,
    MAX(t.at_utc) AS last_at,
    MAP {'close_code': s.close_code, 'after_handshake_s': s.duration_ms / 1000} AS numbers,
    keys_matching(s.failure_keys, '^(error|close)\|.*invalid_api_key|^close\|server\|3000\||^absent:') AS explains
FROM told AS t
INNER JOIN sessions AS s ON s.session_id = t.session_id
GROUP BY s.session_id, s.close_code, s.duration_ms, s.failure_keys;
