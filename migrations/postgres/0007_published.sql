-- How far events were published, and with which sequence of the stream: where the stream is empty since its messages went too
-- old, nothing else tells.
CREATE TABLE published (
    id       int    PRIMARY KEY CHECK (id = 1),
    position bigint NOT NULL,
    sequence bigint NOT NULL
);
