//! The statement that commits a batch, all or nothing: assembled from the parts that the batch needs.
//!
//! All parts see the snapshot at the statement's start. While it waits for the head, other commits may happen; but then
//! they have moved the head, and it writes nothing, or they have remembered an answer, which a unique key detects (see
//! `writer.rs`).

mod documents;

use super::{CHANNEL, schema};
use crate::store::{
    Batch, CLOCK_AHEAD_MAX_SECS, ClaimStep, DocumentStep, JournalError, JournalResult, StreamId, assembled, signed,
};
use chrono::Utc;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, Encode, Postgres, SqlStr, Type};
use std::collections::HashMap;

/// Status: written.
pub(super) const WRITTEN: i32 = 0;
/// Status: the head has moved.
pub(super) const HEAD_MOVED: i32 = 1;
/// Status: some conditions failed.
pub(super) const LOST: i32 = 2;
/// Status: no partition for the events exists yet.
pub(super) const NO_ROOM: i32 = 3;
/// Status: the events' time is in the future.
pub(super) const CLOCK_AHEAD: i32 = 4;

/// Status: later releases have changed the tables, so this one must not write to them.
pub(super) const OLD_RELEASE: i32 = 5;

/// Builder of a statement.
#[derive(Default)]
pub(super) struct Statement {
    parts: Vec<String>,
    arguments: PgArguments,
}

impl Statement {
    /// The statement that commits `batch`. Its row has `status`; with [`WRITTEN`] or [`NO_ROOM`] the last position with
    /// a partition (`room`), with [`LOST`] the indexes of lost conditions (`lost_streams`, `lost_takes`,
    /// `lost_answers`). Reads count as streams after the changed ones.
    pub(super) fn commit(batch: &Batch) -> JournalResult<(SqlStr, PgArguments)> {
        let mut statement = Statement::default();
        let head = statement.argument(signed(batch.expected_head)?)?;
        let end = statement.argument(signed(batch.expected_head + batch.events.len() as u64)?)?;
        let streams = statement.streams(batch.streams.iter().map(|step| &step.stream))?;
        let (takes, releases) = (statement.steps(&batch.takes)?, statement.steps(&batch.releases)?);
        statement.conditions(batch, &head, &end, streams.as_deref(), takes.as_deref(), releases.as_deref())?;
        if let Some(streams) = &streams {
            statement.events(batch, &head, &end, streams)?;
        }
        statement.claims(takes.as_deref(), releases.as_deref());
        if !batch.subject_keys.is_empty() {
            let keys = &batch.subject_keys;
            let lists = [
                statement.argument(keys.iter().map(|step| step.subject_id.as_str()).collect::<Vec<_>>())?,
                statement.argument(keys.iter().map(|step| step.wrapped.as_slice()).collect::<Vec<_>>())?,
            ];
            statement.insert("new_keys", "subject_keys (subject_id, wrapped_key)", &lists.join(", "), "");
        }
        statement.answers(batch)?;
        statement.documents(batch.generation, &batch.documents, &batch.counts)?;
        let told = match batch.events.is_empty() {
            true => String::new(),
            false => format!(", CASE WHEN status = {WRITTEN} THEN pg_notify({CHANNEL}, {end}::text) END"),
        };
        Ok(statement.ending(&format!("SELECT status, room, lost_streams, lost_takes, lost_answers{told} FROM checked")))
    }

