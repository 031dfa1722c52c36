-- Events: one row a WebSocket message or control frame, in the order of (session_id, seq).
-- `_events` holds the events of committed sessions only: sealing writes the sessions row last.

CREATE OR REPLACE VIEW events AS
SELECT
    session_id,                         -- its session
    date,                               -- UTC day of the recording
    seq,                                -- counts a session's messages of both senders
    offset_ns,                          -- from the session's start to the message's last byte; below 0: order only
    CASE WHEN offset_ns >= 0 THEN offset_ns / 1e6 END
        AS offset_ms,                   -- the same in milliseconds; NULL: an imported session without times
    CAST(e.at AS TIMESTAMP) AS at,      -- UTC, NULL: not known; a word of the grammar: write e.at, or "at"
    sender,                             -- client or server
    kind,                               -- event, text, binary, ping, pong, close, raw or http
    http_method,                        -- of a plain exchange
    type,                               -- event type as the dialect names it
    event_id,                           -- id of the event itself
    item_id,                            -- conversation item it speaks of
    previous_item_id,                   -- item before that one
    response_id,                        -- response it belongs to
    call_id,                            -- tool call it belongs to
    content_index,                      -- content part of the item
    output_index,                       -- item of the response
    error_type,                         -- of an error, a failed transcription or a failed response
    error_code,                         -- the same; NULL where the endpoint gave none
    error_message,                      -- the same
    error_param,                        -- the same
    payload,                            -- the text, audio cut out
    payload_bytes,                      -- content that is no UTF-8 text; payload is then NULL
    audio_at,                           -- where the audio was cut out, Unicode characters into payload
    audio_track,                        -- client, server or other
    audio_start,                        -- first byte of the audio in its track
    audio_bytes,                        -- bytes of audio
    wire_bytes,                         -- frames with headers, as compressed
    pinned,                             -- kept by a window
    redacted                            -- a secret was taken out of it
FROM _events AS e;
