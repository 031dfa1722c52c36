-- name: audio_starvation_midresponse
-- group: response
-- happened: Inside an answer the next audio came so late that a listener heard a second and more of nothing; no error was
--   told.
-- confidence: likely
-- causes: the endpoint makes audio slower than it plays; the network between the endpoint and the recorder stalls
-- refuted by: The same session has the same waits at another region: then it is this side's network.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: Microsoft Q&A 5933830
WITH waits AS (
    SELECT session_id, started_at, backpressure_client_ms, UNNEST(playback_underruns) AS wait
    FROM sessions
    WHERE len(playback_underruns) > 0
)
SELECT
    session_id,
    'likely' AS confidence,
    first_seqs(LIST(wait.seq)) AS evidence,
    MIN(started_at + to_microseconds(wait.offset_ns // 1000)) AS first_at,
    MAX(started_at + to_microseconds(wait.offset_ns // 1000)) AS last_at,
    MAP {'waits': COUNT(*), 'longest_wait_ms': MAX(wait.wait_ms)} AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM waits
WHERE wait.wait_ms >= 1000
    -- A client that reads slowly holds the endpoint up itself.
    AND wait.wait_ms > COALESCE(backpressure_client_ms, 0)
GROUP BY session_id;
