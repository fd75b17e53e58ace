//! Statements shared by both databases.

use super::journal::ArchiveProbe;
use super::{assembled, search::Field};
use sqlx::SqlStr;

/// The end of the journal.
pub(super) const HEAD: &str = "SELECT position, generation, recorded_at, frontier, least_schema FROM journal_head";
/// Position up to which events were archived.
pub(super) const ARCHIVED_UNTIL: &str = "SELECT archived_until FROM journal_head";
/// Holder of the claim `$1`.
pub(super) const CLAIM_HOLDER: &str = "SELECT aggregate_type, aggregate_id FROM claims WHERE key = $1";
/// Position up to which events were published.
pub(super) const PUBLISHED: &str = "SELECT position, sequence FROM published WHERE id = 1";
/// Stores how far events were published.
pub(super) const NOTE_PUBLISHED: &str = "INSERT INTO published (id, position, sequence) VALUES (1, $1, $2) \
     ON CONFLICT (id) DO UPDATE SET position = excluded.position, sequence = excluded.sequence";

/// Versions of the migrations that were applied.
pub(super) const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";

/// The end of the journal beside the events selected by `next`.
pub(super) fn portion(next: &str) -> SqlStr {
    assembled(format!(
        "SELECT h.position AS head, h.archived_until, e.* FROM journal_head h LEFT JOIN ({next}) e ON 1 = 1 \
         ORDER BY e.position"
    ))
}

/// The stream of type `$1` and id `$2`: the archived position, its row of `streams`, and up to `$4` events after the
/// number `$3`, including carried ones; `only` narrows the events further, `always` is a true condition.
pub(super) fn stream(columns: &str, only: &str, always: &str) -> SqlStr {
    assembled(format!(
        "SELECT h.archived_until, s.version, s.first_position, e.* FROM journal_head h \
         LEFT JOIN streams s ON s.aggregate_type = $1 AND s.aggregate_id = $2 LEFT JOIN ( \
         SELECT {columns} FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3 {only}\
         UNION ALL SELECT {columns} FROM carried_events WHERE aggregate_type = $1 AND aggregate_id = $2 \
         AND sequence > $3 ORDER BY sequence LIMIT $4) e ON {always} ORDER BY e.sequence"
    ))
}

/// The largest `number` whose event meets `before`, for dense numbers along which `before` holds up to some event and
/// never after: halves the range selected by `bounds` (`low` is before all, `high` may be the result) in one statement;
/// `middle` joins the event in the middle as `e`. No row if the search finds an event missing.
pub(super) fn bisection(bounds: &str, before: &str, number: &str, middle: &str) -> SqlStr {
    assembled(format!(
        "WITH RECURSIVE bisection (low, high) AS ( \
         {bounds} \
         UNION ALL SELECT CASE WHEN {before} THEN e.{number} ELSE b.low END, \
         CASE WHEN {before} THEN b.high ELSE e.{number} - 1 END \
         FROM bisection b {middle} WHERE b.low < b.high) \
         SELECT low AS {number} FROM bisection WHERE low >= high"
    ))
}

/// Bounds of a [`bisection`] over all positions.
pub(super) const ALL_POSITIONS: &str =
    "SELECT coalesce((SELECT min(position) - 1 FROM events), h.position), h.position FROM journal_head h";

/// Whether an event meets the remaining conditions; their values are bound from `$next` on.
pub(super) fn fits(conditions: &[(Field, &str)], next: usize, expression: fn(Field) -> &'static str) -> String {
    let conditions = conditions.iter().zip(next..).map(|((field, _), n)| format!("{} = ${n}", expression(*field)));
    std::iter::once("true".to_owned()).chain(conditions).collect::<Vec<_>>().join(" AND ")
}

impl ArchiveProbe<'_> {
    /// The statement and the text for its `$1`; `$2` is a position.
    pub(super) fn statement(&self) -> (SqlStr, &str) {
        match *self {
            // Archives without a list of their organizations may contain events of any.
            ArchiveProbe::Organization(organization) => (
                SqlStr::from_static(
                    "SELECT EXISTS (SELECT 1 FROM archives WHERE NOT organizations_noted) \
                     OR EXISTS (SELECT 1 FROM archived_organizations WHERE organization_id = $1 AND first_position <= $2)",
                ),
                organization,
            ),
            ArchiveProbe::Aggregate { ref types, id } => {
                let types: Vec<_> = types.iter().map(|name| format!("'{name}'")).collect();
                let text = assembled(format!(
                    "SELECT EXISTS (SELECT 1 FROM streams WHERE aggregate_type IN ({}) AND aggregate_id = $1 \
                     AND first_position <= $2)",
                    types.join(", ")
                ));
                (text, id)
            }
        }
    }
}

