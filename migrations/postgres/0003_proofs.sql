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

-- Events by ranges of position, so that old ones can be archived as a whole. PostgreSQL wants the position in every
-- unique key of the whole then; that a stream has no number twice is kept by its row in streams, written under the head
-- lock, and within a part by its key.
CREATE TABLE journal_settings (
    singleton      boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Positions in the partitions that are made from now on. Whole tiles of the tree, so that none spans two.
    partition_size bigint  NOT NULL CHECK (partition_size > 0 AND partition_size % 256 = 0)
);
INSERT INTO journal_settings (partition_size) VALUES (1048576);

CREATE TABLE event_partitions (
    first_position bigint PRIMARY KEY,
    last_position  bigint NOT NULL UNIQUE CHECK (last_position >= first_position),
    table_name     text   NOT NULL
);

-- Up to which position there are partitions. Beside the head, since every append looks at it.
ALTER TABLE journal_head ADD COLUMN partitioned_until bigint NOT NULL DEFAULT 0;

-- Up to which position the events were archived: they are in files, and no more in here.
ALTER TABLE journal_head ADD COLUMN archived_until bigint NOT NULL DEFAULT 0;

-- Where they went.
CREATE TABLE archives (
    first_position bigint      PRIMARY KEY,
    last_position  bigint      NOT NULL,
    file           text        NOT NULL,
    archived_at    timestamptz NOT NULL
);

-- Leaf hashes of archived events, 256 in a row: every proof goes on as before.
CREATE TABLE archived_leaves (
    tile   bigint PRIMARY KEY,
    hashes bytea  NOT NULL CHECK (octet_length(hashes) = 8192)
);

