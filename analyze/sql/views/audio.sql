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
    duplicated_chunks,                  -- chunks that were sent twice in a row
    level_range_db,                     -- loud frames above quiet ones; steady noise has hardly any
    bandwidth_hz,                       -- highest frequency with energy in the speech
    looks_like                          -- what the bytes are, where they are not what they were declared as
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
    SUM(silence_ms) AS silence_ms,                  -- time without
    SUM(dc_offset * duration_ms) / SUM(CASE WHEN dc_offset IS NOT NULL THEN duration_ms END)
        AS dc_offset,                               -- mean of the samples, -1..1
    CAST(SUM(duplicated_chunks) AS BIGINT) AS duplicated_chunks,    -- chunks that were sent twice in a row
    MAX(level_range_db) AS level_range_db,          -- loud frames above quiet ones, in the liveliest block
    MAX(bandwidth_hz) AS bandwidth_hz,              -- highest frequency with energy in the speech
    -- A block of noise says nothing of its bytes: where most of what was looked at says one thing, that is it.
    CASE
        WHEN SUM(CASE WHEN looks_like IS NOT NULL THEN duration_ms ELSE 0 END)
            >= 0.5 * SUM(CASE WHEN bandwidth_hz IS NOT NULL THEN duration_ms END)
        THEN MODE(looks_like)
    END AS looks_like                               -- what the bytes are, where they are not as declared
FROM audio
GROUP BY session_id, track, format, rate;
