-- name: transcription_duplicate
-- group: transcription
-- happened: The transcription of an item completed more than once with the same text.
-- confidence: certain
-- causes: the endpoint sends the event again; clients that add up transcripts then show it twice
-- refuted by: The same session gets one completed event an item, ten times out of ten.
-- replay: wiretape replay run {session} --to {target} --trials 10
-- sources: OpenWhispr#770
SELECT
    session_id,
    'certain' AS confidence,
    first_seqs(flatten(LIST(seqs))) AS evidence,
    MIN(first_at) AS first_at,
    MAX(last_at) AS last_at,
    MAP {'repeated_items': COUNT(*), 'completions': SUM(completions)} AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _repeated
-- xAI completes with a growing text, which is how it streams.
WHERE texts = 1 AND characters > 0
GROUP BY session_id;
