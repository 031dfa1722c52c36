-- name: transcription_model_path_failure
-- group: transcription
-- happened: Every transcription of the user's speech failed with server_error and no code, while the answers were
--   healthy; no quota, outage or deployment name accounts for it.
-- confidence: likely
-- causes: the path from the realtime endpoint to this transcription model is broken in this region; an option
--   (language, prompt, noise reduction) that this model does not take
-- refuted by: The same session fails with another transcription model too.
-- replay: wiretape replay run {session} --to {target} --set 'session.audio.input.transcription.model="{another_transcription_model}"' --trials 5 --concurrency 1
-- replay: wiretape replay run {session} --to {target} --trials 5 --concurrency 1
-- sources: Microsoft Q&A 5772601
WITH others AS (
    SELECT
        u.session_id,
        COUNT(CASE WHEN t.model <> u.model AND t.failed = t.attempts THEN 1 END) AS other_models_failing,
        COUNT(CASE WHEN t.model <> u.model AND t.completed > 0 THEN 1 END) AS other_models_working,
        SUM(CASE WHEN t.model IS NOT DISTINCT FROM u.model THEN t.failed ELSE 0 END) AS failed_at_endpoint,
        SUM(CASE WHEN t.model IS NOT DISTINCT FROM u.model THEN t.completed ELSE 0 END) AS completed_at_endpoint
    FROM _untranscribed AS u
    INNER JOIN _transcribers AS t ON t.endpoint = u.endpoint
    WHERE u.cause = 'model path'
    GROUP BY u.session_id
)
SELECT
    u.session_id,
    CASE
        WHEN s.complete IS FALSE THEN 'possible'
        WHEN o.failed_at_endpoint >= 2 AND o.completed_at_endpoint = 0 AND o.other_models_failing = 0 THEN 'likely'
        ELSE 'possible'
    END AS confidence,
    first_seqs(u.failed_seqs) AS evidence,
    u.first_at,
    u.last_at,
    map_concat(
        MAP {
            'failed_transcriptions': u.failed_transcriptions,
            'completed_transcriptions': u.completed_transcriptions,
            'failed_at_endpoint': o.failed_at_endpoint,
            'completed_at_endpoint': o.completed_at_endpoint,
            'other_models_working': o.other_models_working,
            'other_models_failing': o.other_models_failing
        },
        -- A client that went on with another model: the rest is of the one that failed.
        CASE WHEN u.by_other_models > 0 THEN MAP {'transcriptions_by_other_models': u.by_other_models} ELSE MAP {} END
    ) AS numbers,
    u.explains
FROM _untranscribed AS u
INNER JOIN others AS o ON o.session_id = u.session_id
INNER JOIN sessions AS s ON s.session_id = u.session_id;
