-- How far events were published, and with which sequence of the stream: where the stream is empty since its messages went too
-- old, nothing else tells.
CREATE TABLE published (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL,
    sequence INTEGER NOT NULL
) STRICT;
