//! Documents on PostgreSQL.

use super::sql::{Argument, Dialect, Statement};
use super::{Body, Generation, LookedUp, Moment, ReadStore, Rows, schema, sql};
use crate::journal::postgres::{self, PostgresStore, signed};
use crate::journal::{JournalError, JournalResult, assembled, check_schema};
use async_trait::async_trait;
use registrar_projections::CollectionId;
use sqlx::postgres::PgRow;
use sqlx::{Executor, Row};
use std::collections::HashMap;

/// Sorting in memory what goes into an index is worth more than the default of 64 MB, as long as it is one at a time.
/// A server answers meanwhile: several processes at one index take all cores of a small machine, and end no sooner there.
const INDEX_SETTINGS: &str = "SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = 0; \
     SET synchronous_commit = off";
/// Table or function that is not there.
const UNDEFINED: [&str; 2] = ["42P01", "42883"];

fn unsigned(row: &PgRow, column: &str) -> JournalResult<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(JournalError::corrupt)
}

#[async_trait]
impl ReadStore for PostgresStore {
    async fn query(&self, statement: &Statement) -> JournalResult<Option<Rows>> {
        let planned_anew = statement.arguments.iter().any(Argument::is_long);
        let text = assembled(statement.sql.clone());
        let query = || {
            let query = sqlx::query(text.clone()).persistent(!planned_anew);
            statement.arguments.iter().fold(query, |query, argument| match argument {
                Argument::Text(text) => query.bind(text),
                Argument::Integer(number) => query.bind(number),
                Argument::Texts(texts) => query.bind(texts),
            })
        };
        let found = match self.reading(|| query().fetch_all(&self.searches)).await {
            Ok(found) => found,
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| UNDEFINED.contains(&&*code)) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut rows = Rows::default();
        for row in &found {
            rows.position = unsigned(row, "position")?;
            rows.generation = unsigned(row, "generation")?;
            // A constant 0 is a 32-bit integer to PostgreSQL.
            rows.total = match row.try_get::<i64, _>("total") {
                Ok(total) => u64::try_from(total).map_err(JournalError::corrupt)?,
                Err(_) => 0,
            };
            rows.bodies.extend(row.try_get::<Option<String>, _>("body")?);
        }
        Ok(Some(rows))
    }

