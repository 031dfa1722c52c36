-- name: content_filter_incomplete
-- group: response
-- happened: A response was cut short by the content filter: it ended as incomplete, with that reason.
-- confidence: certain
-- causes: what was said, or the instructions, or the answer in the making met a content policy; the filter of the
--   deployment is stricter than at other endpoints
-- refuted by: The same session is cut short where no filter is configured too.
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: OpenAI community 1135909
SELECT
    a.session_id,
    'certain' AS confidence,
    first_seqs(LIST(a.done_seq)) AS evidence,
    MIN(a.done_at) AS first_at,
    MAX(a.done_at) AS last_at,
    MAP {'cut_responses': COUNT(*), 'least_audio_ms': MIN(a.audio_ms)} AS numbers,
    keys_like(MIN(s.failure_keys), 'response.done|incomplete|content_filter|%') AS explains
FROM _answers AS a
INNER JOIN sessions AS s ON s.session_id = a.session_id
WHERE a.status = 'incomplete' AND a.status_reason = 'content_filter'
GROUP BY a.session_id;
