-- name: audio_clipped
-- group: audio
-- happened: The audio that was sent is clipped: at least one sample in a hundred of its speech is at full scale.
-- confidence: certain
-- causes: a gain of the client that is too high; an automatic gain control; float samples scaled twice
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
        'clipped_share': clipped_share,
        'peak': peak,
        'rms_dbfs': rms_dbfs
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _sent_audio
WHERE is_clipped;
