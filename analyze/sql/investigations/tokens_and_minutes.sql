-- Tokens and minutes of audio per day, target and model
-- Tokens are NULL where no response told its usage.
SELECT
    date,
    target,
    model,
    COUNT(*) AS sessions,
    ROUND(SUM(audio_in_ms) / 60000, 2) AS minutes_sent,
    ROUND(SUM(audio_out_ms) / 60000, 2) AS minutes_received,
    SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens
FROM sessions
GROUP BY ALL
ORDER BY date DESC, sessions DESC, target, model
