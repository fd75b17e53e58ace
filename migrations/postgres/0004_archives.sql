-- Which organizations the archived events carried, and at which position first: what an auditor asks of any other
-- organization can still be answered without them.
CREATE TABLE archived_organizations (
    organization_id text   COLLATE "C" PRIMARY KEY,
    first_position  bigint NOT NULL
);

-- Of archives from before this table nobody knows.
ALTER TABLE archives ADD COLUMN organizations_noted boolean NOT NULL DEFAULT false;

-- An auditor may ask for one of them.
CREATE UNIQUE INDEX carried_events_position ON carried_events (position);
