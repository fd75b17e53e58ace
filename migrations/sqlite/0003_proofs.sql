-- Inner nodes of the Merkle tree; the reasons stand in migrations/postgres.

CREATE TABLE merkle_nodes (
    level  INTEGER NOT NULL CHECK (level IN (8, 16, 24, 32, 40, 48, 56)),
    number INTEGER NOT NULL CHECK (number >= 0),
    hash   BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;
