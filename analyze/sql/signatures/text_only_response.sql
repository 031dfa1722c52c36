-- name: text_only_response
-- group: response
-- happened: Audio was asked for and the response completed with words and without a single byte of audio.
-- confidence: certain
-- causes: written assistant messages in the conversation make the model answer in writing; the endpoint lost the audio
-- refuted by: The same session is answered with audio.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: AVA-AI-Voice-Agent#73
SELECT
    a.session_id,
    'certain' AS confidence,
    first_seqs(LIST(a.done_seq)) AS evidence,
    MIN(a.done_at) AS first_at,
    MAX(a.done_at) AS last_at,
    MAP {
        'answers_without_audio': COUNT(*),
        'most_characters': MAX(a.transcript_characters + a.text_characters)
    } AS numbers,
    CAST([] AS VARCHAR[]) AS explains
FROM _answers AS a
INNER JOIN sessions AS s ON s.session_id = a.session_id
-- Beside a call over WebRTC or SIP, and with an avatar, the audio goes another way.
ANTI JOIN _marks AS w
    ON w.session_id = a.session_id AND (w.type LIKE 'output_audio_buffer.%' OR w.type LIKE 'session.avatar.%')
WHERE a.status = 'completed'
    AND a.asked_for_audio
    AND a.audio_bytes = 0
    AND a.transcript_characters + a.text_characters > 0
    AND COALESCE(s.url, '') NOT LIKE '%call_id=%'
    -- What was lost or left out may have been its audio.
    AND is_whole(s.complete, s.kept)
    -- Many tools log no audio at all.
    AND (s.role <> 'imported' OR s.audio_out_ms > 0 OR a.text_characters > 0)
GROUP BY a.session_id;
