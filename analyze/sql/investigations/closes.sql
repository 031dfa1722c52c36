-- How sessions ended: handshake status, close code and reason, and who closed
SELECT
    handshake_status,
    close_code,
    closed_by,
    close_reason,
    COUNT(*) AS sessions,
    COUNT(*) FILTER (WHERE outcome = 'failed') AS failed,
    ROUND(MEDIAN(duration_ms) / 1000, 1) AS median_s,
    STRING_AGG(DISTINCT COALESCE(region, target), ', ') AS places,
    MAX(session_id) AS newest
FROM sessions
GROUP BY ALL
ORDER BY sessions DESC, close_code
