-- name: audio_too_quiet
-- group: audio
-- happened: The speech that was sent is very quiet: it never comes above -40 dBFS, and yet is as lively as speech.
-- confidence: certain
-- causes: a microphone with its gain down; float samples that were not scaled to 16 bits; a far speaker
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
        'rms_dbfs': rms_dbfs,
        'peak': peak
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _sent_audio
WHERE is_too_quiet;
