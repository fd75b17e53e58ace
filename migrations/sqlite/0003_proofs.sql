-- Inner nodes of the Merkle tree; the reasons stand in migrations/postgres.

CREATE TABLE merkle_nodes (
    level  INTEGER NOT NULL CHECK (level IN (8, 16, 24, 32, 40, 48, 56)),
    number INTEGER NOT NULL CHECK (number >= 0),
    hash   BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

-- SQLite has no partitions; events are archived by tiles of the tree. The rest as on PostgreSQL.
ALTER TABLE journal_head ADD COLUMN archived_until INTEGER NOT NULL DEFAULT 0;

CREATE TABLE archives (
    first_position INTEGER NOT NULL PRIMARY KEY,
    last_position  INTEGER NOT NULL,
    file           TEXT    NOT NULL,
    archived_at    TEXT    NOT NULL
) STRICT;

CREATE TABLE archived_leaves (
    tile   INTEGER NOT NULL PRIMARY KEY,
    hashes BLOB    NOT NULL CHECK (length(hashes) = 8192)
) STRICT;

CREATE TABLE carried_events (
    position       INTEGER NOT NULL,
    recorded_at    TEXT    NOT NULL,
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL,
    event_type     TEXT    NOT NULL,
    event_version  TEXT    NOT NULL,
    payload        TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    leaf_hash      BLOB    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
) STRICT;
