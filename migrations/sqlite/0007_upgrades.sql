-- As on PostgreSQL, where the reasons stand.
ALTER TABLE journal_head ADD COLUMN least_schema INTEGER NOT NULL DEFAULT 0;

ALTER TABLE snapshots ADD COLUMN shape INTEGER NOT NULL DEFAULT 1;
