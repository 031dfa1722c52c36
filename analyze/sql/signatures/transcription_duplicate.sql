-- name: transcription_duplicate
-- group: transcription
-- happened: The transcription of an item completed more than once with the same text.
-- confidence: certain
-- causes: the endpoint sends the event again; clients that add up transcripts then show it twice
-- refuted by: The same session gets one completed event an item, ten times out of ten.
-- replay: wiretape replay run {session} --to {target} --trials 10
-- sources: OpenWhispr#770
SELECT
    r.session_id,
    'certain' AS confidence,
    first_seqs(flatten(LIST(r.seqs))) AS evidence,
    MIN(r.first_at) AS first_at,
    MAX(r.last_at) AS last_at,
    MAP {'repeated_items': COUNT(*), 'completions': SUM(r.completions)} AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _repeated AS r
-- xAI completes with a growing text, which is how it streams; one word may not grow.
ANTI JOIN _marks AS x
    ON x.session_id = r.session_id
    AND x.type IN ('ping', 'conversation.item.input_audio_transcription.updated')
WHERE r.texts = 1 AND r.characters > 0
GROUP BY r.session_id;
