-- Capacity: how often responses failed with server_error and no code at an endpoint, hour by hour, over all sessions
-- of the root.

CREATE OR REPLACE TEMP TABLE _served AS
SELECT
    a.session_id,
    CONCAT_WS(' ', endpoint_of(s.url, s.target, s.region, s.session_id), s.model) AS endpoint,    -- where, and which model
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

-- Whether the rate differs more between hours than chance explains: a chi-square test of homogeneity, as a normal deviate
-- (Wilson and Hilferty). Failures come in clusters, because sessions differ: so hours are held against what sessions of
-- one hour differ by, and not against coins. Where failures are few, chi-square is wider than its table says; its
-- variance is the one for counts. Asked of all days together, and of each by itself: other days may have had no peak,
-- and would hide the one of this day.
CREATE OR REPLACE TEMP TABLE _peaks AS
WITH of_sessions AS (
    SELECT endpoint, day, hour, session_id, COUNT(*) AS n, COUNT(CASE WHEN has_failed THEN 1 END) AS k
    FROM _served
    -- Imported sessions may have no times.
    WHERE hour IS NOT NULL
    GROUP BY endpoint, day, hour, session_id
),
hours AS (
    SELECT
        endpoint,
        day,
        hour,
        SUM(n) AS n,
        SUM(k) AS k,
        COUNT(*) AS sessions,
        COUNT(CASE WHEN k > 0 THEN 1 END) AS failed_sessions,
        SUM(k * k / n) AS squares
    FROM of_sessions
    GROUP BY GROUPING SETS ((endpoint, hour), (endpoint, day, hour))
),
days AS (
    SELECT
        endpoint,
        day,
        COUNT(*) AS hours,
        SUM(n) AS responses,
        SUM(k) AS failed,
        SUM(failed_sessions) AS failed_sessions,
        SUM(k) / SUM(n) AS share,
        SUM(k * k / n) - SUM(k) * SUM(k) / SUM(n) AS between_hours,
        SUM(squares) - SUM(k * k / n) AS within_hours,
        SUM(sessions) - COUNT(*) AS repeats,
        SUM(n) * SUM(1 / n) AS unevenness,
        MIN(k / n) AS lowest_rate,
        MAX(k / n) AS highest_rate,
        MAX_BY(hour, k / n) AS worst_hour
    FROM hours
    GROUP BY endpoint, day
    HAVING COUNT(*) > 1 AND SUM(k) > 0 AND SUM(k) < SUM(n)
),
-- How many failures one session's trouble makes: by the sessions of this day, and of all days each by itself.
clustered AS (
    SELECT
        *,
        GREATEST(
            COALESCE(within_hours / (share * (1 - share)) / NULLIF(repeats, 0), 1),
            SUM(CASE WHEN day IS NOT NULL THEN within_hours / (share * (1 - share)) END) OVER of_endpoint
                / NULLIF(SUM(CASE WHEN day IS NOT NULL THEN repeats END) OVER of_endpoint, 0),
            1
        ) AS cluster,
        MAX(repeats) OVER of_endpoint AS repeats_at_endpoint
    FROM days
    WINDOW of_endpoint AS (PARTITION BY endpoint)
),
scaled AS (
    SELECT
        *,
        hours - 1 AS freedom,
        between_hours / (share * (1 - share)) / cluster AS chi_square,
        GREATEST(2 * (hours - 1) + (unevenness - hours * hours - 2 * (hours - 1)) * cluster / failed, 0.1) AS variance
    FROM clustered
),
-- The gamma distribution of this mean and variance.
shaped AS (
    SELECT *, 2 * freedom * freedom / variance AS shape, chi_square * 2 * freedom / variance AS gamma FROM scaled
),
measured AS (
    SELECT
        *,
        (POWER(gamma / shape, 1.0 / 3) - (1 - 2.0 / (9 * shape))) / SQRT(2.0 / (9 * shape)) AS deviate,
        -- One rate gives less in 199 of 200 cases. There are many days, and on one of them chance goes far.
        SQRT(6.8 + 2 * LN(COUNT(*) OVER (PARTITION BY endpoint))) AS deviate_of_chance
    FROM shaped
    -- Where few sessions share an hour, or few failed, nothing tells an hour's trouble from a session's.
    WHERE lowest_rate * 3 <= highest_rate AND failed_sessions >= 3 AND repeats_at_endpoint >= 8
)
SELECT
    endpoint,                               -- host, region and model
    day,                                    -- UTC; NULL: all days together
    responses,                              -- responses that ended
    failed,                                 -- of these, failed with server_error and no code
    lowest_rate,                            -- share that failed in the best hour of the day
    highest_rate,                           -- and in the worst
    worst_hour,                             -- UTC
    deviate,                                -- how far the hours differ
    deviate_of_chance                       -- and how far they may by chance
FROM measured
WHERE deviate >= deviate_of_chance;

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
    p.deviate,
    p.deviate_of_chance
FROM _served AS f
LEFT JOIN _peaks AS p ON p.endpoint = f.endpoint AND f.day = COALESCE(p.day, f.day)
WHERE f.has_failed
-- Its day tells more than all days together.
QUALIFY ROW_NUMBER() OVER (PARTITION BY f.session_id, f.done_seq ORDER BY p.day NULLS LAST) = 1;
