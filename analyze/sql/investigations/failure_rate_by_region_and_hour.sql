-- Failure rate per region and hour: where it fails, and since when
-- An hour that lacks sessions has no row. Counted is what failed or passed, as in `failures`.
SELECT
    CAST(DATE_TRUNC('hour', started_at) AS TIMESTAMP) AS hour_utc,
    COALESCE(region, host, target) AS region,
    COUNT(*) AS sessions,
    COUNT(*) FILTER (WHERE COALESCE(trial_outcome, outcome) = 'failed') AS failed,
    ROUND(100.0 * failed / COUNT(*), 1) AS failed_percent,
    MODE(failure_keys[1]) AS most_frequent_failure
FROM sessions
WHERE COALESCE(trial_outcome, outcome) IN ('failed', 'ok')
GROUP BY ALL
ORDER BY hour_utc DESC, failed DESC, region
