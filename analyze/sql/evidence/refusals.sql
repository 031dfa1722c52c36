-- Refusals: one row an upgrade to a WebSocket that was answered with another status than 101.

CREATE OR REPLACE TEMP TABLE _refusals AS
WITH bodies AS (
    SELECT session_id, LIST(seq ORDER BY seq) AS seqs, MAX(payload) AS payload
    FROM _bodies
    WHERE sender = 'server'
    GROUP BY session_id
),
refused AS (
    SELECT
        s.session_id,
        s.started_at,
        s.ended_at,
        s.handshake_status,
        s.failure_keys,
        COALESCE(s.url, '') AS url,
        -- Other tools' logs may lack the header, as of HTTP/2, and hold no plain exchange.
        s.request_headers['upgrade'] IS NOT NULL OR s.role = 'imported' AS is_upgrade,
        s.request_headers['openai-beta'] AS beta_header,
        CONCAT_WS('|', s.first_error, b.payload) AS said,
        COALESCE(b.seqs, []) AS seqs
    FROM sessions AS s
    LEFT JOIN bodies AS b ON b.session_id = s.session_id
    WHERE s.handshake_status <> 101 AND len(keys_like(s.failure_keys, 'handshake|%')) > 0
)
SELECT
    session_id,                     -- its session
    started_at,                     -- UTC
    ended_at,                       -- UTC
    handshake_status,               -- HTTP status
    failure_keys,                   -- as in sessions
    seqs,                           -- the answer's body; [] where it had none
    CASE
        WHEN said LIKE '%beta_api_shape_disabled%' THEN 'beta api'
        -- The endpoint spells it so.
        WHEN handshake_status = 400 AND said LIKE '%OpperationNotSupported%' THEN 'session type'
        -- The GA path with what belongs to the preview's, or the preview's path without it.
        WHEN handshake_status IN (400, 401, 404) AND (
            regexp_matches(url, '/v1/realtime/?\?(.*&)?api-version=')
            OR (beta_header IS NOT NULL AND regexp_matches(url, '/v1/realtime'))
            OR (regexp_matches(url, '/openai/realtime') AND NOT regexp_matches(url, '[?&]api-version='))
        ) THEN 'dialect'
    END AS about                    -- NULL: something else
FROM refused
-- Plain exchanges, such as those that mint tokens or ask whether a proxy is there, are no upgrades.
WHERE is_upgrade;
