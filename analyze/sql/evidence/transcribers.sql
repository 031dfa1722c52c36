-- Transcribers: what each transcription model of an endpoint did, over all sessions of the root; and which of the
-- causes that look alike in one session fits the sessions where it failed without a code.

-- Ids of OpenAI's catalogue; anything else in the field is a deployment's name.
CREATE OR REPLACE MACRO is_catalogue_id(model) AS
    regexp_matches(
        COALESCE(model, ''),
        '^(whisper-1|gpt-4o(-mini)?-transcribe(-diarize)?(-\d{4}-\d{2}-\d{2})?|gpt(-live)?-transcribe|gpt-realtime-whisper)$'
    );

-- One row a transcription that ended, where its endpoint and model are known.
CREATE OR REPLACE TEMP TABLE _attempts AS
SELECT
    h.session_id,
    endpoint_of(s.url, s.target, s.region, s.session_id) AS endpoint,   -- host, port and region
    -- Clients change it in the middle of a session, as to go on with another where one fails.
    COALESCE(u.transcription_model, s.transcription_model, s.transcription_model_echoed)
        AS model,                                           -- transcription model asked for, as the turn was committed
    h.seq,
    h.at_utc,
    epoch_ms(COALESCE(c.at_utc, h.at_utc)) AS asked_ms,     -- when it was asked for: its commit
    h.completions = 0 AS has_failed,
    h.completions = 0 AND h.error_type = 'server_error' AND h.error_code IS NULL AS has_failed_without_code
FROM _heard AS h
INNER JOIN sessions AS s ON s.session_id = h.session_id
LEFT JOIN _commits AS c ON c.session_id = h.session_id AND c.item_id = h.item_id
ASOF LEFT JOIN (SELECT * FROM _marks WHERE transcription_model IS NOT NULL) AS u
    ON u.session_id = h.session_id AND u.seq <= COALESCE(c.seq, h.seq);

CREATE OR REPLACE TEMP TABLE _transcribers AS
SELECT
    endpoint,                                                       -- host, port and region
    model,                                                          -- transcription model asked for
    is_catalogue_id(model) AS is_catalogue_id,                      -- named as OpenAI's catalogue does
    COUNT(*) AS attempts,                                           -- transcriptions that ended
    COUNT(CASE WHEN has_failed_without_code THEN 1 END) AS failed,  -- of these, failed without a code
    COUNT(CASE WHEN NOT has_failed THEN 1 END) AS completed         -- of these, completed
FROM _attempts
GROUP BY endpoint, model;

-- One row a model that transcribed in a session.
CREATE OR REPLACE TEMP TABLE _hearing AS
SELECT
    a.session_id,
    MIN(a.endpoint) AS endpoint,
    a.model,
    MIN(s.started_at) AS started_at,
    -- What must not have changed for two sessions to be compared.
    MIN(CONCAT_WS('|', a.endpoint, a.model, s.model, s.turn_detection, s.input_format, s.dialect)) AS configuration,
    COUNT(*) AS attempts,
    COUNT(CASE WHEN a.has_failed_without_code THEN 1 END) AS failed,
    COUNT(CASE WHEN NOT a.has_failed THEN 1 END) AS completed,
    LIST(CASE WHEN a.has_failed_without_code THEN a.seq END) AS failed_seqs,
    MIN(CASE WHEN a.has_failed_without_code THEN a.at_utc END) AS first_at,
    MAX(CASE WHEN a.has_failed_without_code THEN a.at_utc END) AS last_at
FROM _attempts AS a
INNER JOIN sessions AS s ON s.session_id = a.session_id
GROUP BY a.session_id, a.model;

