-- Spoken: one row a session that sent audio, with what sealing measured of all of it.

CREATE OR REPLACE TEMP TABLE _spoken AS
SELECT
    session_id,                             -- its session
    SUM(duration_ms) AS duration_ms,        -- audio sent
    SUM(speech_ms) AS speech_ms,            -- time with speech in it, by its energy
    SUM(silence_ms) AS silence_ms,          -- time without
    MAX(peak) AS peak                       -- 0..1
FROM tracks
WHERE track = 'client'
GROUP BY session_id;
