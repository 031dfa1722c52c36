-- name: config_rejected_session_runs_default
-- group: configuration
-- happened: session.update was refused and none was ever taken, yet the session went on: it ran on the endpoint's defaults,
--   without the instructions, voice, tools and transcription that were asked for.
-- confidence: certain
-- causes: one bad field, which makes the endpoint refuse the whole update; a client that takes no notice of errors
-- refuted by: A replay with the field that the error names left out or mended is refused too.
-- replay: wiretape replay isolate {session} --baseline {target}
-- sources: livekit#1183; TanStack/ai#586
WITH refused AS (
    SELECT
        session_id,
        MIN(seq) AS first_seq,
        LIST(seq) || LIST(update_seq) AS seqs,
        LIST(error_key(error_type, error_code)) AS keys,
        MIN(at_utc) AS first_at,
        MAX(at_utc) AS last_at,
        COUNT(*) AS refusals,
        COUNT(field) AS naming_a_field
    FROM _errors
    WHERE about = 'update' AND updated = 0 AND update_seq IS NOT NULL
    GROUP BY session_id
),
went_on AS (
    SELECT r.session_id, COUNT(*) AS answers
    FROM refused AS r
    INNER JOIN _answers AS a ON a.session_id = r.session_id AND a.created_seq > r.first_seq
    GROUP BY r.session_id
)
SELECT
    r.session_id,
    CASE
        -- The echo of a later update may be what was lost.
        WHEN s.complete IS FALSE THEN 'possible'
        WHEN r.naming_a_field > 0 AND w.answers > 0 THEN 'certain'
        ELSE 'likely'
    END AS confidence,
    first_seqs(r.seqs) AS evidence,
    r.first_at,
    r.last_at,
    MAP {'refused_updates': r.refusals, 'answers_on_defaults': COALESCE(w.answers, 0)} AS numbers,
    keys_starting(s.failure_keys, r.keys) AS explains
FROM refused AS r
INNER JOIN sessions AS s ON s.session_id = r.session_id
LEFT JOIN went_on AS w ON w.session_id = r.session_id
-- A client that leaves after the refusal has taken notice.
WHERE w.answers > 0 OR s.turns > 0;
