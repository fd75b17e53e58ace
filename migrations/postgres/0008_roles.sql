-- A server may serve with a role that owns nothing of the journal (`registrar migrate --server-role`), so that it can neither
-- drop the triggers that keep the journal as it was written nor change what they guard. Partitions are the owner's all the
-- same; what a temporary table is called must not matter to who makes them.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION partition_events(bigint) SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE EXECUTE ON FUNCTION partition_events(bigint) FROM PUBLIC;
