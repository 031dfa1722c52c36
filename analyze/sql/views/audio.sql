-- Audio: blocks of about 10 s as they are stored, and the measures of whole tracks.

CREATE OR REPLACE VIEW audio AS
SELECT
    session_id,                         -- its session
    date,                               -- UTC day of the recording
    track,                              -- client (sent), server (answers) or other (seeded and retrieved items)
    block,                              -- counts the blocks of the track
    start_byte,                         -- first byte of the block in its track
    bytes,                              -- bytes of audio, decoded
    format,                             -- audio/pcm, audio/pcmu or audio/pcma
    rate,                               -- samples a second
    bytes * 1000.0 / (rate * CASE WHEN format = 'audio/pcm' THEN 2 ELSE 1 END) AS duration_ms,  -- playing time
    codec,                              -- how data is stored: flac or raw
    data,                               -- the audio
    rms_dbfs,                           -- loudness; -150: digital silence
    peak,                               -- 0..1
    clipped,                            -- samples at full scale
    dc_offset,                          -- mean of the samples, -1..1
    speech_ms,                          -- time with speech in it
    silence_ms,                         -- time without
    duplicated_chunks                   -- chunks that were sent twice in a row
FROM _audio;

-- One row a session, track and format: usually one format a track.
CREATE OR REPLACE VIEW tracks AS
SELECT
    session_id,                                     -- its session
    track,                                          -- client, server or other
    format,                                         -- audio/pcm, audio/pcmu or audio/pcma
    rate,                                           -- samples a second
    SUM(bytes) AS bytes,                            -- bytes of audio
    SUM(duration_ms) AS duration_ms,                -- playing time
    -- Powers add up, decibels do not.
    10 * LOG10(SUM(POWER(10, rms_dbfs / 10) * duration_ms) / SUM(duration_ms))
        AS rms_dbfs,                                -- loudness of the whole track; -150: digital silence
    MAX(peak) AS peak,                              -- 0..1
    SUM(clipped) AS clipped,                        -- samples at full scale
    SUM(speech_ms) AS speech_ms,                    -- time with speech in it
    SUM(silence_ms) AS silence_ms                   -- time without
FROM audio
GROUP BY session_id, track, format, rate;