/// Range of positions that holds the last event recorded at a time or before, for a time (`$1`) before the first event
/// in the database; `$2` is the last archived position. No carried event lies within the range.
pub(super) const CARRIED_AROUND: &str = "SELECT coalesce(max(CASE WHEN recorded_at <= $1 THEN position END), 0) AS first, \
     coalesce(min(CASE WHEN recorded_at > $1 THEN position END) - 1, $2) AS last FROM carried_events";

/// Whether a stored snapshot stays when one with a number and a shape (both arguments) is saved: neither an earlier
/// snapshot nor one of an earlier shape replaces it.
macro_rules! stays {
    ($sequence:literal, $shape:literal) => {
        concat!("(shape, last_sequence) >= (", $shape, ", ", $sequence, ")")
    };
}
pub(super) use stays;

/// Moves the checkpoint ($3) of a follower ($1) of a generation ($2), unless the generation is no longer served, or the
/// stored checkpoint is not the expected one ($4): then another node leads. Without a stored one it is 0.
pub(super) const FENCE: &str = "INSERT INTO followers (name, generation, checkpoint) \
     SELECT $1, $2, $3 WHERE ($4 = 0 OR EXISTS (SELECT 1 FROM followers WHERE name = $1 AND generation = $2)) \
     AND EXISTS (SELECT 1 FROM journal_head WHERE generation = $2) \
     ON CONFLICT (name, generation) DO UPDATE SET checkpoint = excluded.checkpoint WHERE followers.checkpoint = $4";
/// The checkpoint of the follower `$1` of the generation `$2`.
pub(super) const CHECKPOINT: &str = "SELECT checkpoint FROM followers WHERE name = $1 AND generation = $2";
/// Stores the checkpoint (`$2`) of a generation (`$1`) being built.
pub(super) const NOTE_BUILT: &str = "UPDATE generations SET checkpoint = $2 WHERE id = $1";
/// Serves the generation `$1` from now on and retires the former one.
pub(super) const SERVE: [&str; 3] = [
    "UPDATE generations SET state = 'retired' WHERE state = 'live' AND id <> $1",
    "UPDATE generations SET state = 'live', checkpoint = (SELECT position FROM journal_head) WHERE id = $1",
    "UPDATE journal_head SET generation = $1",
];

/// All generations, oldest first.
pub(super) const GENERATIONS: &str =
    "SELECT id, signature, state, checkpoint, error_position, error FROM generations ORDER BY id";
/// Names and versions of the projections that made the generation `$1`.
pub(super) const SIGNATURE: &str = "SELECT signature FROM generations WHERE id = $1";
/// Number of the last generation.
pub(super) const LATEST_GENERATION: &str = "SELECT max(id) FROM generations";
/// Adds a new generation: number, signature, state.
pub(super) const ADD_GENERATION: &str = "INSERT INTO generations (id, signature, state) VALUES ($1, $2, $3)";
/// Serves the first generation.
pub(super) const SERVE_FIRST: &str = "UPDATE journal_head SET generation = $1";
/// Stores why (`$3`) and at which position (`$2`) the build of generation `$1` failed.
pub(super) const FAIL_GENERATION: &str =
    "UPDATE generations SET state = 'failed', error_position = $2, error = $3 WHERE id = $1";
/// Deletes the generation `$1` unless it is live.
pub(super) const FORGET_GENERATION: &str = "DELETE FROM generations WHERE id = $1 AND state <> 'live'";

/// Hashes of the leaves after `$1` up to `$2`, numbered from 0.
pub(super) const LEAVES: &str =
    "SELECT position - 1, leaf_hash FROM events WHERE position > $1 AND position <= $2 ORDER BY position";
/// Hashes of archived leaves, 256 a row, in the rows `$1` to `$2`.
pub(super) const ARCHIVED_LEAVES: &str =
    "SELECT tile, hashes FROM archived_leaves WHERE tile >= $1 AND tile <= $2 ORDER BY tile";
/// Hashes of the nodes of level `$1` from `$2` to before `$3`.
pub(super) const NODES: &str =
    "SELECT number, hash FROM merkle_nodes WHERE level = $1 AND number >= $2 AND number < $3 ORDER BY number";
/// Number of nodes of level `$1`.
pub(super) const COUNT_NODES: &str = "SELECT coalesce(max(number) + 1, 0) FROM merkle_nodes WHERE level = $1";

/// The last position in the table of events.
pub(super) const LAST_POSITION: &str = "SELECT coalesce(max(position), 0) FROM events";
/// Up to `$2` keys of persons after the id `$1`.
pub(super) const KEYS: &str =
    "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id > $1 ORDER BY subject_id LIMIT $2";
