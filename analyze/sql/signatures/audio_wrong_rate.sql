-- name: audio_wrong_rate
-- group: audio
-- happened: Audio was sent at a steady pace that is not that of time, but just that of another sample rate.
-- confidence: likely
-- causes: the microphone's or the telephone's rate was not converted to the declared one; the declared rate was
--   not taken over from the session
-- refuted by: The track, listened to, has the right pitch and speed.
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
        'captured_rate_hz': captured_rate,
        'declared_rate_hz': rate,
        'pacing_ratio': pacing_ratio
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _sent_audio
WHERE captured_rate IS NOT NULL;
