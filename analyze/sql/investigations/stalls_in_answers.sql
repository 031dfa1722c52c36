-- Stalls in answers: pauses between two pieces of audio longer than what a listener still had to hear
-- `silence_ms` is how long the listener heard nothing: the pause beyond all audio that had come by then.
WITH pieces AS (
    SELECT
        e.session_id,
        e.response_id,
        e.seq,
        e.offset_ms,
        e.audio_bytes * t.duration_ms / t.bytes AS audio_ms
    FROM events AS e
    JOIN tracks AS t ON t.session_id = e.session_id AND t.track = 'server'
    WHERE e.audio_track = 'server' AND e.sender = 'server' AND t.bytes > 0
),
heard AS (
    SELECT
        *,
        offset_ms - LAG(offset_ms) OVER answer AS pause_ms,
        MIN(offset_ms) OVER answer
        + SUM(audio_ms) OVER (PARTITION BY session_id, response_id ORDER BY seq
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS played_until_ms
    FROM pieces
    WINDOW answer AS (PARTITION BY session_id, response_id ORDER BY seq)
)
SELECT
    h.session_id,
    h.response_id,
    h.seq,
    ROUND(h.offset_ms, 1) AS offset_ms,
    ROUND(h.pause_ms, 1) AS pause_ms,
    ROUND(h.offset_ms - h.played_until_ms, 1) AS silence_ms,
    s.target,
    s.region,
    s.model
FROM heard AS h
JOIN sessions AS s USING (session_id)
WHERE h.offset_ms - h.played_until_ms > 40
ORDER BY silence_ms DESC, h.session_id, h.seq
LIMIT 500
