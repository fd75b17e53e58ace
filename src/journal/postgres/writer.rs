//! The one that commits, on PostgreSQL.

use super::copy::copy_documents;
use super::statement::{self, Statement};
use super::{HEAD, head, signed, unsigned};
use crate::folding::Rows;
use crate::journal::{
    Batch, Committed, FENCE, Head, JournalError, JournalResult, JournalWriter, Lost, StreamId, assembled,
};
use crate::read_store::{Body, sql};
use async_trait::async_trait;
use registrar_projections::{ChangeKind, CollectionId};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};
use std::collections::HashMap;

/// Positions beyond the head for which there is to be a partition: one that cannot be made at once fails no append as
/// long as there is room.
const ROOM_AHEAD: u64 = 4096;

pub(super) struct PostgresWriter {
    connection: PgConnection,
    locked: bool,
}

impl PostgresWriter {
    /// Makes a connection one that commits.
    pub(super) async fn new(mut connection: PgConnection) -> JournalResult<Self> {
        // The commit is one statement with a generic plan of index look-ups only: planning it anew each time, or
        // compiling it, costs many times what it does. An acknowledged commit is on disk.
        for setting in [
            "SET jit = off",
            "SET plan_cache_mode = force_generic_plan",
            "SET enable_seqscan = off",
            "SET enable_hashjoin = off",
            "SET enable_mergejoin = off",
            "SET synchronous_commit = on",
            // A node that is cut off or frozen while it holds the head must not stop the others for good.
            "SET idle_in_transaction_session_timeout = '5s'",
            // Both end before the node gives up waiting: what it has given up must not be committed minutes later, and
            // statements of nodes that wait must not pile up behind one that is frozen.
            "SET lock_timeout = '6s'",
            "SET statement_timeout = '7s'",
        ] {
            sqlx::query(setting).execute(&mut connection).await?;
        }
        Ok(PostgresWriter { connection, locked: false })
    }

    /// Makes partitions for the events beyond `position`, under the head lock.
    async fn make_room(&mut self, position: u64) -> JournalResult<()> {
        let was_locked = self.locked;
        if !was_locked {
            self.lock().await?;
        }
        sqlx::query("SELECT partition_events($1)").bind(signed(position)?).execute(&mut self.connection).await?;
        if !was_locked {
            sqlx::query("COMMIT").execute(&mut self.connection).await?;
            self.locked = false;
        }
        Ok(())
    }
}

/// `undefined_table`: that of a generation which was dropped.
const UNDEFINED_TABLE: &str = "42P01";

/// Whether others were there between the beginning of a statement and its turn: a generation that they swapped away and
/// dropped (`undefined_table`), or a row that they wrote and that it could not see (`unique_violation`).
fn is_outrun(error: &sqlx::Error) -> bool {
    let code = match error {
        sqlx::Error::Database(error) => error.code(),
        _ => None,
    };
    code.is_some_and(|code| [UNDEFINED_TABLE, "23505"].contains(&&*code))
}

fn indexes(row: &PgRow, column: &str) -> JournalResult<Vec<usize>> {
    let found: Option<Vec<i64>> = row.try_get(column)?;
    found.unwrap_or_default().into_iter().map(|index| usize::try_from(index).map_err(JournalError::corrupt)).collect()
}

#[async_trait]
impl JournalWriter for PostgresWriter {
    async fn commit(&mut self, batch: &Batch) -> JournalResult<Committed> {
        let end = batch.expected_head + batch.events.len() as u64;
        let mut room_made = false;
        let committed = loop {
            let (text, arguments) = Statement::commit(batch)?;
            let row = match sqlx::query_with(text, arguments).fetch_one(&mut self.connection).await {
                Ok(row) => row,
                Err(error) if !self.locked && is_outrun(&error) => return Ok(Committed::HeadMoved),
                Err(error) => return Err(error.into()),
            };
            match row.try_get::<i32, _>("status")? {
                statement::WRITTEN => {
                    let room = unsigned(&row, "room")?;
                    if !self.locked && !batch.events.is_empty() && room < end + ROOM_AHEAD {
                        // It is on disk, and there is room for some more: whether this succeeds is not its concern.
                        if let Err(error) = self.make_room(end).await {
                            tracing::warn!(error = &error as &dyn std::error::Error, "no further partition for events");
                        }
                    }
                    break Committed::Yes;
                }
                statement::NO_ROOM if !room_made => {
                    self.make_room(end).await?;
                    room_made = true;
                }
                statement::NO_ROOM => return Err(JournalError::corrupt("there is no partition for the events")),
                statement::HEAD_MOVED => break Committed::HeadMoved,
                statement::CLOCK_AHEAD => break Committed::ClockAhead,
                // Whatever holds the head lets go of it with the connection.
                statement::OLD_RELEASE => return Err(JournalError::OldRelease),
                statement::LOST => {
                    let (streams, reads) = Lost::told_apart(indexes(&row, "lost_streams")?, batch);
                    break Committed::Lost(Lost {
                        streams,
                        reads,
                        takes: indexes(&row, "lost_takes")?,
                        answers: indexes(&row, "lost_answers")?,
                    });
                }
                status => return Err(JournalError::corrupt(format!("unknown status {status}"))),
            }
        };
        if self.locked {
            let end = if committed == Committed::Yes { "COMMIT" } else { "ROLLBACK" };
            sqlx::query(end).execute(&mut self.connection).await?;
            self.locked = false;
        }
        Ok(committed)
    }

