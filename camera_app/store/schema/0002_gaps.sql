-- What had to go leaves a gap: a row of event_change of the type `gap`, in the place of the last
-- row that it covers. Its seq is the last number it covers; its record names the first, and why.

CREATE INDEX event_change_gap ON event_change (camera, seq) WHERE type = 'gap';

-- Changes that a broker never takes. They stay in the ledger; a gap was told in their place.
CREATE TABLE refused (
    row        INTEGER PRIMARY KEY NOT NULL REFERENCES event_change (row), -- the change
    code       INTEGER NOT NULL, -- MQTT 5 reason code of its last refusal; 0: it hung up
    at_wall_ns INTEGER NOT NULL  -- when it was given up
) STRICT;
