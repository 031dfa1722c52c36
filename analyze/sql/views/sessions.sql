-- Sessions: one row a WebSocket connection, as its recording was sealed, with what was said of it later.

-- The rows are loaded when the root is opened; events of a session without a row here are not shown.
CREATE OR REPLACE VIEW sessions AS
SELECT
    session_id,                     -- UTC time and random, sortable
    date,                           -- UTC day of the recording: the folder it lies in
    format_version,                 -- version of the recording format
    tool_version,                   -- version of the recorder
    recorder_id,                    -- process that recorded it
    role,                           -- captured, replayed or imported
    kept,                           -- whole or window
    CAST(started_at AS TIMESTAMP) AS started_at,    -- UTC
    CAST(ended_at AS TIMESTAMP) AS ended_at,        -- UTC
    duration_ms,                    -- from start to end
    target,                         -- name of the target, or its redacted URL
    provider,                       -- azure, openai, simulator or other
    region,                         -- region of the endpoint, where known
    host,                           -- host of the endpoint
    remote_ip,                      -- address that was connected to
    url,                            -- URL asked of the endpoint, redacted
    dialect,                        -- ga, beta or other
    model,                          -- model or deployment asked for
    model_echoed,                   -- model that the endpoint named
    transcription_model,            -- transcription model or deployment asked for
    transcription_model_echoed,     -- transcription model that the endpoint named
    voice,                          -- voice of the answers
    turn_detection,                 -- kind of turn detection; none: turns are committed by the client
    input_format,                   -- format of the sent audio
    output_format,                  -- format of the received audio
    server_session_id,              -- the endpoint's own id: sess_…
    conversation_key,               -- same for the sockets of one call
    request_ids,                    -- request ids of the handshake, by header name
    handshake_status,               -- HTTP status of the upgrade; 101 opens the WebSocket
    request_headers,                -- headers sent, redacted
    response_headers,               -- headers of the handshake's answer
    user_agent,                     -- client library
    close_code,                     -- WebSocket close code
    close_reason,                   -- WebSocket close reason
    closed_by,                      -- client, server, network or recorder
    end_reason,                     -- why the recording ended
    run_id,                         -- run of replay that made this session
    replay_of,                      -- session that was replayed
    minimized_from,                 -- session that was made smaller
    cell,                           -- target and variation of the run
    block,                          -- block of the experiment
    trial,                          -- number of the trial in its cell
    trial_kind,                     -- baseline, variation or control
    trial_outcome,                  -- failed, ok, failed_otherwise, throttled or not_run
    overrides,                      -- JSON: configuration path -> value put in its place
    CASE
        WHEN tags_named IS NULL THEN tags
        ELSE MAP_FROM_ENTRIES(LIST_CONCAT(
            LIST_FILTER(MAP_ENTRIES(tags), LAMBDA tag: NOT LIST_CONTAINS(tags_named, tag.key)),
            tags_given
        ))
    END AS tags,                    -- tags given when it was recorded, and later ones
    notes,                          -- notes given later, in the order they were given
    events_sent,                    -- messages of the client
    events_received,                -- messages of the endpoint
    turns,                          -- user turns
    audio_in_ms,                    -- audio sent
    audio_out_ms,                   -- audio received
    input_tokens,                   -- sum over the responses
    output_tokens,                  -- sum over the responses
    errors,                         -- failures seen, repeats included
    first_error,                    -- the first failure, unmasked
    failure_keys,                   -- what failed: event type|error type|error code|masked message
    outcome,                        -- failed, ok or incomplete
    complete,                       -- nothing was lost
    gaps,                           -- what was lost, where
    lost_bytes,                     -- bytes that were forwarded but not recorded
    undecodable_bytes,              -- bytes that are no WebSocket frame
    relay_lag_p50_us,               -- from bytes readable to handed on
    relay_lag_p99_us,               -- the same, 99th percentile
    relay_lag_max_us,               -- the same, worst
    backpressure_client_ms,         -- time spent waiting for a slow client
    backpressure_server_ms,         -- time spent waiting for a slow endpoint
    buffer_high_water,              -- most bytes that waited for the disk
    pacing_p50_us,                  -- deviation of a replay's sends from their due time
    pacing_p99_us,                  -- the same, 99th percentile
    drift_us,                       -- deviation of a replay's last send
    pacing_ratio,                   -- audio sent for each ms that passed while sending; 1: live
    longest_append_gap_ms,          -- how late the latest append came while speaking
    audio_missing_ms,               -- audio that gaps left out while speaking
    playback_underruns,             -- waits inside an answer: the late message, when, how long; NULL: not measured
    quiet_commits,                  -- commits of nothing but silence; NULL: not measured
    CAST(expires_at AS TIMESTAMP) AS expires_at,    -- UTC; when the endpoint means to end the session
    not_honoured,                   -- settings echoed otherwise than asked, by their GA paths
    turn_latencies,                 -- what each turn took; NULL: not measured, latencies takes the events then
    clock_shift_p50_ms,             -- how much later a replay's caller spoke, as answers were over later; median
    clock_shift_max_ms              -- the same, furthest from zero
FROM _annotated_sessions;
