-- Latencies: one row a turn and a name, for percentiles over many sessions.

CREATE OR REPLACE VIEW _latency_names AS
SELECT name FROM (VALUES ('commit'), ('first_audio'), ('transcription'), ('response')) AS names (name);

-- What sealing did not measure, in recordings of earlier versions, is taken from their events.
CREATE OR REPLACE VIEW _event_latencies AS
WITH
-- The same times as in turns, from the events, without a look at any text: percentiles are asked of millions of events.
response_times AS (
    SELECT session_id, response_id, MIN(audio_ms) AS first_audio_ms, MAX(done_ms) AS done_ms
    FROM (
        SELECT session_id, response_id, offset_ms AS audio_ms, NULL AS done_ms
        FROM events
        WHERE type = 'response.output_audio.delta'
        UNION ALL
        SELECT session_id, response_id, offset_ms AS audio_ms, NULL AS done_ms
        FROM events
        WHERE type = 'response.audio.delta'
        UNION ALL
        SELECT session_id, response_id, NULL AS audio_ms, offset_ms AS done_ms
        FROM events
        WHERE type = 'response.done'
    ) AS moments
    GROUP BY session_id, response_id
),
turn_times AS (
    SELECT
        p.session_id,
        p.turn,
        MAX(CASE WHEN p.opens THEN p.item_id END) AS item_id,
        MAX(CASE WHEN p.opens AND p.mark = 'committed' THEN p.offset_ms END) AS committed_ms,
        MAX(CASE
            WHEN p.opens AND p.mark = 'committed' THEN COALESCE(p.speech_stopped_ms, p.asked_ms, p.offset_ms)
            WHEN p.opens THEN p.offset_ms
        END) AS end_of_speech_ms,
        MIN(r.first_audio_ms) AS first_audio_ms,
        NULLIF(MAX_BY(COALESCE(r.done_ms, -1), CASE WHEN p.response_id IS NOT NULL THEN p.seq END), -1) AS done_ms
    FROM _turn_parts AS p
    LEFT JOIN response_times AS r
        ON p.mark = 'response' AND r.session_id = p.session_id AND r.response_id = p.response_id
    WHERE p.turn > 0
    GROUP BY p.session_id, p.turn
),
latency_spans AS (
    SELECT
        t.session_id,
        t.turn,
        n.name,
        CASE n.name
            WHEN 'commit' THEN t.committed_ms - t.end_of_speech_ms
            WHEN 'first_audio' THEN t.first_audio_ms - t.end_of_speech_ms
            WHEN 'transcription' THEN x.ended_ms - t.committed_ms
            WHEN 'response' THEN t.done_ms - t.end_of_speech_ms
        END AS latency_ms
    FROM turn_times AS t
    LEFT JOIN transcriptions AS x
        ON x.session_id = t.session_id AND x.item_id = t.item_id AND x.content_index = 0
    CROSS JOIN _latency_names AS n
)
SELECT session_id, turn, name, latency_ms
FROM latency_spans
WHERE session_id IN (SELECT session_id FROM _sessions WHERE turn_latencies IS NULL);

CREATE OR REPLACE VIEW _row_latencies AS
SELECT
    t.session_id,
    t.turn,
    n.name,
    CASE n.name
        WHEN 'commit' THEN t.took.commit_ms
        WHEN 'first_audio' THEN t.took.first_audio_ms
        WHEN 'transcription' THEN t.took.transcription_ms
        WHEN 'response' THEN t.took.response_ms
    END AS latency_ms
FROM _measured_turns AS t
CROSS JOIN _latency_names AS n;

-- The store adds _event_latencies where a session needs them: even over no session they would open every file.
CREATE OR REPLACE VIEW _latencies AS
SELECT session_id, turn, name, latency_ms FROM _row_latencies;

CREATE OR REPLACE VIEW latencies AS
SELECT
    session_id,     -- its session
    turn,           -- counts from 1
    name,           -- commit, first_audio and response count from the end of speech, transcription from the commit
    latency_ms      -- milliseconds
FROM _latencies
WHERE latency_ms IS NOT NULL;
