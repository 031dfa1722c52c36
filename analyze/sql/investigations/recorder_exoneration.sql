-- Was it the recorder? What it lost and how long it held anything, the worst first
-- Zero lost bytes and a lag far below the failures' time scale clear it. NULL: imported, or not measured.
SELECT
    session_id,
    outcome,
    complete,
    lost_bytes,
    undecodable_bytes,
    LEN(gaps) AS gaps,
    ROUND(relay_lag_p50_us / 1000, 2) AS relay_lag_p50_ms,
    ROUND(relay_lag_p99_us / 1000, 2) AS relay_lag_p99_ms,
    ROUND(relay_lag_max_us / 1000, 2) AS relay_lag_max_ms,
    backpressure_client_ms,
    backpressure_server_ms,
    ROUND(pacing_p99_us / 1000, 2) AS replay_pacing_p99_ms,
    end_reason
FROM sessions
ORDER BY lost_bytes DESC NULLS LAST, undecodable_bytes DESC NULLS LAST, relay_lag_max_us DESC NULLS LAST, session_id
