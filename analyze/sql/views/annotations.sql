-- Annotations: what people said of sessions after they were recorded, one row a tag or a note.

CREATE OR REPLACE VIEW annotations AS
SELECT
    session_id,                     -- the session it is about
    CAST("at" AS TIMESTAMP) AS "at",    -- UTC; when it was said
    tag,                            -- name of a tag; NULL in a note
    value,                          -- value of the tag; NULL: the tag is taken away
    note                            -- text of a note; NULL in a tag
FROM _annotations;
