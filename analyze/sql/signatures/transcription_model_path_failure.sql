-- name: transcription_model_path_failure
-- group: transcription
-- happened: Every transcription of the user's speech failed with server_error and no code, while the answers were healthy.
-- confidence: likely
-- causes: the path from the realtime endpoint to this transcription model is broken in this region; an option (language, prompt, noise reduction) that this model does not take
-- refuted by: The same session fails with another transcription model too.
-- replay: wiretape replay run {session} --to {target} --set 'session.audio.input.transcription.model="whisper-1"' --trials 5
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: Microsoft Q&A 5772601
WITH failed AS (
    SELECT
        session_id,
        COUNT(CASE WHEN failures > 0 THEN 1 END) AS failed_transcriptions,
        COUNT(CASE WHEN completions > 0 THEN 1 END) AS completed_transcriptions,
        COUNT(CASE WHEN failures > 0 AND error_type = 'server_error' AND error_code IS NULL THEN 1 END) AS without_code,
        LIST(seq) AS seqs,
        MIN(at_utc) AS first_at,
        MAX(last_at) AS last_at
    FROM _heard
    GROUP BY session_id
)
SELECT
    f.session_id,
    CASE WHEN f.failed_transcriptions >= 2 THEN 'likely' ELSE 'possible' END AS confidence,
    first_seqs(f.seqs) AS evidence,
    f.first_at,
    f.last_at,
    MAP {
        'failed_transcriptions': f.failed_transcriptions,
        'completed_transcriptions': f.completed_transcriptions
    } AS numbers,
    keys_like(s.failure_keys, 'conversation.item.input_audio_transcription.failed|server_error||%') AS explains
FROM failed AS f
INNER JOIN sessions AS s ON s.session_id = f.session_id
WHERE f.failed_transcriptions > 0
    AND f.completed_transcriptions = 0
    AND f.without_code = f.failed_transcriptions
    AND len(keys_like(s.failure_keys, 'response.done|%')) = 0;
