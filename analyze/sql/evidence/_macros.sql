-- What signatures say often, in one word each.

-- The failure keys of a session that a finding accounts for, by a pattern of LIKE.
CREATE OR REPLACE MACRO keys_like(keys, pattern) AS
    list_filter(COALESCE(keys, []), lambda failure_key: failure_key LIKE pattern);

-- The rows that a finding rests on: each once, in their order, the first 20 of them.
CREATE OR REPLACE MACRO first_seqs(seqs) AS
    list_slice(list_sort(list_distinct(COALESCE(seqs, CAST([] AS BIGINT[])))), 1, 20);
