-- name: transcription_quota
-- group: transcription
-- happened: The first turns of a minute were transcribed and the rest of it failed with server_error and no code.
-- confidence: likely
-- causes: the transcription deployment's quota of requests a minute (one to three by default) is used up
-- refuted by: Turns more than a minute apart fail too, or many in one minute pass.
-- replay: wiretape replay run {session} --to {target} --speed 0.1 --trials 3 --concurrency 1
-- sources: Microsoft quota pages (1 to 3 requests a minute); hypothesis
SELECT
    u.session_id,
    CASE WHEN q.passes_again AND q.by_chance <= 0.051 THEN 'likely' ELSE 'possible' END AS confidence,
    first_seqs(u.failed_seqs) AS evidence,
    u.first_at,
    u.last_at,
    MAP {
        'failed_transcriptions': u.failed_transcriptions,
        'completed_transcriptions': u.completed_transcriptions,
        'passed_per_minute': q.quota_per_minute
    } AS numbers,
    u.explains
FROM _untranscribed AS u
INNER JOIN _quotas AS q ON q.session_id = u.session_id AND q.model IS NOT DISTINCT FROM u.model
WHERE u.cause = 'quota';
