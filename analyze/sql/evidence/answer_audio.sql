-- Answer audio: one row a response of which audio came, from its deltas, which the marks leave out.

CREATE OR REPLACE TEMP TABLE _answer_audio AS
SELECT
    session_id,                         -- its session
    response_id,                        -- id of the response
    MIN(seq) AS first_audio_seq,        -- first audio delta
    MAX(seq) AS last_audio_seq,         -- last audio delta
    MIN(offset_ms) AS first_audio_ms,   -- of the first, milliseconds from the session's start
    MAX(offset_ms) AS last_audio_ms,    -- the same of the last
    SUM(audio_bytes) AS audio_bytes,    -- audio that came
    COUNT(*) AS audio_messages          -- in how many pieces
FROM events
WHERE audio_track = 'server' AND response_id IS NOT NULL
GROUP BY session_id, response_id;
