-- The journal. Texts compare by code point (COLLATE "C"): alike on every server and on SQLite.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE events (
    -- Place in the order of all events, dense from 1; handed out under the lock on journal_head.
    position       bigint      NOT NULL CHECK (position >= 1),
    -- Commit time in whole milliseconds; never goes back as position rises.
    recorded_at    timestamptz NOT NULL,
    aggregate_type text        COLLATE "C" NOT NULL,
    aggregate_id   text        COLLATE "C" NOT NULL,
    sequence       bigint      NOT NULL CHECK (sequence >= 1),
    event_type     text        COLLATE "C" NOT NULL,
    event_version  text        COLLATE "C" NOT NULL,
    -- json, not jsonb: what was hashed is what is kept, byte for byte.
    payload        json        NOT NULL,
    metadata       json        NOT NULL,
    leaf_hash      bytea       NOT NULL,
    -- The layout of postgres-es, whose readers can read any stream of it.
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
CREATE UNIQUE INDEX events_position ON events (position);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only: % on % is refused', TG_OP, TG_TABLE_NAME;
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE snapshots (
    aggregate_type   text   COLLATE "C" NOT NULL,
    aggregate_id     text   COLLATE "C" NOT NULL,
    last_sequence    bigint NOT NULL CHECK (last_sequence >= 0),
    current_snapshot bigint NOT NULL CHECK (current_snapshot >= 0),
    payload          json   NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
);

-- The version of every stream: what an expected version is compared with.
CREATE TABLE streams (
    aggregate_type text   COLLATE "C" NOT NULL,
    aggregate_id   text   COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    -- No event of the stream stands before it: a lower bound for loads once events is partitioned.
    first_position bigint NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) WITH (fillfactor = 70);

-- Unique values among many aggregates. key is a keyed digest, since values may be personal.
CREATE TABLE claims (
    key            text COLLATE "C" PRIMARY KEY,
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL
);

-- One row, the serialisation point of every commit. The low fill factor keeps its updates on one page.
CREATE TABLE journal_head (
    singleton   boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    position    bigint      NOT NULL,
    -- Generation of documents that is served.
    generation  bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- RFC 9162 tree over all events: the roots of its perfect subtrees, from large to small.
    frontier    bytea       NOT NULL
) WITH (fillfactor = 10);
INSERT INTO journal_head (position, generation, recorded_at, frontier) VALUES (0, 0, 'epoch', '');

-- A person's key, wrapped by the master key; without it what is sealed can never be read again.
CREATE TABLE subject_keys (
    subject_id  text  COLLATE "C" PRIMARY KEY,
    wrapped_key bytea -- NULL once the person is erased
);

-- Answers of idempotent requests, sealed.
CREATE TABLE idempotency_keys (
    key         bytea       PRIMARY KEY,
    fingerprint bytea       NOT NULL,
    answer      bytea       NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- Generations of documents; their tables carry the number (admins_g1). One is live, another may be in building.
CREATE TABLE generations (
    id             bigint PRIMARY KEY,
    -- Names and versions of the projections that made it.
    signature      text   NOT NULL,
    state          text   NOT NULL CHECK (state IN ('building', 'live', 'retired', 'failed')),
    -- Position up to which it is folded; only while building.
    checkpoint     bigint NOT NULL DEFAULT 0,
    error_position bigint,
    error          text
);

-- How far each follower has got in the documents of a generation.
CREATE TABLE followers (
    name       text   COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    checkpoint bigint NOT NULL,
    PRIMARY KEY (name, generation)
);

-- The part of a commit that does not depend on the read models. Called within the same statement and transaction as
-- the writing of the documents. Status: 0 written, 1 the head has moved, 2 some conditions do not hold.
CREATE FUNCTION journal_append(
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
    v_count int := cardinality(p_types);
BEGIN
    SELECT position, generation INTO v_head, v_generation FROM journal_head FOR UPDATE;
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
