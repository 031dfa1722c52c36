-- name: commit_empty
-- group: turn taking
-- happened: The client committed a turn with less than 100 ms of audio in the buffer; no turn was made of it. Where turn
--   detection commits by itself this is no fault and is not named.
-- confidence: certain
-- causes: the client commits before it has sent audio, or twice; the audio was empty or not decodable
-- refuted by: A replay of the same messages is not refused.
-- replay: wiretape replay run {session} --to {target} --trials 3
-- sources: openai-agents-js#748
WITH empty AS (
    SELECT * FROM _errors
    WHERE error_code = 'input_audio_buffer_commit_empty' OR error_message LIKE '%buffer too small%'
)
SELECT
    e.session_id,
    'certain' AS confidence,
    first_seqs(LIST(e.seq)) AS evidence,
    MIN(e.at_utc) AS first_at,
    MAX(e.at_utc) AS last_at,
    MAP {'empty_commits': COUNT(*), 'audio_sent_ms': ANY_VALUE(s.audio_in_ms)} AS numbers,
    keys_matching(ANY_VALUE(s.failure_keys), '^error\|.*(input_audio_buffer_commit_empty|buffer too small)') AS explains
FROM empty AS e
INNER JOIN sessions AS s ON s.session_id = e.session_id
WHERE len(keys_matching(s.failure_keys, '^error\|.*(input_audio_buffer_commit_empty|buffer too small)')) > 0
GROUP BY e.session_id;
