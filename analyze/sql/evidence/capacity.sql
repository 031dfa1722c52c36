-- Capacity: how often responses failed with server_error and no code at an endpoint, hour by hour, over all sessions
-- of the root.

CREATE OR REPLACE TEMP TABLE _served AS
SELECT
    a.session_id,
    CONCAT_WS(' ', s.host, s.region, s.model) AS endpoint,      -- host, region and model
    date_part('hour', a.done_at) AS hour,                       -- hour of the day, UTC
    a.done_seq,
    a.done_at,
    a.first_audio_seq,
    a.done_ms - a.created_ms AS response_ms,
    COALESCE(a.error_type = 'server_error' AND a.error_code IS NULL, FALSE) AS has_failed
FROM _answers AS a
INNER JOIN sessions AS s ON s.session_id = a.session_id
WHERE a.done_seq IS NOT NULL;

-- Whether the rate differs more between hours than chance explains: a chi-square test of homogeneity, as a normal
-- deviate (Wilson and Hilferty). One rate all day gives less than 2.6 in 199 of 200 cases.
CREATE OR REPLACE TEMP TABLE _peaks AS
WITH hours AS (
    SELECT endpoint, hour, COUNT(*) AS n, COUNT(CASE WHEN has_failed THEN 1 END) AS k
    FROM _served
    GROUP BY endpoint, hour
),
shares AS (
    SELECT *, SUM(k) OVER (PARTITION BY endpoint) / SUM(n) OVER (PARTITION BY endpoint) AS share
    FROM hours
),
tested AS (
    SELECT
        endpoint,
        COUNT(*) - 1 AS freedom,
        SUM(POWER(k - n * share, 2) / (n * share * (1 - share))) AS chi_square,
        SUM(n) AS responses,
        SUM(k) AS failed,
        MIN(k / n) AS lowest_rate,
        MAX(k / n) AS highest_rate,
        MAX_BY(hour, k / n) AS worst_hour
    FROM shares
    WHERE share > 0 AND share < 1
    GROUP BY endpoint
    HAVING COUNT(*) > 1
)
SELECT
    endpoint,                               -- host, region and model
    responses,                              -- responses that ended
    failed,                                 -- of these, failed with server_error and no code
    lowest_rate,                            -- share that failed in the best hour of the day
    highest_rate,                           -- and in the worst
    worst_hour,                             -- UTC
    (POWER(chi_square / freedom, 1.0 / 3) - (1 - 2.0 / (9 * freedom))) / SQRT(2.0 / (9 * freedom)) AS deviate
FROM tested
WHERE lowest_rate * 3 <= highest_rate;
