-- The journal; the reasons of its columns stand in migrations/postgres. Times are RFC 3339 text in UTC with milliseconds.

CREATE TABLE events (
    position       INTEGER NOT NULL CHECK (position >= 1),
    recorded_at    TEXT    NOT NULL,
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence >= 1),
    event_type     TEXT    NOT NULL,
    event_version  TEXT    NOT NULL,
    payload        TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    leaf_hash      BLOB    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
) STRICT;
CREATE UNIQUE INDEX events_position ON events (position);

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: UPDATE on events is refused'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: DELETE on events is refused'); END;
-- INSERT OR REPLACE deletes without firing the trigger above.
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE position = new.position)
  OR EXISTS (SELECT 1 FROM events WHERE aggregate_type = new.aggregate_type AND aggregate_id = new.aggregate_id
                                    AND sequence = new.sequence)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: an event stands there already'); END;

CREATE TABLE snapshots (
    aggregate_type   TEXT    NOT NULL,
    aggregate_id     TEXT    NOT NULL,
    last_sequence    INTEGER NOT NULL CHECK (last_sequence >= 0),
    current_snapshot INTEGER NOT NULL CHECK (current_snapshot >= 0),
    payload          TEXT    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
) STRICT;

CREATE TABLE streams (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    first_position INTEGER NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE claims (
    key            TEXT NOT NULL PRIMARY KEY,
    aggregate_type TEXT NOT NULL,
    aggregate_id   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_head (
    singleton   INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    position    INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    recorded_at TEXT    NOT NULL,
    frontier    BLOB    NOT NULL
) STRICT;
INSERT INTO journal_head (singleton, position, generation, recorded_at, frontier)
VALUES (1, 0, 0, '1970-01-01T00:00:00.000Z', x'');

CREATE TABLE subject_keys (
    subject_id  TEXT NOT NULL PRIMARY KEY,
    wrapped_key BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    key         BLOB NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    answer      BLOB NOT NULL,
    expires_at  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

CREATE TABLE generations (
    id             INTEGER NOT NULL PRIMARY KEY,
    signature      TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('building', 'live', 'retired', 'failed')),
    checkpoint     INTEGER NOT NULL DEFAULT 0,
    error_position INTEGER,
    error          TEXT
) STRICT;

CREATE TABLE followers (
    name       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    checkpoint INTEGER NOT NULL,
    PRIMARY KEY (name, generation)
) STRICT, WITHOUT ROWID;
