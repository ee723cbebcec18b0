-- The ledger of events, what of it is still to be told, and where each camera's count stands.
-- Times called *_wall_ns are nanoseconds since 1970-01-01 UTC as this machine believed them.

CREATE TABLE event (
    event_id          TEXT PRIMARY KEY NOT NULL, -- time-ordered UUID
    camera            TEXT NOT NULL,             -- name in the configuration
    label             TEXT NOT NULL,             -- what the object is
    started_wall_ns   INTEGER NOT NULL,          -- capture of the first frame that showed it
    last_seen_wall_ns INTEGER NOT NULL,          -- capture of the last frame that showed it so far
    ended_wall_ns     INTEGER,                   -- capture of its last sight; null: not over yet
    score             REAL NOT NULL,             -- median of its recent scores, 0.0 to 1.0
    top_score         REAL NOT NULL,             -- highest such median so far, 0.0 to 1.0
    entered_zones     TEXT NOT NULL,             -- JSON list of names, in order of entering
    is_stationary     INTEGER NOT NULL,          -- 1: it has not moved for the configured time
    last_row          INTEGER NOT NULL           -- row of its newest change, which holds the rest
) STRICT, WITHOUT ROWID;

CREATE INDEX event_by_start ON event (started_wall_ns);

CREATE TABLE event_change (
    row               INTEGER PRIMARY KEY NOT NULL, -- in order of commit; never used twice
    camera            TEXT NOT NULL,                -- the stream that seq counts
    seq               INTEGER NOT NULL,             -- from 1, gap-free in a camera's stream
    event_id          TEXT NOT NULL,                -- the event that changed
    type              TEXT NOT NULL,                -- started, updated or ended
    at_wall_ns        INTEGER NOT NULL,             -- capture of the frame that brought it about
    committed_wall_ns INTEGER NOT NULL,             -- when this row was written
    record            TEXT NOT NULL                 -- the change as canonical JSON, without seq
) STRICT;

CREATE UNIQUE INDEX event_change_by_seq ON event_change (camera, seq);
CREATE INDEX event_change_by_event ON event_change (event_id);

-- A row stands here from its commit until a broker has acknowledged it.
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY NOT NULL REFERENCES event_change (row)
) STRICT;

CREATE TABLE stream (
    camera   TEXT PRIMARY KEY NOT NULL,
    last_seq INTEGER NOT NULL, -- last number given out, also when its row is long removed
    last_row INTEGER NOT NULL  -- row of event_change that got it
) STRICT, WITHOUT ROWID;
