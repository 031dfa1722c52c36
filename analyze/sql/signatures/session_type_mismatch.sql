-- name: session_type_mismatch
-- group: transcription
-- happened: The endpoint refused a session of the wrong type: a transcription session where a realtime session was open,
--   or a model that does not do what was asked of it.
-- confidence: certain
-- causes: a transcription session update was sent to a realtime session; the URL names a model although the session is
--   to transcribe only; a transcription model was asked for a realtime session
-- refuted by: The same session is refused after its type and its URL were made to match.
-- replay: wiretape replay run {session} --to {target} --set 'session.type="realtime"'
-- sources: Microsoft Q&A 5916641
WITH said AS (
    SELECT session_id, seq, at_utc
    FROM _marks
    WHERE type = 'error' AND error_message LIKE '%Passing a transcription session update event to a realtime session%'
),
refused AS (
    SELECT b.session_id, b.seq, b.at_utc
    FROM _bodies AS b
    INNER JOIN sessions AS s ON s.session_id = b.session_id
    -- The endpoint spells it so.
    WHERE s.handshake_status = 400 AND b.sender = 'server' AND b.payload LIKE '%OpperationNotSupported%'
),
shown AS (
    SELECT * FROM said UNION ALL SELECT * FROM refused
)
SELECT
    w.session_id,
    'certain' AS confidence,
    first_seqs(LIST(w.seq)) AS evidence,
    MIN(w.at_utc) AS first_at,
    MAX(w.at_utc) AS last_at,
    MAP {'refusals': COUNT(*)} AS numbers,
    list_concat(
        keys_like(MIN(s.failure_keys), 'error|%Passing a transcription session update event to a realtime session%'),
        keys_like(MIN(s.failure_keys), 'handshake|%|400|%')
    ) AS explains
FROM shown AS w
INNER JOIN sessions AS s ON s.session_id = w.session_id
GROUP BY w.session_id;
