-- name: configuration_not_honoured
-- group: configuration
-- happened: session.updated echoed another setting than session.update asked for, and no error said so. Aliases of models,
--   deployment names and filled-in defaults are no difference.
-- confidence: likely
-- causes: the endpoint does not know the setting and drops it without a word; a gateway in between rewrites it; the model
--   does not have it, such as a voice
-- refuted by: A replay is echoed as it asked.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: asked, echoed, behaved: the session's own words
WITH compared AS (
    SELECT
        session_id,
        list_filter(
            COALESCE(not_honoured, []),
            -- On Azure the field holds a deployment's name; what is echoed may be the model behind it.
            lambda path: path <> 'audio.input.transcription' OR provider <> 'azure' OR transcription_model_echoed IS NULL
        ) AS paths,
        -- Elsewhere names of deployments and of a gateway's own stand for models.
        provider = 'openai' AND NOT starts_with(model_echoed, model) AND NOT starts_with(model, model_echoed) AS has_other_model
    FROM sessions
    -- An update that was lost is answered all the same.
    WHERE complete IS NOT FALSE
),
differing AS (
    SELECT session_id, CASE WHEN has_other_model THEN list_append(paths, 'model') ELSE paths END AS paths
    FROM compared
),
told AS (
    SELECT
        session_id,
        MAX(CASE WHEN type LIKE '%session.update' AND sender = 'client' THEN seq END) AS asked_seq,
        MAX(CASE WHEN type LIKE '%session.update' AND sender = 'client' THEN at_utc END) AS asked_at,
        MAX(CASE WHEN type LIKE '%session.updated' OR type = 'session.created' THEN seq END) AS echoed_seq,
        MAX(CASE WHEN type LIKE '%session.updated' OR type = 'session.created' THEN at_utc END) AS echoed_at
    FROM _marks
    WHERE session_id IN (SELECT session_id FROM differing WHERE len(paths) > 0)
    GROUP BY session_id
)
SELECT
    d.session_id,
    'likely' AS confidence,
    first_seqs([t.asked_seq, t.echoed_seq]) AS evidence,
    COALESCE(t.asked_at, t.echoed_at) AS first_at,
    t.echoed_at AS last_at,
    map_from_entries(list_distinct([(replace(path, '.', '_') || '_differs', 1.0) FOR path IN d.paths])) AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM differing AS d
INNER JOIN told AS t ON t.session_id = d.session_id
WHERE len(d.paths) > 0;
