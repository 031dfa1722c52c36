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
    SELECT session_id, started_at, complete, audio_out_ms, backpressure_client_ms, relay_lag_max_us,
        UNNEST(playback_underruns) AS wait
    FROM sessions
    WHERE len(playback_underruns) > 0
),
pieces AS (
    SELECT session_id, SUM(audio_messages) AS messages FROM _answer_audio GROUP BY session_id
)
SELECT
    w.session_id,
    -- Audio that was lost was played, and what the recorder held up came late here only.
    CASE
        WHEN BOOL_OR(w.complete IS FALSE OR w.wait.wait_ms * 1000 <= w.relay_lag_max_us) THEN 'possible' ELSE 'likely'
    END AS confidence,
    first_seqs(LIST(w.wait.seq)) AS evidence,
    MIN(w.started_at + to_microseconds(w.wait.offset_ns // 1000)) AS first_at,
    MAX(w.started_at + to_microseconds(w.wait.offset_ns // 1000)) AS last_at,
    MAP {'waits': COUNT(*), 'longest_wait_ms': MAX(w.wait.wait_ms)} AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM waits AS w
LEFT JOIN pieces AS p ON p.session_id = w.session_id
WHERE w.wait.wait_ms >= 1000
    -- A client that reads slowly holds the endpoint up itself.
    AND w.wait.wait_ms > COALESCE(w.backpressure_client_ms, 0)
    -- Logs whose audio was cut to a few bytes a message have no audio to play.
    AND w.audio_out_ms >= 5.0 * COALESCE(p.messages, 0)
GROUP BY w.session_id;