/// The archive with the position `$1`.
pub(super) const ARCHIVE_OF: &str =
    "SELECT first_position, last_position, file FROM archives WHERE first_position <= $1 AND last_position >= $1";

/// Streams whose events are not numbered up to the stream's version, from 1 on or from after the archived ones. In two
/// parts, each led by the primary key of the other table; a full join would compare everything with everything.
pub(super) const MISNUMBERED: &str = "SELECT e.aggregate_type, e.aggregate_id FROM (SELECT aggregate_type, aggregate_id, \
     count(*) AS events, min(sequence) AS least, max(sequence) AS most FROM events GROUP BY aggregate_type, aggregate_id) e \
     CROSS JOIN journal_head h LEFT JOIN streams s ON s.aggregate_type = e.aggregate_type \
     AND s.aggregate_id = e.aggregate_id WHERE s.version IS NULL OR e.most <> s.version \
     OR e.events <> e.most - e.least + 1 OR (e.least <> 1 AND s.first_position > h.archived_until) \
     UNION ALL SELECT s.aggregate_type, s.aggregate_id FROM streams s CROSS JOIN journal_head h \
     WHERE s.first_position > h.archived_until AND NOT EXISTS (SELECT 1 FROM events e \
     WHERE e.aggregate_type = s.aggregate_type AND e.aggregate_id = s.aggregate_id) LIMIT 1";

/// Streams that have events up to `$1` that no snapshot covers.
pub(super) const UNCOVERED: &str = "SELECT e.aggregate_type, e.aggregate_id FROM events e \
     JOIN shapes t ON t.aggregate_type = e.aggregate_type WHERE e.position <= $1 \
     AND (e.aggregate_type, e.aggregate_id) > ($2, $3) \
     GROUP BY e.aggregate_type, e.aggregate_id, t.shape HAVING max(e.sequence) > coalesce((SELECT max(s.last_sequence) \
     FROM snapshots s WHERE s.aggregate_type = e.aggregate_type AND s.aggregate_id = e.aggregate_id \
     AND s.shape >= t.shape), 0) ORDER BY e.aggregate_type, e.aggregate_id LIMIT $4";

/// Streams that begin with archived events and have no readable snapshot.
pub(super) const UNSHAPED: &str = "SELECT s.aggregate_type, s.aggregate_id FROM streams s \
     JOIN shapes t ON t.aggregate_type = s.aggregate_type CROSS JOIN journal_head h \
     WHERE s.first_position <= h.archived_until AND (s.aggregate_type, s.aggregate_id) > ($1, $2) \
     AND NOT EXISTS (SELECT 1 FROM snapshots n WHERE n.aggregate_type = s.aggregate_type \
     AND n.aggregate_id = s.aggregate_id AND n.shape >= t.shape) ORDER BY s.aggregate_type, s.aggregate_id LIMIT $3";

/// Copies the events up to `$1` that streams are loaded from.
pub(super) const CARRY: &str = "INSERT INTO carried_events SELECT position, recorded_at, aggregate_type, aggregate_id, \
     sequence, event_type, event_version, payload, metadata, leaf_hash FROM events e WHERE e.position <= $1 \
     AND e.aggregate_type NOT IN (SELECT value FROM types) AND e.sequence > coalesce((SELECT max(s.last_sequence) \
     FROM snapshots s WHERE s.aggregate_type = e.aggregate_type AND s.aggregate_id = e.aggregate_id), 0)";

/// Inserts the rows of `streams` that follow from the events.
pub(super) const DERIVE_STREAMS: &str = "INSERT INTO streams (aggregate_type, aggregate_id, version, first_position) \
     SELECT aggregate_type, aggregate_id, max(sequence), min(position) FROM events GROUP BY aggregate_type, aggregate_id";

/// Serves a generation without documents that matches no release, since no release's projections have an empty
/// signature: nodes that served the documents of the empty journal refuse from now on, and the next start rebuilds if
/// this process fails.
pub(super) const RETIRE_DOCUMENTS: [&str; 3] = [
    "UPDATE generations SET state = 'retired' WHERE state = 'live'",
    "INSERT INTO generations (id, signature, state) SELECT coalesce(max(id), 0) + 1, '', 'live' FROM generations",
    "UPDATE journal_head SET generation = (SELECT max(id) FROM generations)",
];

/// An empty journal has only its digest key, which no digest uses yet.
pub(super) const FORGET_KEYS: &str = "DELETE FROM subject_keys";

/// Sets position, time and tree of the head.
pub(super) const SET_HEAD: &str = "UPDATE journal_head SET position = $1, recorded_at = $2, frontier = $3";
