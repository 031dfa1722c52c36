-- name: silence_hallucination
-- group: transcription
-- happened: Audio that is silence throughout was committed, and was transcribed as speech.
-- confidence: certain
-- causes: the microphone is muted or another device was opened, and the client commits all the same; transcription
--   models put words into silence
-- refuted by: The sent audio, listened to, has speech in it.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: amical#71
SELECT
    session_id,
    'certain' AS confidence,
    first_seqs(list_concat(LIST(committed_seq), LIST(seq))) AS evidence,
    MIN(at_utc) AS first_at,
    MAX(at_utc) AS last_at,
    MAP {
        'transcribed_silences': COUNT(DISTINCT committed_seq),
        'loudest_dbfs': MAX(loudest_dbfs),
        'transcript_characters': MAX(characters)
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _silences
WHERE characters > 0
GROUP BY session_id;
