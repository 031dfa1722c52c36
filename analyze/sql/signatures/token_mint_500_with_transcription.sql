-- name: token_mint_500_with_transcription
-- group: transcription
-- happened: The request for a client secret with a transcription block was answered with an HTTP error of the server;
--   no WebSocket was opened with it.
-- confidence: likely
-- causes: the endpoint that mints client secrets fails on the transcription block in this region
-- refuted by: The same request fails without the transcription block too.
-- replay: wiretape capture call --to {target} --audio KNOWN_GOOD.wav --transcription TRANSCRIPTION_MODEL
-- sources: Microsoft Q&A 5908916
WITH asked AS (
    SELECT session_id, MIN(seq) AS seq, MIN(at_utc) AS at_utc
    FROM _bodies
    WHERE sender = 'client' AND (payload LIKE '%"transcription"%' OR payload LIKE '%"input_audio_transcription"%')
    GROUP BY session_id
)
SELECT
    s.session_id,
    'likely' AS confidence,
    first_seqs(list_concat([a.seq], (SELECT LIST(b.seq) FROM _bodies AS b
        WHERE b.session_id = s.session_id AND b.sender = 'server'))) AS evidence,
    a.at_utc AS first_at,
    s.ended_at AS last_at,
    MAP {'http_status': s.handshake_status} AS numbers,
    keys_like(s.failure_keys, 'handshake|%|' || s.handshake_status || '|%') AS explains
FROM sessions AS s
INNER JOIN asked AS a ON a.session_id = s.session_id
WHERE s.handshake_status >= 500 AND s.url LIKE '%/client_secrets%';