-- An outage: sessions of one configuration went well, then failed wholly, then went well again. A run of failures that is
-- to be expected among so many sessions, at the rate of those around it, is none.
CREATE OR REPLACE TEMP TABLE _outages AS
WITH judged AS (
    SELECT *, failed = attempts AS is_bad
    FROM _hearing
    -- Imported sessions may have no times: nothing tells what was before them.
    WHERE started_at IS NOT NULL AND (failed = attempts OR completed = attempts)
),
stepped AS (
    SELECT
        *,
        SUM(CASE WHEN is_bad THEN 0 ELSE 1 END) OVER (
            PARTITION BY configuration ORDER BY started_at, session_id ROWS UNBOUNDED PRECEDING) AS good_before,
        SUM(CASE WHEN is_bad THEN 0 ELSE 1 END) OVER (PARTITION BY configuration) AS good
    FROM judged
),
runs AS (
    SELECT configuration, good_before, COUNT(*) AS bad_sessions, MIN(started_at) AS began_at, MAX(last_at) AS ended_at
    FROM stepped
    WHERE is_bad AND good_before > 0 AND good_before < good
    GROUP BY configuration, good_before
),
totals AS (
    SELECT configuration, COUNT(*) AS sessions, COUNT(CASE WHEN failed > 0 THEN 1 END) AS bad
    FROM _hearing
    WHERE started_at IS NOT NULL
    GROUP BY configuration
),
weighed AS (
    SELECT
        r.*,
        t.sessions * POWER((t.bad - r.bad_sessions + 0.5) / (t.sessions - r.bad_sessions + 1), r.bad_sessions) AS by_chance
    FROM runs AS r
    INNER JOIN totals AS t ON t.configuration = r.configuration
)
SELECT
    b.session_id,                                                   -- session that failed inside the window
    b.model,                                                        -- by this transcription model
    r.bad_sessions,                                                 -- sessions that failed in a row
    b.good_before AS good_sessions_before,                          -- sessions that went well before
    b.good - b.good_before AS good_sessions_after,                  -- and after
    epoch_ms(r.ended_at) - epoch_ms(r.began_at) AS window_ms,       -- from the first failed one to the last failure
    r.by_chance                                                     -- such windows that chance makes
FROM stepped AS b
INNER JOIN weighed AS r ON r.configuration = b.configuration AND r.good_before = b.good_before
WHERE b.is_bad
    -- One session may have a fault of its own.
    AND r.bad_sessions > 1
    AND r.by_chance <= 0.05;

-- A quota: what fails has as many transcriptions in the minute before it as the quota allows, what passes has fewer.
-- Failures at random look so now and then: it must be so more often than they do.
CREATE OR REPLACE TEMP TABLE _quotas AS
WITH troubled AS (
    SELECT endpoint, model FROM _transcribers WHERE failed > 0 AND completed > 0
),
counted AS (
    SELECT
        a.*,
        COUNT(CASE WHEN NOT a.has_failed THEN 1 END) OVER (
            PARTITION BY a.endpoint, a.model ORDER BY a.asked_ms RANGE BETWEEN 60000 PRECEDING AND 1 PRECEDING
        ) AS passed_in_minute
    FROM _attempts AS a
    INNER JOIN troubled AS t ON t.endpoint = a.endpoint AND t.model IS NOT DISTINCT FROM a.model
    WHERE a.asked_ms IS NOT NULL
),
-- What happened within ten minutes: other days may have had another quota.
compared AS (
    SELECT
        *,
        MAX(CASE WHEN NOT has_failed THEN passed_in_minute END) OVER near AS most_before_a_pass,
        MIN(CASE WHEN has_failed_without_code THEN passed_in_minute END) OVER near AS least_before_a_failure,
        MAX(CASE WHEN NOT has_failed THEN asked_ms END) OVER near AS last_pass_ms,
        COUNT(CASE WHEN has_failed_without_code THEN 1 END) OVER near AS failed_near,
        COUNT(CASE WHEN NOT has_failed THEN 1 END) OVER near AS passed_near
    FROM counted
    WINDOW near AS (
        PARTITION BY endpoint, model ORDER BY asked_ms RANGE BETWEEN 600000 PRECEDING AND 600000 FOLLOWING)
),
fitting AS (
    SELECT
        session_id,
        endpoint,
        model,
        MIN(least_before_a_failure) AS quota_per_minute,
        BOOL_OR(last_pass_ms > asked_ms) AS passes_again,
        BOOL_AND(least_before_a_failure >= 1 AND most_before_a_pass < least_before_a_failure)
            -- One last turn that failed may have any cause.
            AND (BOOL_OR(last_pass_ms > asked_ms) OR COUNT(*) > 1) AS fits,
        -- One order in so many has the failures where they would have to be.
        MAX(EXP(LGAMMA(failed_near + 1) + LGAMMA(passed_near + 1) - LGAMMA(failed_near + passed_near + 1))) AS by_chance
    FROM compared
    WHERE has_failed_without_code
    GROUP BY session_id, endpoint, model
),
together AS (
    SELECT
        endpoint,
        model,
        COUNT(*) AS sessions,
        COUNT(CASE WHEN fits THEN 1 END) / COUNT(*) AS share,
        LEAST(AVG(by_chance), 0.999) AS expected
    FROM fitting
    GROUP BY endpoint, model
)
SELECT
    f.session_id,                                                       -- session that went over the quota
    f.model,                                                            -- of this transcription model
    f.quota_per_minute,                                                 -- transcriptions that passed in a minute
    f.passes_again,                                                     -- once the minute was over
    -- Chernoff's bound of so many sessions that fit.
    EXP(-t.sessions * (
        t.share * LN(t.share / t.expected)
        + CASE WHEN t.share < 1 THEN (1 - t.share) * LN((1 - t.share) / (1 - t.expected)) ELSE 0 END
    )) AS by_chance                                                     -- how probable that is without a quota
