-- name: azure_deployment_name_expected
-- group: transcription
-- happened: On Azure, every transcription model that was named by its catalogue id failed from the first item with no
--   code; none ever worked there.
-- confidence: likely
-- causes: Azure wants the name of a deployment in this field and was given a model's id; the transcription model is
--   not deployed on this resource
-- refuted by: The same session fails with the name of a real deployment too.
-- replay: wiretape replay run {session} --to {target} --set 'session.audio.input.transcription.model="DEPLOYMENT"' --trials 5 --concurrency 1
-- sources: Microsoft Learn, Azure deviation; openai-node#1698; openai-agents-js#297
SELECT
    u.session_id,
    'likely' AS confidence,
    first_seqs(u.failed_seqs) AS evidence,
    u.first_at,
    u.last_at,
    MAP {
        'failed_transcriptions': u.failed_transcriptions,
        'failed_catalogue_ids': d.failed_catalogue_ids,
        'working_deployment_names': d.working_names
    } AS numbers,
    u.explains
FROM _untranscribed AS u
INNER JOIN _unnamed_deployments AS d ON d.endpoint = u.endpoint
WHERE u.cause = 'deployment name';