-- Archived events of streams that are loaded from their events, because their aggregate has no snapshots.
CREATE TABLE carried_events (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE carried_events ADD PRIMARY KEY (aggregate_type, aggregate_id, sequence);

ALTER TABLE events RENAME TO former_events;
CREATE TABLE events (LIKE former_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (position);

-- Makes the next partition and answers the last position in it. ATTACH, unlike PARTITION OF, waits for no reader.
CREATE FUNCTION add_event_partition() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_first bigint := (SELECT coalesce(max(last_position), 0) + 1 FROM event_partitions);
    v_last  bigint := v_first + (SELECT partition_size FROM journal_settings) - 1;
    v_table text := 'events_from_' || v_first;
    v_grant record;
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', v_table);
    -- The key of the whole would have to have the position in it; of each part it need not.
    EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (aggregate_type, aggregate_id, sequence)', v_table);
    -- Those who name the partition itself are refused too, and may do no more with it than with the whole.
    EXECUTE format('CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', v_table);
    FOR v_grant IN SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
        FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'events'::regclass LOOP
        EXECUTE format('GRANT %s ON %I TO %s', v_grant.privilege_type, v_table, v_grant.grantee);
    END LOOP;
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', v_table, v_first, v_last + 1);
    INSERT INTO event_partitions (first_position, last_position, table_name) VALUES (v_first, v_last, v_table);
    RETURN v_last;
END $$;

-- Makes partitions ahead of the head, under its lock: some thousand positions early, so that one that cannot be made
-- at once fails no append as long as there is room.
CREATE FUNCTION partition_events(p_head bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_until bigint := (SELECT partitioned_until FROM journal_head);
BEGIN
    WHILE v_until < p_head + 4096 LOOP
        BEGIN
            v_until := add_event_partition();
        EXCEPTION WHEN OTHERS THEN
            IF v_until < p_head THEN
                RAISE;
            END IF;
            EXIT;
        END;
    END LOOP;
    UPDATE journal_head SET partitioned_until = v_until;
END $$;

SELECT partition_events((SELECT position FROM journal_head));
INSERT INTO events SELECT * FROM former_events ORDER BY position;
DROP TABLE former_events;

CREATE UNIQUE INDEX events_position ON events (position);
CREATE INDEX events_event_type ON events (event_type, position);
CREATE INDEX events_actor ON events (((metadata -> 'actor' ->> 'id') COLLATE "C"), position);
CREATE INDEX events_organization ON events (((metadata ->> 'organizationId') COLLATE "C"), position)
    WHERE (metadata ->> 'organizationId') IS NOT NULL;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- As in 0001, with the partitions seen to. The part of a commit that does not depend on the read models. Called within
-- the same statement and transaction as the writing of the documents. Status: 0 written, 1 the head has moved, 2 some conditions do not hold.
CREATE OR REPLACE FUNCTION journal_append(
    p_head bigint, p_generation bigint, p_recorded_at timestamptz, p_frontier bytea,
    p_types text[], p_ids text[], p_sequences bigint[], p_event_types text[], p_event_versions text[],
    p_payloads text[], p_metadata text[], p_leaves bytea[],
    p_stream_types text[], p_stream_ids text[], p_stream_from bigint[], p_stream_to bigint[], p_stream_first bigint[],
    p_take_keys text[], p_take_types text[], p_take_ids text[],
    p_release_keys text[], p_release_types text[], p_release_ids text[],
    p_subjects text[], p_wrapped bytea[],
    p_answer_keys bytea[], p_fingerprints bytea[], p_answers bytea[], p_expiries timestamptz[],
    OUT o_status int, OUT o_lost_streams bigint[], OUT o_lost_takes bigint[], OUT o_lost_answers bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_head bigint;
    v_generation bigint;
    v_partitioned bigint;
    v_count int := cardinality(p_types);
BEGIN
    SELECT position, generation, partitioned_until INTO v_head, v_generation, v_partitioned FROM journal_head FOR UPDATE;
    IF v_head <> p_head OR v_generation <> p_generation THEN
        o_status := 1;
        RETURN;
    END IF;

    SELECT array_agg(u.n - 1) INTO o_lost_streams
        FROM unnest(p_stream_types, p_stream_ids, p_stream_from) WITH ORDINALITY u (t, i, v, n)
        LEFT JOIN streams s ON s.aggregate_type = u.t AND s.aggregate_id = u.i
        WHERE coalesce(s.version, 0) <> u.v;
    IF cardinality(p_take_keys) > 0 THEN
        -- Lost is what another holds and does not release in this batch.
        SELECT array_agg(u.n - 1) INTO o_lost_takes
            FROM unnest(p_take_keys, p_take_types, p_take_ids) WITH ORDINALITY u (k, t, i, n)
            JOIN claims c ON c.key = u.k AND (c.aggregate_type <> u.t OR c.aggregate_id <> u.i)
            WHERE NOT EXISTS (
                SELECT 1 FROM unnest(p_release_keys, p_release_types, p_release_ids) r (k, t, i)
                WHERE r.k = c.key AND r.t = c.aggregate_type AND r.i = c.aggregate_id);
    END IF;
    IF cardinality(p_answer_keys) > 0 THEN
        DELETE FROM idempotency_keys WHERE key = ANY (p_answer_keys) AND expires_at <= p_recorded_at;
        SELECT array_agg(u.n - 1) INTO o_lost_answers
            FROM unnest(p_answer_keys) WITH ORDINALITY u (k, n)
            JOIN idempotency_keys a ON a.key = u.k;
    END IF;
    IF o_lost_streams IS NOT NULL OR o_lost_takes IS NOT NULL OR o_lost_answers IS NOT NULL THEN
        o_status := 2;
        RETURN;
    END IF;

    IF v_count > 0 THEN
        IF v_partitioned < p_head + v_count + 4096 THEN
            PERFORM partition_events(p_head + v_count);
        END IF;
        INSERT INTO events (position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version,
                            payload, metadata, leaf_hash)
            SELECT p_head + u.n, p_recorded_at, u.t, u.i, u.s, u.et, u.ev, u.p::json, u.m::json, u.l
            FROM unnest(p_types, p_ids, p_sequences, p_event_types, p_event_versions, p_payloads, p_metadata, p_leaves)
                WITH ORDINALITY u (t, i, s, et, ev, p, m, l, n);
        -- Under the head lock nobody else can have written the stream; an update is what an existing one gets.
        INSERT INTO streams (aggregate_type, aggregate_id, version, first_position)
            SELECT * FROM unnest(p_stream_types, p_stream_ids, p_stream_to, p_stream_first)
            ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET version = excluded.version;
        UPDATE journal_head SET position = p_head + v_count, recorded_at = p_recorded_at, frontier = p_frontier;
        PERFORM pg_notify('registrar_head', (p_head + v_count)::text);
    END IF;
    IF cardinality(p_release_keys) > 0 THEN
        DELETE FROM claims c USING unnest(p_release_keys, p_release_types, p_release_ids) u (k, t, i)
            WHERE c.key = u.k AND c.aggregate_type = u.t AND c.aggregate_id = u.i;
    END IF;
    IF cardinality(p_take_keys) > 0 THEN
        -- What still stands there is the taker's own.
        INSERT INTO claims (key, aggregate_type, aggregate_id)
            SELECT * FROM unnest(p_take_keys, p_take_types, p_take_ids) u (k, t, i)
            WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.key = u.k);
    END IF;
    IF cardinality(p_subjects) > 0 THEN
        INSERT INTO subject_keys (subject_id, wrapped_key) SELECT * FROM unnest(p_subjects, p_wrapped);
    END IF;
    IF cardinality(p_answer_keys) > 0 THEN
        INSERT INTO idempotency_keys (key, fingerprint, answer, expires_at)
            SELECT * FROM unnest(p_answer_keys, p_fingerprints, p_answers, p_expiries);
    END IF;
    o_status := 0;
END $$;
