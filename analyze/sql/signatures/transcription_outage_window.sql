-- name: transcription_outage_window
-- group: transcription
-- happened: Transcription worked, then failed in every session for a while, then worked again; the configuration was
--   the same throughout.
-- confidence: likely
-- causes: an incident at the endpoint that came and went; a rollout in this region
-- refuted by: The same session still fails now.
-- replay: wiretape replay run {session} --to {target} --trials 5 --concurrency 1
-- sources: Microsoft Q&A 12379085
SELECT
    u.session_id,
    CASE WHEN o.by_chance <= 0.03 THEN 'likely' ELSE 'possible' END AS confidence,
    first_seqs(u.failed_seqs) AS evidence,
    u.first_at,
    u.last_at,
    MAP {
        'failed_transcriptions': u.failed_transcriptions,
        'failed_sessions_in_window': o.bad_sessions,
        'good_sessions_before': o.good_sessions_before,
        'good_sessions_after': o.good_sessions_after,
        'window_minutes': o.window_ms / 60000.0
    } AS numbers,
    u.explains
FROM _untranscribed AS u
INNER JOIN _outages AS o ON o.session_id = u.session_id AND o.model IS NOT DISTINCT FROM u.model
WHERE u.cause = 'outage';
