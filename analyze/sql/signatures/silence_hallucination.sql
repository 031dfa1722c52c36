-- name: silence_hallucination
-- group: transcription
-- happened: Audio that is silence throughout was committed, and was transcribed as speech.
-- confidence: certain
-- causes: the microphone is muted or another device was opened, and the client commits all the same; transcription
--   models put words into silence
-- refuted by: The sent audio, listened to, has speech in it.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: amical#71
WITH quiet AS (
    SELECT session_id, UNNEST(quiet_commits) AS quiet
    FROM sessions
    WHERE len(quiet_commits) > 0
),
heard AS (
    SELECT q.session_id, q.quiet, e.seq, e.at AS at_utc, TRIM(get_json_object(e.payload, '$.transcript')) AS transcript
    FROM quiet AS q
    INNER JOIN events AS e ON e.session_id = q.session_id AND e.item_id = q.quiet.item_id
    WHERE e.type = 'conversation.item.input_audio_transcription.completed'
)
SELECT
    session_id,
    'certain' AS confidence,
    first_seqs(list_concat(LIST(quiet.seq), LIST(seq))) AS evidence,
    MIN(at_utc) AS first_at,
    MAX(at_utc) AS last_at,
    MAP {
        'transcribed_silences': COUNT(DISTINCT quiet.seq),
        'loudest_dbfs': MAX(quiet.loudest_dbfs),
        'transcript_characters': MAX(LENGTH(transcript))
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM heard
WHERE LENGTH(transcript) > 0
GROUP BY session_id;
