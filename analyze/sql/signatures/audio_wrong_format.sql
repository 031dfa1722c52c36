-- name: audio_wrong_format
-- group: audio
-- happened: Read as declared the sent bytes are noise; read as another format they are speech.
-- confidence: certain
-- causes: G.711 of a telephone sent to a session that expects PCM; PCM sent to a session that was configured for
--   G.711; u-law taken for A-law
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
        'declared_rate_hz': rate,
        'duration_ms': duration_ms
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _sent_audio
WHERE looks_like IN ('audio/pcm', 'audio/pcmu', 'audio/pcma');
