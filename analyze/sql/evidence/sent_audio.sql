-- The audio clients sent: one row a session, judged as `analyze/audio_health.py` judges it and by its limits.

CREATE OR REPLACE TEMP TABLE _sent_audio AS
WITH ranked AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY duration_ms DESC) AS place
    FROM tracks
    WHERE track = 'client' AND duration_ms > 0
),
measured AS (
    SELECT
        t.session_id,
        t.format,
        t.rate,
        t.duration_ms,
        t.rms_dbfs,
        t.peak,
        t.looks_like,
        t.level_range_db,
        t.duplicated_chunks,
        t.bandwidth_hz,
        t.clipped / NULLIF(COALESCE(NULLIF(t.speech_ms, 0), t.duration_ms) * t.rate / 1000, 0) AS clipped_share,
        s.pacing_ratio,
        s.audio_missing_ms,
        -- Of a session that was cut to windows the track is what was kept, and the pace that of all that was sent.
        CASE WHEN s.kept = 'window' THEN GREATEST(t.duration_ms, s.audio_in_ms) ELSE t.duration_ms END
            / NULLIF(s.pacing_ratio, 0) AS passed_ms,
        s.started_at,
        s.ended_at
    FROM ranked AS t
    INNER JOIN sessions AS s ON s.session_id = t.session_id
    WHERE t.place = 1
),
paced AS (
    SELECT
        *,
        audio_missing_ms >= GREATEST(audio_limit('missing_ms'), audio_limit('missing_share') * passed_ms)
            AS has_missing
    FROM measured
),
turns_of AS (
    SELECT session_id, LIST(seq) AS seqs FROM _commits GROUP BY session_id
)
SELECT
    m.session_id,                                               -- its session
    m.format,                                                   -- as declared
    m.rate,                                                     -- as declared, samples a second
    m.duration_ms,                                              -- playing time
    m.rms_dbfs,                                                 -- level
    m.peak,                                                     -- 0..1
    m.clipped_share,                                            -- samples at full scale, of those of speech
    m.duplicated_chunks,                                        -- chunks that were sent twice in a row
    m.looks_like,                                               -- what its bytes are, where not what was declared
    m.pacing_ratio,                                             -- audio sent for each ms that passed while sending
    m.audio_missing_ms,                                         -- audio that gaps left out while speaking
    m.looks_like IS NULL AND m.clipped_share >= audio_limit('clipped_fault') AS is_clipped,
    m.looks_like IS NULL AND m.peak < audio_limit('quiet_peak') AND m.level_range_db >= audio_limit('lively_db')
        AS is_too_quiet,
    m.duplicated_chunks >= audio_limit('duplicated_chunks') AND m.bandwidth_hz >= audio_limit('speech_band_hz')
        AS has_duplicates,
    m.looks_like IS NULL AND COALESCE(m.has_missing, FALSE) AS has_missing,
    -- The rate its pace speaks for, where that is not the declared one.
    CASE
        WHEN m.looks_like IS NULL AND NOT COALESCE(m.has_missing, FALSE)
            AND m.passed_ms >= audio_limit('rate_over_ms')
        THEN list_filter(
            capture_rates(),
            lambda captured: (captured < m.rate OR captured = 44100) AND captured <> m.rate
                AND ABS(m.pacing_ratio * m.rate / captured - 1) <= audio_limit('rate_tolerance')
        )[1]
    END AS captured_rate,
    first_seqs(t.seqs) AS evidence,                             -- the turns that were made of it
    m.started_at AS first_at,                                   -- start of the session, UTC
    m.ended_at AS last_at                                       -- its end, UTC
FROM paced AS m
LEFT JOIN turns_of AS t ON t.session_id = m.session_id;
