-- Releases overlap while nodes are replaced one by one. A migration adds first; what takes something away comes with a later
-- release, and raises this number to that of the migration which brought the replacement. A node whose release does not know
-- so many migrations finds it at its next commit, or within a second, and refuses to serve.
ALTER TABLE journal_head ADD COLUMN least_schema bigint NOT NULL DEFAULT 0;

-- Number of the shape that the state was serialised in, by aggregate type. Until now there was one of each.
ALTER TABLE snapshots ADD COLUMN shape integer NOT NULL DEFAULT 1;
