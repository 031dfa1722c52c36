-- name: transcription_terminal_missing
-- group: transcription
-- happened: Speech was taken in and transcription was configured, and it neither completed nor failed in the five
--   seconds and more that the session went on.
-- confidence: certain
-- causes: the endpoint lost the transcription; the transcription model is slow; the item was dropped
-- refuted by: The same session gets its transcription when it waits longer.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: OpenAI community 1068762
SELECT
    c.session_id,
    -- Some models are slow.
    CASE WHEN MAX(s.duration_ms - c.offset_ms) >= 15000 THEN 'certain' ELSE 'likely' END AS confidence,
    first_seqs(LIST(c.seq)) AS evidence,
    MIN(c.at_utc) AS first_at,
    MAX(c.at_utc) AS last_at,
    MAP {
        'missing_transcriptions': COUNT(*),
        'waited_s': (MIN(s.duration_ms) - MAX(c.offset_ms)) / 1000
    } AS numbers,
    keys_like(MIN(s.failure_keys), 'absent:conversation.item.input_audio_transcription.completed') AS explains
FROM _commits AS c
INNER JOIN sessions AS s ON s.session_id = c.session_id
ANTI JOIN _heard AS h ON h.session_id = c.session_id AND h.item_id = c.item_id
ANTI JOIN _marks AS d
    ON d.session_id = c.session_id AND d.item_id = c.item_id
    -- Of silence there may be nothing to transcribe.
    AND d.type IN ('conversation.item.deleted', 'input_audio_buffer.timeout_triggered')
WHERE list_contains(s.failure_keys, 'absent:conversation.item.input_audio_transcription.completed')
    AND c.item_id IS NOT NULL
    -- A connection that broke off a moment later explains it by itself.
    AND c.offset_ms <= s.duration_ms - 5000
GROUP BY c.session_id;
