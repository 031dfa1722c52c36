-- Configuration drift: what the client asked for and the endpoint last echoed differently
-- The last session.update that names an option against the last session.updated; NULL: not in the echo. Tools and
-- instructions are compared by what they hold.
WITH named AS (
    SELECT e.session_id, e.seq, e.sender, j.fullkey AS path, j.atom AS told
    -- A lone surrogate is JSON for clients and none for DuckDB: such a message is passed over.
    FROM events AS e, json_tree(CASE WHEN json_valid(e.payload) THEN e.payload END, '$.session') AS j
    WHERE e.kind = 'event' AND NOT e.redacted AND j.atom IS NOT NULL
      AND e.type IN ('session.update', 'session.updated')
),
asked AS (
    SELECT session_id, path, MAX_BY(told, seq) AS asked FROM named WHERE sender = 'client' GROUP BY ALL
),
echoes AS (
    SELECT session_id, MAX(seq) AS seq FROM named WHERE sender = 'server' GROUP BY ALL
),
echoed AS (
    SELECT n.session_id, n.path, n.told AS echoed FROM named AS n JOIN echoes USING (session_id, seq)
)
SELECT
    a.session_id,
    SUBSTR(a.path, 3) AS path,
    CAST(a.asked AS VARCHAR) AS asked,
    CAST(e.echoed AS VARCHAR) AS echoed,
    s.target,
    s.region,
    s.model
FROM asked AS a
JOIN echoes USING (session_id)
JOIN sessions AS s USING (session_id)
LEFT JOIN echoed AS e ON e.session_id = a.session_id AND e.path = a.path
WHERE CAST(e.echoed AS VARCHAR) IS DISTINCT FROM CAST(a.asked AS VARCHAR)
ORDER BY a.path, a.session_id