    async fn lock(&mut self) -> JournalResult<Head> {
        if self.locked {
            self.unlock().await?;
        }
        sqlx::query("BEGIN").execute(&mut self.connection).await?;
        self.locked = true;
        let text = assembled(format!("{HEAD} FOR UPDATE"));
        head(&sqlx::query(text).fetch_one(&mut self.connection).await?)
    }

    async fn unlock(&mut self) -> JournalResult<()> {
        if self.locked {
            sqlx::query("ROLLBACK").execute(&mut self.connection).await?;
            self.locked = false;
        }
        Ok(())
    }

    async fn versions(&mut self, streams: &[StreamId]) -> JournalResult<Vec<u64>> {
        let text = "SELECT coalesce(s.version, 0) AS version FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u (t, i, n) \
             LEFT JOIN streams s ON s.aggregate_type = u.t AND s.aggregate_id = u.i ORDER BY u.n";
        let query = sqlx::query(text)
            .bind(streams.iter().map(|stream| stream.aggregate_type).collect::<Vec<_>>())
            .bind(streams.iter().map(|stream| stream.aggregate_id.as_str()).collect::<Vec<_>>());
        query.fetch_all(&mut self.connection).await?.iter().map(|row| unsigned(row, "version")).collect()
    }

    async fn documents(
        &mut self,
        generation: u64,
        collection: CollectionId,
        ids: &[String],
    ) -> JournalResult<HashMap<String, Body>> {
        let table = sql::table(collection.collection(), generation);
        let text = assembled(format!("SELECT id, body, digest FROM {table} WHERE id = ANY ($1)"));
        match sqlx::query_as(text).bind(ids).fetch_all(&mut self.connection).await {
            Ok(rows) => Ok(rows.into_iter().map(Body::of_row).collect()),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => {
                Err(JournalError::OtherGeneration)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn relax(&mut self) -> JournalResult<()> {
        for setting in ["SET synchronous_commit = off", "SET lock_timeout = 0", "SET statement_timeout = 0"] {
            sqlx::query(setting).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    async fn tighten(&mut self) -> JournalResult<()> {
        sqlx::query("SET synchronous_commit = on").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn build(&mut self, generation: u64, rows: &Rows, checkpoint: u64) -> JournalResult<()> {
        let mut transaction = self.connection.begin().await?;
        let (new, others): (Vec<_>, Vec<_>) = rows.documents.iter().partition(|step| step.kind == ChangeKind::Insert);
        copy_documents(&mut transaction, generation, &new).await?;
        let (text, arguments) = Statement::write(generation, others, &rows.counts)?;
        sqlx::query_with(text, arguments).execute(&mut *transaction).await?;
        sqlx::query("UPDATE generations SET checkpoint = $2 WHERE id = $1")
            .bind(signed(generation)?)
            .bind(signed(checkpoint)?)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn follow(
        &mut self,
        generation: u64,
        follower: &str,
        rows: &Rows,
        (from, to): (u64, u64),
    ) -> JournalResult<bool> {
        let mut transaction = self.connection.begin().await?;
        let served: i64 =
            sqlx::query_scalar("SELECT generation FROM journal_head").fetch_one(&mut *transaction).await?;
        if served != signed(generation)? {
            return Ok(false);
        }
        let moved = sqlx::query(FENCE)
            .bind(follower)
            .bind(signed(generation)?)
            .bind(signed(to)?)
            .bind(signed(from)?)
            .execute(&mut *transaction)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        write_documents(&mut transaction, generation, rows).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn checkpoint(&mut self, generation: u64, follower: &str) -> JournalResult<u64> {
        let text = "SELECT checkpoint FROM followers WHERE name = $1 AND generation = $2";
        let query = sqlx::query_scalar(text).bind(follower).bind(signed(generation)?);
        let checkpoint: Option<i64> = query.fetch_optional(&mut self.connection).await?;
        u64::try_from(checkpoint.unwrap_or_default()).map_err(JournalError::corrupt)
    }

    async fn swap(&mut self, generation: u64, rows: &Rows) -> JournalResult<()> {
        write_documents(&mut self.connection, generation, rows).await?;
        for text in [
            "UPDATE generations SET state = 'retired' WHERE state = 'live' AND id <> $1",
            "UPDATE generations SET state = 'live', checkpoint = (SELECT position FROM journal_head) WHERE id = $1",
            "UPDATE journal_head SET generation = $1",
        ] {
            sqlx::query(text).bind(signed(generation)?).execute(&mut self.connection).await?;
        }
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        self.locked = false;
        Ok(())
    }
}

async fn write_documents(connection: &mut PgConnection, generation: u64, rows: &Rows) -> JournalResult<()> {
    let (text, arguments) = Statement::write(generation, &rows.documents, &rows.counts)?;
    sqlx::query_with(text, arguments).execute(connection).await?;
    Ok(())
}
