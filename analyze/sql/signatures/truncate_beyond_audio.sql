-- name: truncate_beyond_audio
-- group: turn taking
-- happened: The client cut an answer at a time that its audio never reached.
-- confidence: certain
-- causes: the client counts by the clock on the wall instead of by the audio that came; it counts audio of another item
-- refuted by: A replay, which never asks for more than came, is refused too.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: twilio-samples/speech-assistant-openai-realtime-api-python#22; pipecat#2106
WITH refused AS (
    SELECT
        *,
        -- Also asked of messages that the condition below leaves out: in which order is the engine's affair.
        TRY_CAST(regexp_extract(error_message, 'content of (\d{1,9}) ?ms', 1) AS DOUBLE) AS audio_ms,
        TRY_CAST(regexp_extract(error_message, 'shorter than (\d{1,9}) ?ms', 1) AS DOUBLE) AS asked_ms
    FROM _errors
    WHERE regexp_matches(error_message, 'Audio content of \d{1,9} ?ms is already shorter than \d{1,9} ?ms')
)
SELECT
    r.session_id,
    'certain' AS confidence,
    first_seqs(LIST(r.seq)) AS evidence,
    MIN(r.at_utc) AS first_at,
    MAX(r.at_utc) AS last_at,
    MAP {'refused': COUNT(*), 'worst_beyond_ms': MAX(r.asked_ms - r.audio_ms)} AS numbers,
    keys_matching(ANY_VALUE(s.failure_keys), '^error\|.*is already shorter than') AS explains
FROM refused AS r
INNER JOIN sessions AS s ON s.session_id = r.session_id
GROUP BY r.session_id;
