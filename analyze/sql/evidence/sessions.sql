-- Sessions: the view of this name as it is when the pass begins.

-- Some seventy questions of a pass read it, and to bind the view each time takes longer than to copy ten thousand rows.
CREATE OR REPLACE TEMP TABLE sessions AS
SELECT * FROM main.sessions;
