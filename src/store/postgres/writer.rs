//! [`JournalWriter`] on PostgreSQL.

use super::copy::copy_documents;
use super::statement::{self, Statement};
use super::{UNDEFINED_TABLE, schema};
use crate::store::rows::{self, Columns};
use crate::store::statements::{CHECKPOINT, FENCE, HEAD, NOTE_BUILT, SERVE};
use crate::store::{
    Batch, Body, Committed, DocumentRows, FailedConditions, Head, JournalError, JournalResult, JournalWriter, StreamId,
    assembled, signed, sql, unsigned,
};
use async_trait::async_trait;
use registrar_projections::{ChangeKind, CollectionId};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};
use std::collections::HashMap;

/// Positions beyond the head that should have a partition: a partition that cannot be made at once fails no append
/// while some are left.
const ROOM_AHEAD: u64 = 4096;

pub(super) struct PostgresWriter {
    connection: PgConnection,
    locked: bool,
}

impl PostgresWriter {
    /// Prepares a connection for commits.
    pub(super) async fn new(mut connection: PgConnection) -> JournalResult<Self> {
        // The commit is one statement with a generic plan of index look-ups only: planning or compiling it each time
        // costs many times its execution. An acknowledged commit is on disk.
        for setting in [
            "SET jit = off",
            "SET plan_cache_mode = force_generic_plan",
            "SET enable_seqscan = off",
            "SET enable_hashjoin = off",
            "SET enable_mergejoin = off",
            "SET synchronous_commit = on",
            // A node that is cut off or frozen while it holds the head must not stop the others for good.
            "SET idle_in_transaction_session_timeout = '5s'",
            // Both end before the node gives up waiting: an abandoned commit must not happen minutes later, and
            // statements of waiting nodes must not pile up behind a frozen one.
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

/// Whether other commits came between a statement's start and its turn: they dropped the generation after a swap
/// (`undefined_table`), or wrote a row that the statement could not see (`unique_violation`).
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
                    let room = row.number("room")?;
                    if !self.locked && !batch.events.is_empty() && room < end + ROOM_AHEAD {
                        // The batch is on disk, and some positions are left: a failure here must not fail the commit.
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
                // Closing the connection releases the head, if it is locked.
                statement::OLD_RELEASE => return Err(JournalError::OldRelease),
                statement::LOST => {
                    let (streams, reads) = FailedConditions::split_reads(indexes(&row, "lost_streams")?, batch);
                    break Committed::Lost(FailedConditions {
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
        rows::head(&sqlx::query(text).fetch_one(&mut self.connection).await?, schema())
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
        query.fetch_all(&mut self.connection).await?.iter().map(|row| row.number("version")).collect()
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

    async fn build(&mut self, generation: u64, rows: &DocumentRows, checkpoint: u64) -> JournalResult<()> {
        let mut transaction = self.connection.begin().await?;
        let (new, others): (Vec<_>, Vec<_>) = rows.documents.iter().partition(|step| step.kind == ChangeKind::Insert);
        copy_documents(&mut transaction, generation, &new).await?;
        let (text, arguments) = Statement::write(generation, others, &rows.counts)?;
        sqlx::query_with(text, arguments).execute(&mut *transaction).await?;
        let built = sqlx::query(NOTE_BUILT).bind(signed(generation)?).bind(signed(checkpoint)?);
        built.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn follow(
        &mut self,
        generation: u64,
        follower: &str,
        rows: &DocumentRows,
        (from, to): (u64, u64),
    ) -> JournalResult<bool> {
        let mut transaction = self.connection.begin().await?;
        let fence = sqlx::query(FENCE).bind(follower).bind(signed(generation)?).bind(signed(to)?).bind(signed(from)?);
        let moved = fence.execute(&mut *transaction).await?.rows_affected() > 0;
        if moved {
            write_documents(&mut transaction, generation, rows).await?;
            transaction.commit().await?;
        }
        Ok(moved)
    }

    async fn checkpoint(&mut self, generation: u64, follower: &str) -> JournalResult<u64> {
        let query = sqlx::query_scalar(CHECKPOINT).bind(follower).bind(signed(generation)?);
        unsigned(query.fetch_optional(&mut self.connection).await?.unwrap_or_default())
    }

    async fn swap(&mut self, generation: u64, rows: &DocumentRows) -> JournalResult<()> {
        write_documents(&mut self.connection, generation, rows).await?;
        for text in SERVE {
            sqlx::query(text).bind(signed(generation)?).execute(&mut self.connection).await?;
        }
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        self.locked = false;
        Ok(())
    }
}

async fn write_documents(connection: &mut PgConnection, generation: u64, rows: &DocumentRows) -> JournalResult<()> {
    let (text, arguments) = Statement::write(generation, &rows.documents, &rows.counts)?;
    sqlx::query_with(text, arguments).execute(connection).await?;
    Ok(())
}