FROM fitting AS f
INNER JOIN together AS t ON t.endpoint = f.endpoint AND t.model IS NOT DISTINCT FROM f.model
WHERE f.fits AND t.share > t.expected;

-- A deployment's name is expected: on Azure, every catalogue id failed and none ever worked.
CREATE OR REPLACE TEMP TABLE _unnamed_deployments AS
WITH azure AS (
    SELECT DISTINCT h.endpoint
    FROM _hearing AS h
    INNER JOIN sessions AS s ON s.session_id = h.session_id
    WHERE s.provider = 'azure'
        OR map_contains(s.response_headers, 'apim-request-id')
        OR map_contains(s.response_headers, 'x-ms-region')
)
SELECT
    t.endpoint,                                                                             -- host, port and region
    COUNT(CASE WHEN t.is_catalogue_id THEN 1 END) AS failed_catalogue_ids,                  -- all that were tried
    COUNT(CASE WHEN NOT t.is_catalogue_id AND t.completed > 0 THEN 1 END) AS working_names  -- deployments that work
FROM _transcribers AS t
INNER JOIN azure AS z ON z.endpoint = t.endpoint
WHERE t.model IS NOT NULL
GROUP BY t.endpoint
HAVING COUNT(CASE WHEN t.is_catalogue_id AND t.failed = t.attempts THEN 1 END) >= 2
    AND COUNT(CASE WHEN t.is_catalogue_id AND t.failed < t.attempts THEN 1 END) = 0
    -- A name of its own that fails in the same way refutes it.
    AND COUNT(CASE WHEN NOT t.is_catalogue_id AND t.failed > 0 AND t.completed = 0 THEN 1 END) = 0;

-- One row a session in which transcriptions failed with server_error and no code: the one cause that fits.
CREATE OR REPLACE TEMP TABLE _untranscribed AS
SELECT
    h.session_id,                                       -- its session
    h.endpoint,                                         -- host, port and region
    h.model,                                            -- transcription model that failed
    h.attempts,                                         -- its transcriptions that ended
    h.failed AS failed_transcriptions,                  -- of these, failed without a code
    h.completed AS completed_transcriptions,            -- of these, completed
    (SELECT SUM(x.attempts) FROM _hearing AS x WHERE x.session_id = h.session_id) - h.attempts
        AS by_other_models,                             -- transcriptions of the session by other models
    h.failed_seqs,                                      -- the failed ones
    h.first_at,                                         -- first failure, UTC
    h.last_at,                                          -- last failure, UTC
    keys_like(s.failure_keys, 'conversation.item.input_audio_transcription.failed|server_error||%')
        AS explains,                                    -- the failure keys that are these failures
    CASE
        WHEN q.session_id IS NOT NULL THEN 'quota'
        WHEN h.failed < h.attempts THEN NULL
        WHEN o.session_id IS NOT NULL THEN 'outage'
        WHEN is_catalogue_id(h.model) AND d.endpoint IS NOT NULL THEN 'deployment name'
        -- With the answers failing too, it is more than the path to one model.
        WHEN len(keys_like(s.failure_keys, 'response.done|%')) = 0 THEN 'model path'
    END AS cause                                        -- quota, outage, deployment name, model path; NULL: none fits
FROM _hearing AS h
INNER JOIN sessions AS s ON s.session_id = h.session_id
LEFT JOIN _quotas AS q
    ON q.session_id = h.session_id AND q.model IS NOT DISTINCT FROM h.model AND q.by_chance <= 0.2
LEFT JOIN _outages AS o ON o.session_id = h.session_id AND o.model IS NOT DISTINCT FROM h.model
LEFT JOIN _unnamed_deployments AS d ON d.endpoint = h.endpoint
WHERE h.failed > 0
-- Where several models failed in a session, the one that is best accounted for.
QUALIFY ROW_NUMBER() OVER (PARTITION BY h.session_id ORDER BY cause NULLS LAST, h.failed DESC, h.model) = 1;