    async fn look_up(
        &self,
        generation: u64,
        collection: CollectionId,
        key: &'static str,
        values: &[&str],
    ) -> JournalResult<Option<LookedUp>> {
        let text = assembled(sql::look_up(collection.collection(), generation, key, Dialect::Postgres));
        let query = || sqlx::query_as(text.clone()).bind(values);
        match self.reading(|| query().fetch_one(&self.walks)).await {
            Ok((position, generation, values, ids, bodies, digests)) => {
                let [values, ids, bodies] =
                    [values, ids, bodies].map(|list: Option<Vec<String>>| list.unwrap_or_default());
                let digests: Option<Vec<Option<String>>> = digests;
                let bodies = ids.into_iter().zip(bodies).zip(digests.unwrap_or_default());
                let bodies = bodies.map(|((id, text), digest)| Body::new(id, text, digest));
                let documents = values.into_iter().zip(bodies);
                LookedUp::of(position, generation, documents).map(Some)
            }
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| UNDEFINED.contains(&&*code)) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn moment(&self) -> JournalResult<Moment> {
        let query = || sqlx::query_as(sql::MOMENT);
        let (position, generation, least_schema) = self.reading(|| query().fetch_one(&self.walks)).await?;
        check_schema(least_schema, postgres::schema())?;
        Moment::of(position, generation)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn generations(&self) -> JournalResult<Vec<Generation>> {
        let text = "SELECT id, signature, state, checkpoint, error_position, error FROM generations ORDER BY id";
        let rows = self.reading(|| sqlx::query(text).fetch_all(&self.searches)).await?;
        rows.iter()
            .map(|row| {
                let error_position: Option<i64> = row.try_get("error_position")?;
                Ok(Generation {
                    id: unsigned(row, "id")?,
                    signature: row.try_get("signature")?,
                    state: row.try_get("state")?,
                    checkpoint: unsigned(row, "checkpoint")?,
                    error_position: error_position.map(u64::try_from).transpose().map_err(JournalError::corrupt)?,
                    error: row.try_get("error")?,
                })
            })
            .collect()
    }

    async fn signature(&self, generation: u64) -> JournalResult<Option<String>> {
        let query = sqlx::query_scalar("SELECT signature FROM generations WHERE id = $1").bind(signed(generation)?);
        Ok(query.fetch_optional(&self.pool).await?)
    }

    async fn create_generation(&self, signature: &str) -> JournalResult<u64> {
        let mut transaction = self.pool.begin().await?;
        // The head's lock: of two nodes that start on an empty database one makes the generation, the other finds it.
        let head: (i64, i64) = sqlx::query_as("SELECT position, generation FROM journal_head FOR UPDATE")
            .fetch_one(&mut *transaction)
            .await?;
        let latest: Option<i64> =
            sqlx::query_scalar("SELECT max(id) FROM generations").fetch_one(&mut *transaction).await?;
        let first = latest.is_none() && head.0 == 0;
        if head.1 != 0 && head.0 == 0 {
            return u64::try_from(head.1).map_err(JournalError::corrupt);
        }
        let id = u64::try_from(latest.unwrap_or_default() + 1).map_err(JournalError::corrupt)?;
        let statements = if first { schema::create } else { schema::tables };
        for statement in statements(id, Dialect::Postgres) {
            sqlx::query(assembled(statement)).persistent(false).execute(&mut *transaction).await?;
        }
        sqlx::query("INSERT INTO generations (id, signature, state) VALUES ($1, $2, $3)")
            .bind(signed(id)?)
            .bind(signature)
            .bind(if first { "live" } else { "building" })
            .execute(&mut *transaction)
            .await?;
        if first {
            sqlx::query("UPDATE journal_head SET generation = $1").bind(signed(id)?).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(id)
    }

    // One index a transaction: what is made stays made. Only the rebuild writes to these tables, so nobody is kept waiting.
    async fn index_generation(&self, generation: u64) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        connection.execute(INDEX_SETTINGS).await?;
        for statement in schema::indexes(generation) {
            sqlx::query(assembled(statement)).persistent(false).execute(&mut connection).await?;
        }
        // Without a word on what is in them the planner goes through a million documents for a page of ten, and without a
        // note that everybody sees a document each one that a page passes over is read, until the server comes round to
        // looking by itself.
        for id in CollectionId::ALL {
            let text = format!("VACUUM (ANALYZE) {}", sql::table(id.collection(), generation));
            sqlx::query(assembled(text)).persistent(false).execute(&mut connection).await?;
        }
        Ok(())
    }

    async fn is_half_indexed(&self, _: u64) -> JournalResult<bool> {
        Ok(false)
    }

    async fn fail_generation(&self, generation: u64, position: u64, error: &str) -> JournalResult<()> {
        sqlx::query("UPDATE generations SET state = 'failed', error_position = $2, error = $3 WHERE id = $1")
            .bind(signed(generation)?)
            .bind(signed(position)?)
            .bind(error)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn drop_generation(&self, generation: u64) -> JournalResult<()> {
        let mut transaction = self.pool.begin().await?;
        let deleted = sqlx::query("DELETE FROM generations WHERE id = $1 AND state <> 'live'")
            .bind(signed(generation)?)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(());
        }
        for statement in schema::drop(generation, Dialect::Postgres) {
            sqlx::query(assembled(statement)).persistent(false).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn differing(
        &self,
        collection: CollectionId,
        one: u64,
        other: u64,
        limit: i64,
    ) -> JournalResult<Vec<String>> {
        let text = assembled(sql::differing(collection.collection(), one, other, Dialect::Postgres));
        Ok(sqlx::query_scalar(text).bind(limit).fetch_all(&mut self.connect().await?).await?)
    }

    async fn rows(
        &self,
        collection: CollectionId,
        generation: u64,
        ids: &[String],
    ) -> JournalResult<HashMap<String, String>> {
        let text = assembled(sql::rows(collection.collection(), generation, Dialect::Postgres));
        Ok(sqlx::query_as(text).bind(ids).fetch_all(&self.pool).await?.into_iter().collect())
    }

    async fn page_of(
        &self,
        generation: u64,
        collection: CollectionId,
        after: &str,
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let table = sql::table(collection.collection(), generation);
        let text = assembled(format!("SELECT id, body::text FROM {table} WHERE id > $1 ORDER BY id LIMIT $2"));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(sqlx::query_as(text).bind(after).bind(limit).fetch_all(&self.pool).await?)
    }

    async fn body_of(&self, generation: u64, collection: CollectionId, id: &str) -> JournalResult<Option<String>> {
        let table = sql::table(collection.collection(), generation);
        let text = assembled(format!("SELECT body::text FROM {table} WHERE id = $1"));
        Ok(sqlx::query_scalar(text).bind(id).fetch_optional(&self.pool).await?)
    }

    async fn dump(&self, generation: u64, collection: CollectionId) -> JournalResult<Vec<(String, String)>> {
        let table = sql::table(collection.collection(), generation);
        let text = assembled(format!("SELECT id, body::text FROM {table} ORDER BY id"));
        Ok(sqlx::query_as(text).fetch_all(&self.pool).await?)
    }
}
