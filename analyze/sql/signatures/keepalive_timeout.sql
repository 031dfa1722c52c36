-- name: keepalive_timeout
-- group: connection
-- happened: One side closed with 1011 because its keepalive ping was not answered in time. Who sent that frame decides:
--   a client that sent it heard no pong, an endpoint that sent it heard none from the client.
-- confidence: certain
-- causes: sent by the client: its own event loop stalled, or the network between the two; received from the endpoint: the
--   client's loop stalled and did not answer pings
-- refuted by: A replay, whose client does not stall, ends in the same way.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: FunASR#3533; livekit#1128
SELECT
    s.session_id,
    CASE WHEN s.close_reason ILIKE '%keepalive ping timeout%' THEN 'certain' ELSE 'likely' END AS confidence,
    first_seqs([c.seq]) AS evidence,
    COALESCE(c.at_utc, s.ended_at) AS first_at,
    COALESCE(c.at_utc, s.ended_at) AS last_at,
    MAP {
        'sent_by_client': CAST(s.closed_by = 'client' AS INTEGER),
        'received_from_endpoint': CAST(s.closed_by = 'server' AS INTEGER),
        'age_s': s.duration_ms / 1000,
        'relay_lag_max_us': s.relay_lag_max_us,
        'backpressure_client_ms': s.backpressure_client_ms,
        'backpressure_server_ms': s.backpressure_server_ms
    } AS numbers,
    keys_matching(s.failure_keys, '^close\|[a-z]*\|1011\||^absent:') AS explains
FROM sessions AS s
-- Other tools' logs tell the code without the frame.
LEFT JOIN _closes AS c ON c.session_id = s.session_id AND c.sender = s.closed_by
WHERE s.close_code = 1011
    AND s.closed_by IN ('client', 'server')
    AND (s.close_reason ILIKE '%keepalive%' OR s.close_reason ILIKE '%ping timeout%');
