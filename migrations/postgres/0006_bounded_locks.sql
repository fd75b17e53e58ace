-- A partition is made while the head is locked: whoever holds the events, as ANALYZE does, must not keep all commits waiting.
-- One that is not made now is made by the next commit, as long as there is room.
ALTER FUNCTION partition_events(bigint) SET lock_timeout = '200ms';
