-- What auditors look for; the reasons stand in migrations/postgres.

CREATE INDEX events_event_type ON events (event_type, position);
CREATE INDEX events_actor ON events (metadata ->> '$.actor.id', position);
CREATE INDEX events_organization ON events (metadata ->> '$.organizationId', position)
    WHERE (metadata ->> '$.organizationId') IS NOT NULL;
