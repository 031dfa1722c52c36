-- Tracks: the view of this name as it is when the pass begins, as with sessions.

CREATE OR REPLACE TEMP TABLE tracks AS
-- With the catalog in front: once some rows are here, the name alone means this table.
SELECT * FROM memory.main.tracks;
