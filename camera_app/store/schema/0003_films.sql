-- Films of events. A row stands here only while its file is there: it is made when a film is
-- finished, and goes when the file is deleted.

CREATE TABLE film (
    name          TEXT PRIMARY KEY NOT NULL, -- path of the file below the folder of the films
    camera        TEXT NOT NULL,             -- which camera made it
    began_wall_ns INTEGER NOT NULL,          -- its first picture
    ended_wall_ns INTEGER NOT NULL,          -- its last picture
    size_bytes    INTEGER NOT NULL,          -- what the file takes
    left_out      INTEGER NOT NULL,          -- pictures that the disk was too slow for
    is_whole      INTEGER NOT NULL           -- 0: it was cut off, and can be played up to there
) STRICT, WITHOUT ROWID;

-- An event may have several films, and a film several events.
CREATE TABLE film_event (
    event_id TEXT NOT NULL,                                          -- the event; may be gone
    film     TEXT NOT NULL REFERENCES film (name) ON DELETE CASCADE, -- a film that shows it
    PRIMARY KEY (event_id, film)
) STRICT, WITHOUT ROWID;

CREATE INDEX film_event_by_film ON film_event (film);
