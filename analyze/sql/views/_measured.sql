-- One row a turn that sealing measured. Lists become rows in words of DuckDB's own here, and nowhere else.
CREATE OR REPLACE VIEW _measured_turns AS
SELECT
    session_id,
    GENERATE_SUBSCRIPTS(turn_latencies, 1) AS turn,
    UNNEST(turn_latencies) AS took
FROM _sessions;
