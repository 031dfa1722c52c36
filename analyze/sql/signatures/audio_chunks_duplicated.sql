-- name: audio_chunks_duplicated
-- group: audio
-- happened: Chunks of the sent audio are the same, byte for byte, as the one before.
-- confidence: certain
-- causes: a buffer that is sent again before it is filled; a retry of a send that had gone through; two senders on
--   one track
-- refuted by: The track, listened to, is as it was spoken; or a known good clip fails against the same endpoint in
--   the same way.
-- replay: wiretape analyze audio {session} --output sent.wav
-- replay: wiretape capture call --to {target} --audio KNOWN_GOOD.wav
-- sources: docs/analyze.md
SELECT
    session_id,
    'certain' AS confidence,
    evidence,
    first_at,
    last_at,
    MAP {
        'duplicated_chunks': duplicated_chunks,
        'duration_ms': duration_ms
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _sent_audio
WHERE has_duplicates;
