-- JSON access by one macro of a name that Spark has too, so that the views' text runs on both.
-- Text that is no JSON for DuckDB (lone surrogates, NaN) gives NULL instead of an error.
CREATE OR REPLACE MACRO get_json_object(j, p) AS
    CASE WHEN json_valid(j) THEN json_extract_string(j, p) END;

-- All texts at a path with wildcards, joined by blanks; NULL where there is none.
CREATE OR REPLACE MACRO joined_texts(j, p) AS
    NULLIF(array_to_string(CASE WHEN json_valid(j) THEN json_extract_string(j, p) END, ' '), '');

-- Whether a field is there and null: get_json_object gives NULL where it is absent, too.
CREATE OR REPLACE MACRO is_json_null(j, p) AS
    COALESCE(CASE WHEN json_valid(j) THEN json_type(j, p) END = 'NULL', FALSE);
