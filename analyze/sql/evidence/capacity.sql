-- Capacity: how often responses failed with server_error and no code at an endpoint, hour by hour, over all sessions
-- of the root.

CREATE OR REPLACE TEMP TABLE _served AS
SELECT
    a.session_id,
    CONCAT_WS(' ', endpoint_of(s.url, s.target, s.region), s.model) AS endpoint,    -- where, and which model
    CAST(a.done_at AS DATE) AS day,                             -- UTC
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
-- deviate (Wilson and Hilferty). One rate all day gives less than 2.6 in 199 of 200 cases. Asked of all days together,
-- and of each by itself: other days may have had no peak, and would hide the one of this day.
CREATE OR REPLACE TEMP TABLE _peaks AS
WITH hours AS (
    SELECT endpoint, day, hour, COUNT(*) AS n, COUNT(CASE WHEN has_failed THEN 1 END) AS k
    FROM _served
    -- Imported sessions may have no times.
    WHERE hour IS NOT NULL
    GROUP BY GROUPING SETS ((endpoint, hour), (endpoint, day, hour))
),
shares AS (
    SELECT *, SUM(k) OVER of_days / SUM(n) OVER of_days AS share
    FROM hours
    WINDOW of_days AS (PARTITION BY endpoint, day)
),
tested AS (
    SELECT
        endpoint,
        day,
        COUNT(*) - 1 AS freedom,
        SUM(POWER(k - n * share, 2) / (n * share * (1 - share))) AS chi_square,
        SUM(n) AS responses,
        SUM(k) AS failed,
        MIN(k / n) AS lowest_rate,
        MAX(k / n) AS highest_rate,
        MAX_BY(hour, k / n) AS worst_hour
    FROM shares
    WHERE share > 0 AND share < 1
    GROUP BY endpoint, day
    HAVING COUNT(*) > 1
),
measured AS (
    SELECT
        *,
        (POWER(chi_square / freedom, 1.0 / 3) - (1 - 2.0 / (9 * freedom))) / SQRT(2.0 / (9 * freedom)) AS deviate
    FROM tested
    WHERE lowest_rate * 3 <= highest_rate
)
SELECT
    endpoint,                               -- host, region and model
    day,                                    -- UTC; NULL: all days together
    responses,                              -- responses that ended
    failed,                                 -- of these, failed with server_error and no code
    lowest_rate,                            -- share that failed in the best hour of the day
    highest_rate,                           -- and in the worst
    worst_hour,                             -- UTC
    deviate                                 -- how far the hours differ
FROM measured
-- There are many days, and on one of them chance goes far.
WHERE deviate >= CASE WHEN day IS NULL THEN 2.6 ELSE 3.3 END;

-- One row a response that failed so, with the peak it belongs to.
CREATE OR REPLACE TEMP TABLE _failed_answers AS
SELECT
    f.*,                                    -- as in _served
    p.endpoint IS NOT NULL AS is_in_peak,   -- the rate of its endpoint follows the hour of the day
    p.responses,                            -- this and the rest as in _peaks
    p.failed,
    p.lowest_rate,
    p.highest_rate,
    p.worst_hour,
    p.deviate
FROM _served AS f
LEFT JOIN _peaks AS p ON p.endpoint = f.endpoint AND f.day = COALESCE(p.day, f.day)
WHERE f.has_failed
-- Its day tells more than all days together.
QUALIFY ROW_NUMBER() OVER (PARTITION BY f.session_id, f.done_seq ORDER BY p.day NULLS LAST) = 1;
