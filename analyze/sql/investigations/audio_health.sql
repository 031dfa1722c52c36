-- Sent audio, the worst first: clipping, level, offset, chunks sent twice, bytes that look like another format
-- `wiretape analyze show SESSION` judges these measures; limits and their reasons are in analyze/audio_health.py.
SELECT
    t.session_id,
    s.target,
    t.format,
    t.rate,
    ROUND(t.duration_ms / 1000, 1) AS seconds,
    ROUND(t.speech_ms / 1000, 1) AS speech_s,
    ROUND(t.rms_dbfs, 1) AS rms_dbfs,
    ROUND(t.peak, 3) AS peak,
    t.clipped AS clipped_samples,
    ROUND(t.dc_offset, 4) AS dc_offset,
    t.duplicated_chunks,
    t.bandwidth_hz,
    t.looks_like
FROM tracks AS t
JOIN sessions AS s USING (session_id)
WHERE t.track = 'client'
ORDER BY t.looks_like IS NULL, t.clipped DESC, t.duplicated_chunks DESC, t.rms_dbfs, t.session_id
