-- name: azure_deployment_missing
-- group: transcription
-- happened: The transcription failed with code DeploymentNotFound.
-- confidence: certain
-- causes: the transcription model is not deployed on this resource; the deployment has another name
-- refuted by: The same session fails in the same way with the name of a deployment that exists.
-- replay: wiretape replay run {session} --to {target} --set 'session.audio.input.transcription.model="DEPLOYMENT"' --trials 3 --concurrency 1
-- sources: an Azure session of 2026-07; Microsoft Q&A 5908916
SELECT
    h.session_id,
    'certain' AS confidence,
    first_seqs(LIST(h.seq)) AS evidence,
    MIN(h.at_utc) AS first_at,
    MAX(h.last_at) AS last_at,
    MAP {'failed_transcriptions': COUNT(*)} AS numbers,
    keys_like(
        MIN(s.failure_keys), 'conversation.item.input_audio_transcription.failed|%|DeploymentNotFound|%'
    ) AS explains
FROM _heard AS h
INNER JOIN sessions AS s ON s.session_id = h.session_id
WHERE h.failures > 0 AND h.error_code = 'DeploymentNotFound'
GROUP BY h.session_id;
