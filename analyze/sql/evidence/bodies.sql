-- Bodies: what was sent and what came back in plain HTTP exchanges and refused upgrades. Few: a root has hardly any.

CREATE OR REPLACE TEMP TABLE _bodies AS
SELECT
    session_id,         -- its session
    seq,                -- place in the session
    at_utc,             -- UTC
    sender,             -- client or server
    http_method,        -- of the client's body
    payload,            -- the text
    error_type,         -- of an answer that is an error
    error_code,         -- the same
    error_message       -- the same
FROM _marks
WHERE kind = 'http';
