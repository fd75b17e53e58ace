//! Documents on SQLite.

use super::sql::{Argument, Dialect, Statement};
use super::{Body, Generation, LookedUp, Moment, ReadStore, Rows, schema, sql};
use crate::journal::sqlite::{self, SqliteStore, signed};
use crate::journal::{JournalError, JournalResult, assembled, check_schema};
use async_trait::async_trait;
use registrar_projections::CollectionId;
use serde_json::json;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};
use std::collections::HashMap;

/// Documents that one transaction makes searchable: some milliseconds.
const SEARCH_ROWS: i64 = 100;

/// Whether a table or trigger of this name is there.
async fn has(connection: &mut SqliteConnection, name: &str) -> JournalResult<bool> {
    let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = $1)").bind(name);
    Ok(query.fetch_one(connection).await?)
}

/// Position, generation, value, id, body and digest.
type LookUpRow = (i64, i64, Option<String>, Option<String>, Option<String>, Option<String>);

fn unsigned(row: &SqliteRow, column: &str) -> JournalResult<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(JournalError::corrupt)
}

#[async_trait]
impl ReadStore for SqliteStore {
    async fn query(&self, statement: &Statement) -> JournalResult<Option<Rows>> {
        let mut query = sqlx::query(assembled(statement.sql.clone()));
        for argument in &statement.arguments {
            query = match argument {
                Argument::Text(text) => query.bind(text),
                Argument::Integer(number) => query.bind(number),
                Argument::Texts(texts) => query.bind(json!(texts).to_string()),
            };
        }
        let found = match query.fetch_all(&self.pool).await {
            Ok(found) => found,
            // SQLite has no code of its own for a table that is not there.
            Err(sqlx::Error::Database(error)) if error.message().starts_with("no such table") => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut rows = Rows::default();
        for row in &found {
            rows.position = unsigned(row, "position")?;
            rows.generation = unsigned(row, "generation")?;
            rows.total = unsigned(row, "total")?;
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
        let text = sql::look_up(collection.collection(), generation, key, Dialect::Sqlite);
        match sqlx::query_as(assembled(text)).bind(json!(values).to_string()).fetch_all(&self.pool).await {
            Ok(rows) => {
                let rows: Vec<LookUpRow> = rows;
                let (position, generation) = rows.first().map_or((0, 0), |row| (row.0, row.1));
                let documents = rows
                    .into_iter()
                    .filter_map(|(_, _, value, id, text, digest)| Some((value?, Body::new(id?, text?, digest))));
                LookedUp::of(position, generation, documents).map(Some)
            }
            Err(sqlx::Error::Database(error)) if error.message().starts_with("no such table") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn moment(&self) -> JournalResult<Moment> {
        let (position, generation, least_schema) = sqlx::query_as(sql::MOMENT).fetch_one(&self.pool).await?;
        check_schema(least_schema, sqlite::schema())?;
        Moment::of(position, generation)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn generations(&self) -> JournalResult<Vec<Generation>> {
        let text = "SELECT id, signature, state, checkpoint, error_position, error FROM generations ORDER BY id";
        let rows = sqlx::query(text).fetch_all(&self.pool).await?;
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
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let head: (i64, i64) =
            sqlx::query_as("SELECT position, generation FROM journal_head").fetch_one(&mut *transaction).await?;
        let latest: Option<i64> =
            sqlx::query_scalar("SELECT max(id) FROM generations").fetch_one(&mut *transaction).await?;
        let first = latest.is_none() && head.0 == 0;
        if head.1 != 0 && head.0 == 0 {
            return u64::try_from(head.1).map_err(JournalError::corrupt);
        }
        let id = u64::try_from(latest.unwrap_or_default() + 1).map_err(JournalError::corrupt)?;
        let statements = if first { schema::create } else { schema::tables };
        for statement in statements(id, Dialect::Sqlite) {
            sqlx::query(assembled(statement)).execute(&mut *transaction).await?;
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

    // An index is made in one transaction, which nobody can write beside: with a million documents that is seconds. So
    // tables have theirs from the beginning; only what is searched, which costs most, comes in many short transactions.
    async fn index_generation(&self, generation: u64) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        for search in schema::searches(generation) {
            if has(&mut connection, &search.last_trigger).await? {
                continue;
            }
            sqlx::query(assembled(search.create)).execute(&mut connection).await?;
            let (filled, fill) = (assembled(search.filled), assembled(search.fill));
            loop {
                let _turn = self.turn().await?;
                let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
                let filled: i64 = sqlx::query_scalar(filled.clone()).fetch_one(&mut *transaction).await?;
                let filling = sqlx::query(fill.clone()).bind(filled).bind(SEARCH_ROWS);
                let done = filling.execute(&mut *transaction).await?.rows_affected() == 0;
                for trigger in search.triggers.iter().filter(|_| done) {
                    sqlx::query(assembled(trigger.clone())).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                if done {
                    break;
                }
            }
        }
        Ok(())
    }

    // Without its triggers a search table does not learn that a document it has is changed.
    async fn is_half_indexed(&self, generation: u64) -> JournalResult<bool> {
        let mut connection = self.pool.acquire().await?;
        for search in schema::searches(generation) {
            if has(&mut connection, &search.name).await? && !has(&mut connection, &search.last_trigger).await? {
                return Ok(true);
            }
        }
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
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let deleted = sqlx::query("DELETE FROM generations WHERE id = $1 AND state <> 'live'")
            .bind(signed(generation)?)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(());
        }
        for statement in schema::drop(generation, Dialect::Sqlite) {
            sqlx::query(assembled(statement)).execute(&mut *transaction).await?;
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
        let text = assembled(sql::differing(collection.collection(), one, other, Dialect::Sqlite));
        Ok(sqlx::query_scalar(text).bind(limit).fetch_all(&self.pool).await?)
    }

    async fn rows(
        &self,
        collection: CollectionId,
        generation: u64,
        ids: &[String],
    ) -> JournalResult<HashMap<String, String>> {
        let text = assembled(sql::rows(collection.collection(), generation, Dialect::Sqlite));
        Ok(sqlx::query_as(text).bind(json!(ids).to_string()).fetch_all(&self.pool).await?.into_iter().collect())
    }

    async fn page_of(
        &self,
        generation: u64,
        collection: CollectionId,
        after: &str,
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let table = sql::table(collection.collection(), generation);
        let text = assembled(format!("SELECT id, body FROM {table} WHERE id > $1 ORDER BY id LIMIT $2"));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(sqlx::query_as(text).bind(after).bind(limit).fetch_all(&self.pool).await?)
    }

    async fn body_of(&self, generation: u64, collection: CollectionId, id: &str) -> JournalResult<Option<String>> {
        let table = sql::table(collection.collection(), generation);
        let text = assembled(format!("SELECT body FROM {table} WHERE id = $1"));
        Ok(sqlx::query_scalar(text).bind(id).fetch_optional(&self.pool).await?)
    }

    async fn dump(&self, generation: u64, collection: CollectionId) -> JournalResult<Vec<(String, String)>> {
        let table = sql::table(collection.collection(), generation);
        let text = assembled(format!("SELECT id, body FROM {table} ORDER BY id"));
        Ok(sqlx::query_as(text).fetch_all(&self.pool).await?)
    }
}
