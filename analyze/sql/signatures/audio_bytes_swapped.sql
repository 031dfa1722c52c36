-- name: audio_bytes_swapped
-- group: audio
-- happened: Read as declared the sent samples are noise; read with their bytes in the other order, or from one
--   byte later on, they are speech.
-- confidence: certain
-- causes: samples in network byte order; WAV or AIFF data sent as they are; a stray byte, such as an odd cut of a
--   buffer, before the audio
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
        'is_shifted': CASE WHEN looks_like = 'shifted' THEN 1 ELSE 0 END,
        'duration_ms': duration_ms
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _sent_audio
WHERE looks_like IN ('swapped', 'shifted');