    /// The statement that writes documents of a generation, without conditions on the journal.
    pub(super) fn write<'q>(
        generation: u64,
        documents: impl IntoIterator<Item = &'q DocumentStep>,
        counts: &'q HashMap<String, i64>,
    ) -> JournalResult<(SqlStr, PgArguments)> {
        let mut statement = Statement::default();
        statement.part("checked", &format!("SELECT {WRITTEN} AS status"));
        statement.documents(generation, documents, counts)?;
        Ok(statement.ending("SELECT status FROM checked"))
    }

    fn argument<'q, T: Encode<'q, Postgres> + Type<Postgres> + 'q>(&mut self, value: T) -> JournalResult<String> {
        self.arguments.add(value).map_err(|error| JournalError::corrupt(error.to_string()))?;
        Ok(format!("${}", self.arguments.len()))
    }

    fn part(&mut self, name: &str, text: &str) {
        self.parts.push(format!("{name} AS ({text})"));
    }

    /// Adds a part that inserts rows of some `lists` into a table, if all conditions hold; `after` handles existing
    /// rows.
    fn insert(&mut self, name: &str, table: &str, lists: &str, after: &str) {
        self.part(
            name,
            &format!(
                "INSERT INTO {table} SELECT u.* FROM checked, unnest({lists}) u WHERE checked.status = {WRITTEN}{after}"
            ),
        );
    }

    fn ending(self, last: &str) -> (SqlStr, PgArguments) {
        (assembled(format!("WITH {} {last}", self.parts.join(", "))), self.arguments)
    }

    /// Locks the head and finds lost conditions, as indexes into the batch.
    fn conditions(
        &mut self,
        batch: &Batch,
        head: &str,
        end: &str,
        streams: Option<&str>,
        takes: Option<&str>,
        releases: Option<&str>,
    ) -> JournalResult<()> {
        let generation = self.argument(signed(batch.generation)?)?;
        let frontier = self.argument(batch.expected_frontier.to_bytes())?;
        let text = "SELECT position, generation, frontier, partitioned_until, recorded_at, least_schema \
                    FROM journal_head FOR UPDATE";
        self.part("head", text);
        let schema = schema();
        let mut lists = ["NULL::bigint[]"; 3];
        if let Some(versions) = self.versions(batch, streams)? {
            self.part(
                "other_versions",
                &format!(
                    "SELECT array_agg(u.n - 1) AS list FROM unnest({versions}) WITH ORDINALITY u (t, i, v, n) \
                     LEFT JOIN streams s ON s.aggregate_type = u.t AND s.aggregate_id = u.i \
                     WHERE coalesce(s.version, 0) <> u.v"
                ),
            );
            lists[0] = "(SELECT list FROM other_versions)";
        }
        if let Some(takes) = takes {
            let released = releases.map_or_else(String::new, |releases| {
                format!(
                    " WHERE NOT EXISTS (SELECT 1 FROM unnest({releases}) r (k, t, i) \
                     WHERE r.k = c.key AND r.t = c.aggregate_type AND r.i = c.aggregate_id)"
                )
            });
            // A claim is lost if another aggregate holds it and does not release it in this batch.
            self.part(
                "held_by_others",
                &format!(
                    "SELECT array_agg(u.n - 1) AS list FROM unnest({takes}) WITH ORDINALITY u (k, t, i, n) \
                     JOIN claims c ON c.key = u.k AND (c.aggregate_type <> u.t OR c.aggregate_id <> u.i){released}"
                ),
            );
            lists[1] = "(SELECT list FROM held_by_others)";
        }
        if !batch.answers.is_empty() {
            let keys = self.argument(batch.answers.iter().map(|step| step.key.as_slice()).collect::<Vec<_>>())?;
            self.part(
                "answered",
                &format!(
                    "SELECT array_agg(u.n - 1) AS list FROM unnest({keys}) WITH ORDINALITY u (k, n) \
                     JOIN idempotency_keys a ON a.key = u.k AND a.expires_at > clock_timestamp()"
                ),
            );
            lists[2] = "(SELECT list FROM answered)";
        }
        let [streams, takes, answers] = lists;
        // If the head itself is ahead, its time was recorded before this check existed; the batch's time may equal it,
        // not exceed it.
        let ahead = match batch.events.is_empty() {
            true => "false".to_owned(),
            false => {
                let recorded_at = self.argument(batch.recorded_at)?;
                format!(
                    "{recorded_at} > clock_timestamp() + interval '{CLOCK_AHEAD_MAX_SECS} s' AND {recorded_at} > h.recorded_at"
                )
            }
        };
        self.part(
            "found",
            &format!(
                "SELECT h.position, h.generation, h.frontier, h.partitioned_until, h.least_schema > {schema} AS outdated, \
                 {ahead} AS ahead, {streams} AS lost_streams, \
                 {takes} AS lost_takes, {answers} AS lost_answers FROM head h"
            ),
        );
        self.parts.push(format!(
            "checked AS MATERIALIZED (SELECT CASE WHEN outdated THEN {OLD_RELEASE} \
             WHEN position <> {head} OR generation <> {generation} \
             OR frontier <> {frontier} THEN {HEAD_MOVED} WHEN ahead THEN {CLOCK_AHEAD} \
             WHEN lost_streams IS NOT NULL OR lost_takes IS NOT NULL OR lost_answers IS NOT NULL THEN {LOST} \
             WHEN partitioned_until < {end} THEN {NO_ROOM} ELSE {WRITTEN} END AS status, \
             partitioned_until AS room, lost_streams, lost_takes, lost_answers FROM found)"
        ));
        Ok(())
    }

    /// Types, identifiers and expected versions of the streams that a batch changes or reads, as three lists; `None`
    /// without streams and reads.
    fn versions(&mut self, batch: &Batch, streams: Option<&str>) -> JournalResult<Option<String>> {
        let changed = match streams {
            Some(streams) => Some(format!("{streams}, {}", self.numbers(batch.streams.iter().map(|step| step.from))?)),
            None => None,
        };
        let Some(reads) = self.streams(batch.reads.iter().map(|step| &step.stream))? else { return Ok(changed) };
        let reads = format!("{reads}, {}", self.numbers(batch.reads.iter().map(|step| step.version))?);
        Ok(Some(match changed {
            Some(changed) => {
                let lists: Vec<_> =
                    changed.split(", ").zip(reads.split(", ")).map(|(one, more)| format!("{one} || {more}")).collect();
                lists.join(", ")
            }
            None => reads,
        }))
    }

    fn events(&mut self, batch: &Batch, head: &str, end: &str, streams: &str) -> JournalResult<()> {
        let events = &batch.events;
        let recorded_at = self.argument(batch.recorded_at)?;
        let frontier = self.argument(batch.frontier.to_bytes())?;
        let lists = [
            self.argument(events.iter().map(|event| event.aggregate_type.as_str()).collect::<Vec<_>>())?,
            self.argument(events.iter().map(|event| event.aggregate_id.as_str()).collect::<Vec<_>>())?,
            self.numbers(events.iter().map(|event| event.sequence))?,
            self.argument(events.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>())?,
            self.argument(events.iter().map(|event| event.event_version.as_str()).collect::<Vec<_>>())?,
            self.argument(events.iter().map(|event| event.payload.as_str()).collect::<Vec<_>>())?,
            self.argument(events.iter().map(|event| event.metadata.as_str()).collect::<Vec<_>>())?,
            self.argument(events.iter().map(|event| event.leaf_hash.as_slice()).collect::<Vec<_>>())?,
        ]
        .join(", ");
        self.part(
            "new_events",
            &format!(
                "INSERT INTO events (position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, \
                 event_version, payload, metadata, leaf_hash) \
                 SELECT {head} + u.n, {recorded_at}, u.t, u.i, u.s, u.et, u.ev, u.p::json, u.m::json, u.l \
                 FROM checked, unnest({lists}) WITH ORDINALITY u (t, i, s, et, ev, p, m, l, n) \
                 WHERE checked.status = {WRITTEN}"
            ),
        );
        let to = self.numbers(batch.streams.iter().map(|step| step.to))?;
        let first = self.numbers(batch.streams.iter().map(|step| step.first_position))?;
        // Under the head lock no other writer can have written the stream; existing ones get an update.
        self.insert(
            "versions",
            "streams (aggregate_type, aggregate_id, version, first_position)",
            &format!("{streams}, {to}, {first}"),
            " ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET version = excluded.version",
        );
        self.part(
            "new_head",
            &format!(
                "UPDATE journal_head SET position = {end}, recorded_at = {recorded_at}, frontier = {frontier} \
                 FROM checked WHERE checked.status = {WRITTEN}"
            ),
        );
        Ok(())
    }

    fn claims(&mut self, takes: Option<&str>, releases: Option<&str>) {
        // A key may change hands: it is released before it is taken.
        let mut after = "";
        if let Some(releases) = releases {
            self.part(
                "released",
                &format!(
                    "DELETE FROM claims c USING checked, unnest({releases}) u (k, t, i) \
                     WHERE c.key = u.k AND c.aggregate_type = u.t AND c.aggregate_id = u.i \
                     AND checked.status = {WRITTEN} RETURNING 1"
                ),
            );
            after = ", (SELECT count(*) FROM released) r";
        }
        if let Some(takes) = takes {
            // Claims already held by the taker stay.
            self.part(
                "taken",
                &format!(
                    "INSERT INTO claims (key, aggregate_type, aggregate_id) SELECT u.k, u.t, u.i \
                     FROM checked{after}, unnest({takes}) u (k, t, i) WHERE checked.status = {WRITTEN} \
                     AND NOT EXISTS (SELECT 1 FROM claims c \
                     WHERE c.key = u.k AND c.aggregate_type = u.t AND c.aggregate_id = u.i)"
                ),
            );
        }
    }

    fn answers(&mut self, batch: &Batch) -> JournalResult<()> {
        let answers = &batch.answers;
        if answers.is_empty() {
            return Ok(());
        }
        let keys = self.argument(answers.iter().map(|step| step.key.as_slice()).collect::<Vec<_>>())?;
        let fingerprints =
            self.argument(answers.iter().map(|step| step.answer.fingerprint.as_slice()).collect::<Vec<_>>())?;
        let sealed = self.argument(answers.iter().map(|step| step.answer.answer.as_slice()).collect::<Vec<_>>())?;
        // Expiry is computed by the database's clock, which may differ from this node's.
        let now = Utc::now();
        let lives = answers.iter().map(|step| (step.expires_at - now).as_seconds_f64());
        let lives = self.argument(lives.collect::<Vec<_>>())?;
        self.part(
            "expired",
            &format!(
                "DELETE FROM idempotency_keys a USING checked WHERE a.key = ANY ({keys}) \
                 AND checked.status = {WRITTEN} RETURNING 1"
            ),
        );
        self.part(
            "new_answers",
            &format!(
                "INSERT INTO idempotency_keys (key, fingerprint, answer, expires_at) \
                 SELECT u.k, u.f, u.s, clock_timestamp() + u.l * interval '1 s' \
                 FROM (SELECT count(*) FROM expired) e, checked, \
                 unnest({keys}, {fingerprints}, {sealed}, {lives}) u (k, f, s, l) WHERE checked.status = {WRITTEN}"
            ),
        );
        Ok(())
    }

    fn numbers(&mut self, numbers: impl Iterator<Item = u64>) -> JournalResult<String> {
        self.argument(numbers.map(signed).collect::<JournalResult<Vec<i64>>>()?)
    }

    /// Types and identifiers of streams, as two lists; `None` without streams.
    fn streams<'s>(&mut self, streams: impl Iterator<Item = &'s StreamId>) -> JournalResult<Option<String>> {
        let (types, ids): (Vec<_>, Vec<_>) =
            streams.map(|stream| (stream.aggregate_type, stream.aggregate_id.as_str())).unzip();
        if types.is_empty() {
            return Ok(None);
        }
        let (types, ids) = (self.argument(types)?, self.argument(ids)?);
        Ok(Some(format!("{types}, {ids}")))
    }

    /// Keys of claims and their holders' types and identifiers, as three lists; `None` without claims.
    fn steps(&mut self, claims: &[ClaimStep]) -> JournalResult<Option<String>> {
        if claims.is_empty() {
            return Ok(None);
        }
        let keys = self.argument(claims.iter().map(|step| step.key.as_str()).collect::<Vec<_>>())?;
        let types = self.argument(claims.iter().map(|step| step.holder.aggregate_type).collect::<Vec<_>>())?;
        let ids = self.argument(claims.iter().map(|step| step.holder.aggregate_id.as_str()).collect::<Vec<_>>())?;
        Ok(Some(format!("{keys}, {types}, {ids}")))
    }
}
