-- Inner nodes of the Merkle tree (RFC 9162) over the leaf hashes of events: the roots of complete subtrees of 2^level
-- leaves, at every eighth level from 8 on, so that a proof reads some hundreds of rows however long the journal is.
-- Derived behind the commits and compared with the frontier in journal_head; what is not here yet is computed.
CREATE TABLE merkle_nodes (
    level smallint NOT NULL CHECK (level IN (8, 16, 24, 32, 40, 48, 56)),
    -- The subtree's number among those of its level, from 0.
    number bigint  NOT NULL CHECK (number >= 0),
    hash  bytea    NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, number)
);
