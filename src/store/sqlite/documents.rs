//! [`DocumentStore`] on SQLite.

use super::{SqliteStore, is_gone, schema as known_schema};
use crate::store::documents::NewGeneration;
use crate::store::rows::{self, Columns};
use crate::store::sql::{self, Argument, Dialect, Statement};
use crate::store::statements::{
    ADD_GENERATION, FAIL_GENERATION, FORGET_GENERATION, GENERATIONS, LATEST_GENERATION, SERVE_FIRST, SIGNATURE,
};
use crate::store::{
    Body, DocumentStore, Generation, JournalResult, LookupSnapshot, Moment, Rows, assembled, check_schema, limited,
    schema, signed,
};
use async_trait::async_trait;
use registrar_projections::CollectionId;
use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;

/// Documents made searchable per transaction: some milliseconds.
const SEARCH_ROWS: i64 = 100;

/// Whether a table or trigger of this name exists.
async fn has(connection: &mut SqliteConnection, name: &str) -> JournalResult<bool> {
    let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = $1)").bind(name);
    Ok(query.fetch_one(connection).await?)
}

/// Position, generation, value, id, body and digest.
type LookUpRow = (i64, i64, Option<String>, Option<String>, Option<String>, Option<String>);

#[async_trait]
impl DocumentStore for SqliteStore {
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
            Err(sqlx::Error::Database(error)) if is_gone(&*error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        rows::list(&found, |row| row.number("total")).map(Some)
    }

    async fn look_up(
        &self,
        generation: u64,
        collection: CollectionId,
        key: &'static str,
        values: &[&str],
    ) -> JournalResult<Option<LookupSnapshot>> {
        let text = sql::look_up(collection.collection(), generation, key, Dialect::Sqlite);
        match sqlx::query_as(assembled(text)).bind(json!(values).to_string()).fetch_all(&self.pool).await {
            Ok(rows) => {
                let rows: Vec<LookUpRow> = rows;
                let (position, generation) = rows.first().map_or((0, 0), |row| (row.0, row.1));
                let documents = rows
                    .into_iter()
                    .filter_map(|(_, _, value, id, text, digest)| Some((value?, Body::new(id?, text?, digest))));
                LookupSnapshot::of(position, generation, documents).map(Some)
            }
            Err(sqlx::Error::Database(error)) if is_gone(&*error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn moment(&self) -> JournalResult<Moment> {
        let (position, generation, least_schema) = sqlx::query_as(sql::MOMENT).fetch_one(&self.pool).await?;
        check_schema(least_schema, known_schema())?;
        Moment::of(position, generation)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn generations(&self) -> JournalResult<Vec<Generation>> {
        rows::generations(&sqlx::query(GENERATIONS).fetch_all(&self.pool).await?)
    }

    async fn signature(&self, generation: u64) -> JournalResult<Option<String>> {
        let query = sqlx::query_scalar(SIGNATURE).bind(signed(generation)?);
        Ok(query.fetch_optional(&self.pool).await?)
    }

    async fn create_generation(&self, signature: &str) -> JournalResult<u64> {
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let head = sqlx::query_as("SELECT position, generation FROM journal_head").fetch_one(&mut *transaction).await?;
        let latest = sqlx::query_scalar(LATEST_GENERATION).fetch_one(&mut *transaction).await?;
        let (id, first) = match NewGeneration::after(head, latest)? {
            NewGeneration::Made(id) => return Ok(id),
            NewGeneration::Make(id, first) => (id, first),
        };
        for statement in schema::made(id, first, Dialect::Sqlite) {
            sqlx::query(assembled(statement)).execute(&mut *transaction).await?;
        }
        let state = if first { "live" } else { "building" };
        let added = sqlx::query(ADD_GENERATION).bind(signed(id)?).bind(signature).bind(state);
        added.execute(&mut *transaction).await?;
        if first {
            sqlx::query(SERVE_FIRST).bind(signed(id)?).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(id)
    }

    // An index is made in one transaction, which blocks all other writers: with a million documents for seconds. So
    // tables have indexes from the beginning; only search tables, the most expensive part, are filled in many short
    // transactions.
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

    // Without its triggers a search table misses changes of documents that it has.
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
        let failed = sqlx::query(FAIL_GENERATION).bind(signed(generation)?).bind(signed(position)?).bind(error);
        failed.execute(&self.pool).await?;
        Ok(())
    }

    async fn drop_generation(&self, generation: u64) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let forgotten = sqlx::query(FORGET_GENERATION).bind(signed(generation)?).execute(&mut *transaction).await?;
        if forgotten.rows_affected() == 0 {
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
        let text = assembled(sql::page_by_id(collection.collection(), generation, Dialect::Sqlite));
        Ok(sqlx::query_as(text).bind(after).bind(limited(limit)).fetch_all(&self.pool).await?)
    }

    async fn body_of(&self, generation: u64, collection: CollectionId, id: &str) -> JournalResult<Option<String>> {
        let text = assembled(sql::body(collection.collection(), generation, Dialect::Sqlite));
        Ok(sqlx::query_scalar(text).bind(id).fetch_optional(&self.pool).await?)
    }

    async fn dump(&self, generation: u64, collection: CollectionId) -> JournalResult<Vec<(String, String)>> {
        let text = assembled(sql::all(collection.collection(), generation, Dialect::Sqlite));
        Ok(sqlx::query_as(text).fetch_all(&self.pool).await?)
    }
}
