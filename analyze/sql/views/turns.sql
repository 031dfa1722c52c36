-- Turns: one row a user turn with its transcription and its answer. A turn is a committed stretch of speech, or a
-- written message that was answered.

-- From the mark that opens it to the next one, everything belongs to a turn.
-- Its steps are no views of their own: each would be bound again by all that follow it.
CREATE OR REPLACE VIEW _turn_parts AS
WITH
-- The few events that turns are counted by; the windows below run over these only. Ranges and equalities, because
-- DuckDB pushes those into the scan of a file, and a list of types it does not: that is ten times faster.
turn_marks AS (
    SELECT
        session_id,
        seq,
        offset_ms,
        item_id,
        NULL AS response_id,
        CASE type
            WHEN 'input_audio_buffer.speech_started' THEN 'speech_started'
            WHEN 'input_audio_buffer.speech_stopped' THEN 'speech_stopped'
            WHEN 'input_audio_buffer.committed' THEN 'committed'
            WHEN 'input_audio_buffer.commit' THEN 'commit'
            WHEN 'input_audio_buffer.timeout_triggered' THEN 'timeout'
        END AS mark
    FROM events
    WHERE type BETWEEN 'input_audio_buffer.commit' AND 'input_audio_buffer.timeout_triggered'
    UNION ALL
    SELECT session_id, seq, offset_ms, NULL AS item_id, NULL AS response_id, 'refused' AS mark
    FROM events
    -- speaches gives no code.
    WHERE type = 'error' AND COALESCE(
        error_code = 'input_audio_buffer_commit_empty',
        error_message LIKE 'Error committing input audio buffer%'
    )
    UNION ALL
    SELECT session_id, seq, offset_ms, NULL AS item_id, response_id, 'response' AS mark
    FROM _begun_responses
    WHERE NOT is_aside
    UNION ALL
    -- An item with a call_id is a tool's output; that and a tool's approval go on with the turn that called the tool.
    SELECT
        session_id,
        seq,
        offset_ms,
        item_id,
        NULL AS response_id,
        CASE
            WHEN call_id IS NOT NULL OR get_json_object(payload, '$.item.type') = 'mcp_approval_response' THEN 'output'
            WHEN COALESCE(get_json_object(payload, '$.item.role'), 'user') = 'user' THEN 'message'
            ELSE 'context'
        END AS mark
    FROM events
    WHERE type = 'conversation.item.create'
),
-- What came before and what comes next, in one pass; times only grow, so the latest one is the greatest. The order is
-- that of seq: an imported session may have no times.
turn_order AS (
    SELECT
        *,
        MAX(CASE WHEN mark = 'committed' THEN seq END) OVER before AS last_committed,
        MAX(CASE WHEN mark = 'response' THEN seq END) OVER before AS last_response,
        MAX(CASE WHEN mark IN ('committed', 'refused') THEN seq END) OVER before AS last_told,
        MAX(CASE WHEN mark IN ('speech_stopped', 'timeout') THEN seq END) OVER before AS last_ended,
        MAX(CASE WHEN mark = 'timeout' THEN seq END) OVER before AS last_timed_out,
        MAX(CASE WHEN mark = 'commit' THEN seq END) OVER before AS last_asked,
        MAX(CASE WHEN mark = 'commit' THEN offset_ms END) OVER before AS last_asked_ms,
        MAX(CASE WHEN mark = 'speech_started' THEN seq END) OVER before AS last_speech_started,
        MAX(CASE WHEN mark = 'speech_started' THEN offset_ms END) OVER before AS last_speech_started_ms,
        MAX(CASE WHEN mark = 'speech_stopped' THEN seq END) OVER before AS last_speech_stopped,
        MAX(CASE WHEN mark = 'speech_stopped' THEN offset_ms END) OVER before AS last_speech_stopped_ms,
        MAX(CASE WHEN mark = 'output' THEN seq END) OVER before AS last_output,
        FIRST_VALUE(CASE WHEN mark IN ('committed', 'message', 'context', 'response') THEN mark END IGNORE NULLS) OVER after
            AS next_mark,
        FIRST_VALUE(CASE WHEN mark IN ('output', 'response') THEN mark END IGNORE NULLS) OVER after AS next_reply
    FROM turn_marks
    WHERE mark IS NOT NULL
    WINDOW
        before AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        after AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
),
-- The endpoint answers the client's commits in order: by taking in speech whose end it had not heard itself (else it took
-- it in of its own accord), or by the error of an empty buffer.
commit_balance AS (
    SELECT
        *,
        SUM(CASE WHEN mark = 'commit' THEN 1 WHEN answers_commit THEN -1 ELSE 0 END) OVER so_far AS balance,
        COUNT(CASE WHEN mark = 'commit' THEN 1 END) OVER so_far AS commits,
        COUNT(CASE WHEN answers_commit THEN 1 END) OVER so_far AS answers
    FROM (
        SELECT
            *,
            mark = 'refused' OR (mark = 'committed' AND COALESCE(last_ended, -1) <= COALESCE(last_committed, -1))
                AS answers_commit
        FROM turn_order
    ) AS told
    WINDOW so_far AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
-- An answer that finds no commit waiting answers none: the lowest balance so far counts these.
commit_queue AS (
    SELECT *, LEAST(0, MIN(balance) OVER so_far) AS unasked
    FROM commit_balance
    WINDOW so_far AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
-- Of a commit that is never answered, or otherwise, nobody is told: from there on each would be held against the turn
-- before. Answers are in order where the waiting commits come to an end; where they never do, the latest commit counts.
commit_numbers AS (
    SELECT
        *,
        CASE
            WHEN mark = 'commit' THEN commits
            WHEN answers_commit
                AND LAG(balance - unasked) OVER in_order > 0
                AND MIN(balance - unasked) OVER after = 0
                THEN answers + unasked
        END AS commit_number
    FROM commit_queue
    WINDOW
        in_order AS (PARTITION BY session_id ORDER BY seq),
        after AS (PARTITION BY session_id ORDER BY seq ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
),
-- Which marks open a turn: each commit; and of the messages before a response the last one, unless speech was
-- committed there too (then the messages are context that the client gave along). So is what the system says beside a
-- tool's output; before any response an output is history. What came before the commit before belongs to that one.
turn_openings AS (
    SELECT
        session_id,
        seq,
        offset_ms,
        item_id,
        response_id,
        mark,
        mark = 'committed' OR (
            mark IN ('message', 'context')
            AND next_mark = 'response'
            AND COALESCE(last_committed, -1) <= COALESCE(last_response, -1)
            AND NOT (
                mark = 'context'
                AND last_response IS NOT NULL
                AND (next_reply = 'output' OR COALESCE(last_output, -1) > last_response)
            )
        ) AS opens,
        CASE
            WHEN mark = 'committed' AND NOT answers_commit THEN NULL
            WHEN commit_number IS NOT NULL
                THEN MAX(CASE WHEN mark = 'commit' THEN offset_ms END) OVER (PARTITION BY session_id, commit_number)
            WHEN last_asked > COALESCE(last_told, -1) THEN last_asked_ms
        END AS asked_ms,
        mark = 'committed' AND last_timed_out > GREATEST(COALESCE(last_committed, -1), COALESCE(last_speech_started, -1))
            AS is_timed_out,
        CASE WHEN last_speech_started > COALESCE(last_committed, -1) THEN last_speech_started_ms
            END AS speech_started_ms,
        CASE WHEN last_speech_stopped > COALESCE(last_committed, -1) THEN last_speech_stopped_ms
            END AS speech_stopped_ms
    FROM commit_numbers
)
SELECT
    *,
    COUNT(CASE WHEN opens THEN 1 END) OVER (PARTITION BY session_id ORDER BY seq) AS turn
FROM turn_openings
WHERE opens OR mark = 'response';

-- A turn with tool calls has several responses: the first audio of any, the end and the status of the last, also where
-- it has none: COALESCE, for MAX_BY passes over NULL.
CREATE OR REPLACE VIEW _turn_answers AS
SELECT
    p.session_id,
    p.turn,
    MAX(CASE WHEN p.opens THEN p.mark END) AS opened_by,
    MAX(CASE WHEN p.opens THEN p.item_id END) AS item_id,
    MAX(CASE WHEN p.opens THEN p.offset_ms END) AS opened_ms,
    MAX(CASE WHEN p.opens AND p.is_timed_out THEN 1 END) AS timed_out,
    MAX(CASE WHEN p.opens THEN p.asked_ms END) AS asked_ms,
    MAX(CASE WHEN p.opens THEN p.speech_started_ms END) AS speech_started_ms,
    MAX(CASE WHEN p.opens THEN p.speech_stopped_ms END) AS speech_stopped_ms,
    MIN(r.first_audio_ms) AS first_audio_ms,
    NULLIF(MAX_BY(COALESCE(r.done_ms, -1), CASE WHEN r.response_id IS NOT NULL THEN p.seq END), -1)
        AS response_done_ms,
    MAX_BY(r.response_id, p.seq) AS response_id,
    NULLIF(MAX_BY(COALESCE(r.status, ''), CASE WHEN r.response_id IS NOT NULL THEN p.seq END), '')
        AS response_status,
    STRING_AGG(r.answer, ' ' ORDER BY p.seq) AS answer
FROM _turn_parts AS p
LEFT JOIN responses AS r
    ON p.mark = 'response' AND r.session_id = p.session_id AND r.response_id = p.response_id
WHERE p.turn > 0
GROUP BY p.session_id, p.turn;

-- A time of a session, unless some of what came between it and a later one was left out: then it may belong to
-- something else that is not there.
CREATE OR REPLACE MACRO unless_cut(at_ms, later_ms, gaps) AS
    CASE WHEN NOT is_cut(at_ms, later_ms, gaps) THEN at_ms END;

-- Of a session that was cut to windows, what began a turn may stand there without its end, and the end without it.
CREATE OR REPLACE VIEW _turn_beginnings AS
SELECT
    p.* REPLACE (
        unless_cut(p.asked_ms, p.opened_ms, s.left_out) AS asked_ms,
        unless_cut(p.speech_started_ms, p.opened_ms, s.left_out) AS speech_started_ms,
        unless_cut(p.speech_stopped_ms, p.opened_ms, s.left_out) AS speech_stopped_ms
    ),
    s.left_out
FROM _turn_answers AS p
INNER JOIN (SELECT session_id, CASE WHEN kept = 'window' THEN gaps END AS left_out FROM _sessions) AS s
    ON s.session_id = p.session_id;

-- Of a session that was cut to windows, the ends of speech and the first audio of most turns are left out: what sealing
-- measured on all of it tells when they were.
CREATE OR REPLACE VIEW _turn_moments AS
SELECT
    p.session_id,
    p.turn,
    p.opened_by,
    p.item_id,
    p.opened_ms,
    p.speech_started_ms,
    CASE
        WHEN p.asked_ms IS NULL AND COALESCE(s.turn_detection, '') <> 'none'
            THEN COALESCE(p.speech_stopped_ms, p.opened_ms - NULLIF(m.took.commit_ms, 0))
        ELSE p.speech_stopped_ms
    END AS speech_stopped_ms,
    CASE
        WHEN s.turn_detection = 'none' THEN COALESCE(p.asked_ms, p.opened_ms - NULLIF(m.took.commit_ms, 0))
        ELSE p.asked_ms
    END AS asked_ms,
    CASE
        WHEN m.took IS NULL THEN p.first_audio_ms
        ELSE p.opened_ms - COALESCE(m.took.commit_ms, 0) + m.took.first_audio_ms
    END AS first_audio_ms,
    p.response_done_ms,
    p.response_id,
    p.response_status,
    p.answer,
    -- Of the silence that an endpoint takes in when nobody spoke for too long there may be nothing to transcribe.
    CASE WHEN p.timed_out IS NULL THEN COALESCE(s.transcription_model, s.transcription_model_echoed) END
        AS transcription_model,
    p.left_out
FROM _turn_beginnings AS p
INNER JOIN _sessions AS s ON s.session_id = p.session_id
LEFT JOIN _measured_turns AS m ON s.kept = 'window' AND m.session_id = p.session_id AND m.turn = p.turn;

CREATE OR REPLACE VIEW turns AS
SELECT
    p.session_id,                                           -- its session
    p.turn,                                                 -- counts from 1
    CASE WHEN p.opened_by = 'committed' THEN 'speech' ELSE 'text' END AS turn_kind,     -- speech or text
    p.item_id,                                              -- the user's item; NULL where a message was given none
    p.speech_started_ms,                                    -- the endpoint heard speech begin
    p.speech_stopped_ms,                                    -- the endpoint heard speech end
    CASE WHEN p.opened_by = 'committed' THEN p.asked_ms ELSE p.opened_ms END AS asked_ms,   -- the client ended the turn
    CASE WHEN p.opened_by = 'committed' THEN p.opened_ms END AS committed_ms,           -- the endpoint took the speech in
    p.first_audio_ms,                                       -- first audio of the answer
    p.response_done_ms,                                     -- end of the answer
    p.response_id,                                          -- last response of the turn
    p.response_status,                                      -- its status
    p.answer,                                               -- what the assistant said or wrote
    CASE
        WHEN t.state IN ('completed', 'failed') THEN t.state
        WHEN p.opened_by = 'committed' AND p.transcription_model IS NOT NULL THEN 'missing'
    END AS transcription,                                   -- completed, failed or missing; NULL: not asked for
    CASE
        WHEN p.left_out IS NULL THEN t.first_ms
        -- Words may come while the caller speaks: those before them may have been left out.
        WHEN unless_cut(COALESCE(p.speech_started_ms, p.opened_ms), t.first_ms, p.left_out) <= t.first_ms THEN t.first_ms
    END AS first_transcript_ms,                             -- first words of the transcription
    t.ended_ms AS transcribed_ms,                           -- the transcription completed or failed
    t.transcript                                            -- what the user said
FROM _turn_moments AS p
LEFT JOIN transcriptions AS t
    ON t.session_id = p.session_id AND t.item_id = p.item_id AND t.content_index = 0;
