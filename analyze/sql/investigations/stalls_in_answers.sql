-- Stalls in answers: pauses between two pieces of audio longer than what a listener still had to hear
-- `silence_ms` is how long the listener heard nothing: the pause beyond all audio that had come by then. What follows
-- a stall plays that much later, so that each is told once. Between two items of an answer it may think, or wait for an MCP
-- server: each begins anew. Where the recording lacks some of what the endpoint sent
-- (lost, or outside the windows that were kept) nobody can tell: there an answer begins anew.
WITH blocks AS (
    SELECT session_id, start_byte, duration_ms / bytes AS ms_per_byte
    FROM audio
    WHERE track = 'server' AND bytes > 0
),
pieces AS (
    SELECT
        e.session_id,
        e.response_id,
        COALESCE(e.item_id, e.response_id) AS item,
        e.seq,
        e.offset_ms,
        e.audio_bytes * b.ms_per_byte AS audio_ms,
        LEN(LIST_FILTER(s.gaps, LAMBDA gap: gap.sender IS DISTINCT FROM 'client' AND gap.to_ns <= e.offset_ns))
            AS gaps_before
    FROM events AS e
    JOIN sessions AS s USING (session_id)
    ASOF JOIN blocks AS b ON b.session_id = e.session_id AND e.audio_start >= b.start_byte
    WHERE e.audio_track = 'server' AND e.sender = 'server'
),
-- How late a piece is, held against an answer that plays from time 0 on without a pause.
late AS (
    SELECT
        *,
        offset_ms - LAG(offset_ms) OVER answer AS pause_ms,
        offset_ms + audio_ms - SUM(audio_ms) OVER answer AS late_ms
    FROM pieces
    WINDOW answer AS (PARTITION BY session_id, item, gaps_before ORDER BY seq)
),
-- The latest piece before holds up all that follow: only what is later still is heard as silence.
heard AS (
    SELECT
        *,
        late_ms - MAX(late_ms) OVER (PARTITION BY session_id, item, gaps_before ORDER BY seq
                                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS silence_ms
    FROM late
)
SELECT
    h.session_id,
    h.response_id,
    h.seq,
    ROUND(h.offset_ms, 1) AS offset_ms,
    ROUND(h.pause_ms, 1) AS pause_ms,
    ROUND(h.silence_ms, 1) AS silence_ms,
    s.target,
    s.region,
    s.model
FROM heard AS h
JOIN sessions AS s USING (session_id)
WHERE h.silence_ms > 40
ORDER BY h.silence_ms DESC, h.session_id, h.seq
LIMIT 500
