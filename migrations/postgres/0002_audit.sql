-- What auditors look for: events of an actor, of an organization, of a kind, each in the order of positions. Positions
-- only rise, so that an append touches the right edge of what it belongs to. Actor and organization stand in the clear
-- in the metadata; an index on the expression keeps the stored row as it is. A type of aggregate is found by the names
-- of its events, one aggregate by the primary key, and a time by bisection, since it never goes back against positions.

CREATE INDEX events_event_type ON events (event_type, position);
CREATE INDEX events_actor ON events (((metadata -> 'actor' ->> 'id') COLLATE "C"), position);
-- Most events of a directory carry an organization; those that do not cost nothing here.
CREATE INDEX events_organization ON events (((metadata ->> 'organizationId') COLLATE "C"), position)
    WHERE (metadata ->> 'organizationId') IS NOT NULL;
