-- name: audio_chunks_missing
-- group: audio
-- happened: While speaking the client sent less audio than time passed, with gaps that no later audio made good.
-- confidence: likely
-- causes: chunks dropped by the client or on the way to it; a loop that stalls while the microphone goes on
-- refuted by: The track, listened to, has no breaks: then the sender was slow, and nothing is missing.
-- replay: wiretape analyze audio {session} --output sent.wav
-- replay: wiretape capture call --to {target} --audio KNOWN_GOOD.wav
-- sources: docs/analyze.md
SELECT
    session_id,
    'likely' AS confidence,
    evidence,
    first_at,
    last_at,
    MAP {
        'audio_missing_ms': audio_missing_ms,
        'pacing_ratio': pacing_ratio,
        'duration_ms': duration_ms
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _sent_audio
WHERE has_missing;
