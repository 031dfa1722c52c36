-- Tracks: the view of this name as it is when the pass begins, as with sessions.

CREATE OR REPLACE TEMP TABLE tracks AS
SELECT * FROM main.tracks;
