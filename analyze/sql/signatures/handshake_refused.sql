-- name: handshake_refused
-- group: connection
-- happened: The endpoint answered the upgrade with an HTTP error: no session was opened. The status is in the numbers.
-- confidence: certain
-- causes: 401: the key, or `api-version` on a GA path; 403: network rules, or no access to the model; 404: the deployment
--   or the path; 429: quota of upgrades or sessions; 302: a path that has moved; 5xx: the endpoint itself
-- refuted by: A replay with the same URL and key is upgraded.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: realtime-playground#5; Azure-Samples/aisearch-openai-rag-audio#37; openai-realtime-api-beta#2
SELECT
    session_id,
    'certain' AS confidence,
    first_seqs(seqs) AS evidence,
    started_at AS first_at,
    ended_at AS last_at,
    MAP {'handshake_status': handshake_status} AS numbers,
    keys_like(failure_keys, 'handshake|%') AS explains
FROM _refusals
WHERE about IS NULL;
