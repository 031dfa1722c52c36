-- name: audio_truncated_transcript_complete
-- group: response
-- happened: A response completed with audio that is far too short for its transcript: less than 30 ms a character, where
--   speech takes about 65.
-- confidence: likely
-- causes: the endpoint ended the audio early and completed the response all the same
-- refuted by: The answer's audio, listened to, says the whole transcript.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: aoai-realtime-audio-sdk#54
SELECT
    a.session_id,
    'likely' AS confidence,
    first_seqs(LIST(a.done_seq)) AS evidence,
    MIN(a.done_at) AS first_at,
    MAX(a.done_at) AS last_at,
    MAP {
        'cut_answers': COUNT(*),
        'shortest_ms_per_character': MIN(a.audio_ms / a.transcript_characters),
        'audio_ms': MIN_BY(a.audio_ms, a.audio_ms / a.transcript_characters),
        'transcript_characters': MIN_BY(a.transcript_characters, a.audio_ms / a.transcript_characters)
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _answers AS a
INNER JOIN sessions AS s ON s.session_id = a.session_id
WHERE a.status = 'completed'
    AND a.audio_bytes > 0
    AND a.transcript_characters >= 40
    AND a.audio_ms < 30 * a.transcript_characters
    -- Logs whose audio was cut to a few bytes a message have no audio to measure.
    AND a.audio_ms >= 5.0 * a.audio_messages
    -- What was lost or left out may have been the rest of its audio.
    AND is_whole(s.complete, s.kept)
GROUP BY a.session_id;
