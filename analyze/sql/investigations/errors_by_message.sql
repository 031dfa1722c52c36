-- Errors by type, code and message, with where and when they were seen
-- Ids inside messages are masked, so that the same error counts as one.
SELECT
    e.type AS event,
    e.error_type,
    e.error_code,
    REGEXP_REPLACE(e.error_message, '\b(item|resp|call|event|sess|msg|req)_[A-Za-z0-9_-]+', '\1_…', 'g') AS message,
    e.error_param,
    COUNT(*) AS times,
    COUNT(DISTINCT e.session_id) AS sessions,
    STRING_AGG(DISTINCT COALESCE(s.region, s.target), ', ') AS places,
    MIN(e.at) AS first_at,
    MAX(e.at) AS last_at,
    MAX(e.session_id) AS an_example
FROM errors AS e
JOIN sessions AS s USING (session_id)
GROUP BY ALL
ORDER BY sessions DESC, times DESC, event
