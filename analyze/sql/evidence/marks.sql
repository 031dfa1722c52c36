-- Marks: the events that are no pieces of a stream (no append, no delta), close frames, and bodies of plain HTTP
-- exchanges. Nine in ten events are pieces; signatures read what is left here, and no file.

CREATE OR REPLACE TEMP TABLE _marks AS
SELECT
    session_id,         -- its session
    seq,                -- place in the session
    offset_ms,          -- milliseconds from the session's start
    e.at AS at_utc,     -- UTC
    sender,             -- client or server
    kind,               -- event, close or http
    http_method,        -- of the client's body
    type,               -- event type as the dialect names it; NULL for close and http
    item_id,            -- conversation item it speaks of
    response_id,        -- response it belongs to
    call_id,            -- tool call it belongs to
    content_index,      -- content part of the item
    error_type,         -- of an error, a failed transcription or a failed response
    error_code,         -- the same; NULL where the endpoint gave none
    error_message,      -- the same
    error_param,        -- the same
    -- To come back for some of the payloads would open every file once more.
    CASE WHEN kind = 'http' OR type IN (
        'conversation.item.input_audio_transcription.completed',
        'response.audio_transcript.done',
        'response.create',
        'response.created',
        'response.done',
        'response.output_audio_transcript.done',
        'response.output_text.done',
        'response.text.done'
    ) THEN payload END AS payload,  -- the text, of those whose words are evidence
    CASE WHEN sender = 'client' AND type IN ('session.update', 'transcription_session.update') THEN COALESCE(
        get_json_object(payload, '$.session.audio.input.transcription.model'),
        get_json_object(payload, '$.session.input_audio_transcription.model')
    ) END AS transcription_model    -- asked for by an update of the session; NULL: it names none
FROM events AS e
-- Of one column alone: a condition on two is tried row by row, which takes twice as long.
WHERE (type NOT LIKE '%.delta' AND type NOT LIKE '%.append') OR type IS NULL;

DELETE FROM _marks WHERE type IS NULL AND kind NOT IN ('close', 'http');
