-- Which organizations the archived events carried; the reasons stand in migrations/postgres.
CREATE TABLE archived_organizations (
    organization_id TEXT    NOT NULL PRIMARY KEY,
    first_position  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE archives ADD COLUMN organizations_noted INTEGER NOT NULL DEFAULT 0;

-- An auditor may ask for one of them.
CREATE UNIQUE INDEX carried_events_position ON carried_events (position);
