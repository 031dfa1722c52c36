-- Latency percentiles per region and model: end of speech to commit, first audio and end; commit to transcript
SELECT
    l.name AS latency,
    s.region,
    s.model,
    s.transcription_model,
    COUNT(*) AS turns,
    ROUND(QUANTILE_CONT(l.latency_ms, 0.5)) AS p50_ms,
    ROUND(QUANTILE_CONT(l.latency_ms, 0.95)) AS p95_ms,
    ROUND(QUANTILE_CONT(l.latency_ms, 0.99)) AS p99_ms,
    ROUND(MAX(l.latency_ms)) AS worst_ms
FROM latencies AS l
JOIN sessions AS s USING (session_id)
GROUP BY ALL
ORDER BY latency, p95_ms DESC, s.region, s.model, s.transcription_model
