-- Silences: one row a transcription of audio that is silence throughout, as sealing measured it.

CREATE OR REPLACE TEMP TABLE _silences AS
WITH quiet AS (
    SELECT session_id, UNNEST(quiet_commits) AS quiet
    FROM sessions
    WHERE len(quiet_commits) > 0
)
SELECT
    q.session_id,                                                               -- its session
    q.quiet.seq AS committed_seq,                                               -- the commit
    q.quiet.loudest_dbfs AS loudest_dbfs,                                       -- its loudest 20 ms
    e.seq,                                                                      -- the transcription
    e.at AS at_utc,                                                             -- the same, UTC
    LENGTH(TRIM(get_json_object(e.payload, '$.transcript'))) AS characters      -- length of its text
FROM quiet AS q
INNER JOIN events AS e ON e.session_id = q.session_id AND e.item_id = q.quiet.item_id
WHERE e.type = 'conversation.item.input_audio_transcription.completed';
