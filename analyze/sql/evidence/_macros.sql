-- What signatures say often, in one word each.

-- The failure keys of a session that a finding accounts for, by a pattern of LIKE.
CREATE OR REPLACE MACRO keys_like(keys, pattern) AS
    list_filter(COALESCE(keys, []), lambda failure_key: failure_key LIKE pattern);

-- The rows that a finding rests on: each once, in their order, the first 20 of them.
CREATE OR REPLACE MACRO first_seqs(seqs) AS
    list_slice(list_sort(list_distinct(COALESCE(seqs, CAST([] AS BIGINT[])))), 1, 20);

-- The same by a regular expression, for what several codes and wordings say.
CREATE OR REPLACE MACRO keys_matching(keys, pattern) AS
    list_filter(COALESCE(keys, []), lambda failure_key: regexp_matches(failure_key, pattern));

-- Fields of session.update and response.create that one of the two dialects has and the other has not.
CREATE OR REPLACE MACRO is_of_one_dialect(field) AS
    regexp_matches(
        field,
        '^(session|response)\.(modalities|voice|speed|temperature|turn_detection|max_response_output_tokens'
        || '|input_audio_format|output_audio_format|input_audio_transcription|input_audio_noise_reduction'
        || '|type|audio|output_modalities|max_output_tokens)$'
    );

-- Whether all of a session is there, as far as its recorder knows: what did not come in it may be held to be missing.
CREATE OR REPLACE MACRO is_whole(complete, kept) AS complete IS NOT FALSE AND COALESCE(kept, 'whole') = 'whole';

-- Whether a session ended when its time was up: at the end it was told, else at a cap that endpoints have had.
CREATE OR REPLACE MACRO is_age_of_cap(duration_ms, started_at, expires_at) AS
    CASE
        WHEN expires_at IS NOT NULL
            THEN ABS(epoch_ms(started_at) + duration_ms - epoch_ms(expires_at)) <= 15000
        ELSE list_has_any(
            [duration_ms BETWEEN minutes * 60000 - 5000 AND minutes * 60000 + 15000 FOR minutes IN [15, 30, 60]], [TRUE]
        )
    END;

-- How the failure key of an `error` event begins; its message is masked there.
CREATE OR REPLACE MACRO error_key(error_type, error_code) AS
    CONCAT('error|', error_type, '|', error_code, '|');

-- Codes, and types, of refusals that no later attempt mends: the account's (livekit/agents#7805).
CREATE OR REPLACE MACRO is_of_the_account(code) AS
    COALESCE(
        code IN ('insufficient_quota', 'credit_balance_exhausted', 'billing_hard_limit_reached', 'account_deactivated'),
        FALSE
    );

-- The failure keys of answers that failed with server_error and no code. Some endpoints say it in an error event as well.
CREATE OR REPLACE MACRO keys_of_failed_answers(keys) AS
    list_filter(COALESCE(keys, []), lambda failure_key: starts_with(failure_key, 'response.done|server_error||')
        OR (starts_with(failure_key, 'error|server_error||')
            AND list_contains(keys, 'response.done' || substr(failure_key, len('error') + 1))));

-- Codes of refusals that pass with time; some give them as the type.
CREATE OR REPLACE MACRO is_rate_limit(code) AS
    COALESCE(code IN ('rate_limit_exceeded', 'inference_rate_limit_exceeded'), FALSE);

-- The failure keys that begin in one of these ways.
CREATE OR REPLACE MACRO keys_starting(keys, beginnings) AS
    list_filter(COALESCE(keys, []), lambda failure_key: len(
        list_filter(beginnings, lambda beginning: starts_with(failure_key, beginning))
    ) > 0);

-- Where a session was served: sessions of one place are compared with each other. The port counts: two endpoints on one
-- machine differ by nothing else. Where nobody told, as in many logs of other tools, a session is compared with none.
CREATE OR REPLACE MACRO endpoint_of(url, target, region, session_id) AS
    COALESCE(
        NULLIF(CONCAT_WS(' ', COALESCE(NULLIF(regexp_extract(url, '^\w+://([^/?#]+)', 1), ''), target), region), ''),
        session_id
    );
