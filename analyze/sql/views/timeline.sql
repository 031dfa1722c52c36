-- Timeline: a session's events, with the pieces of audio between two other events already joined. Nine in ten events
-- of a call are such pieces; who shows a timeline need not take each of them in hand.

-- Apart, so that a session without audio is read as it is. Pieces with nothing between them have the same gap.
CREATE OR REPLACE VIEW _audio_pieces AS
SELECT
    *,
    seq - ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY seq) AS gap
FROM events
WHERE audio_track IS NOT NULL AND (type LIKE '%.append' OR type LIKE '%.delta');

CREATE OR REPLACE VIEW timeline AS
SELECT
    session_id,                                     -- its session
    MIN(seq) AS seq,                                -- first event of the row
    MAX(seq) AS last_seq,                           -- last event of the row
    COUNT(*) AS events,                             -- events joined
    MIN(offset_ms) AS offset_ms,                    -- when the first one came
    sender,                                         -- client or server
    kind,                                           -- as in events
    type,                                           -- as in events
    item_id,                                        -- as in events
    response_id,                                    -- as in events
    MAX(error_type) AS error_type,                  -- as in events
    MAX(error_code) AS error_code,                  -- as in events
    MAX(error_message) AS error_message,            -- as in events
    NULL AS payload,                                -- as in events; NULL for pieces of audio
    NULL AS payload_bytes,                          -- as in events
    audio_track,                                    -- as in events
    MIN(audio_start) AS audio_start,                -- first byte of the audio in its track
    SUM(audio_bytes) AS audio_bytes,                -- bytes of audio
    SUM(wire_bytes) AS wire_bytes                   -- frames with headers, as compressed
FROM _audio_pieces
GROUP BY session_id, gap, sender, kind, type, item_id, response_id, audio_track
UNION ALL
SELECT
    session_id,
    seq,
    seq AS last_seq,
    1 AS events,
    offset_ms,
    sender,
    kind,
    type,
    item_id,
    response_id,
    error_type,
    error_code,
    error_message,
    payload,
    payload_bytes,
    audio_track,
    audio_start,
    audio_bytes,
    wire_bytes
FROM events
WHERE audio_track IS NULL OR NOT (COALESCE(type, '') LIKE '%.append' OR COALESCE(type, '') LIKE '%.delta');
