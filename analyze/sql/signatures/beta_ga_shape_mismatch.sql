-- name: beta_ga_shape_mismatch
-- group: connection
-- happened: The client spoke one dialect and the endpoint the other: a field, an event or a URL of the beta interface at a
--   GA endpoint, or the other way round. A refused session.update is refused whole: the session runs
--   on its defaults until one is taken.
-- confidence: certain
-- causes: a client library of before GA; a GA configuration sent to a preview URL; `api-version` on a GA path
-- refuted by: A replay of the same messages to the same URL is not refused.
-- replay: wiretape replay run {session} --to {target} --trials 1
-- sources: openai-python#2638; livekit#5296; Microsoft migration guide for realtime audio preview
WITH told AS (
    SELECT session_id, seq, at_utc, updated, 'certain' AS confidence FROM _errors WHERE about = 'dialect'
    UNION ALL
    SELECT session_id, UNNEST(list_append(seqs, NULL)) AS seq, started_at AS at_utc, 0 AS updated, 'likely' AS confidence
    FROM _refusals
    WHERE about = 'dialect'
)
SELECT
    s.session_id,
    MIN(t.confidence) AS confidence,
    first_seqs(LIST(t.seq)) AS evidence,
    MIN(t.at_utc) AS first_at,
    MAX(t.at_utc) AS last_at,
    MAP {
        'errors': COUNT(t.seq),
        'updates_taken': MAX(t.updated),
        'handshake_status': s.handshake_status
    } AS numbers,
    keys_matching(
        s.failure_keys,
        '^error\|[^|]*\|(unknown_parameter|missing_required_parameter)\|.*''(session|response)\.'
        || '|^error\|.*transcription_session\.update|^handshake\|'
    ) AS explains
FROM told AS t
INNER JOIN sessions AS s ON s.session_id = t.session_id
GROUP BY s.session_id, s.handshake_status, s.failure_keys;
