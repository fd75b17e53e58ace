//! [`DocumentStore`] on PostgreSQL.

use super::{PostgresStore, UNDEFINED_FUNCTION, UNDEFINED_TABLE, schema as known_schema};
use crate::store::documents::NewGeneration;
use crate::store::sql::{self, Argument, Dialect, Statement};
use crate::store::statements::{
    ADD_GENERATION, FAIL_GENERATION, FORGET_GENERATION, GENERATIONS, LATEST_GENERATION, SERVE_FIRST, SIGNATURE,
};
use crate::store::{
    Body, DocumentStore, Generation, JournalResult, LookupSnapshot, Moment, Rows, assembled, check_schema, limited,
    rows, schema, signed, unsigned,
};
use async_trait::async_trait;
use registrar_projections::CollectionId;
use sqlx::{Executor, Row};
use std::collections::HashMap;

/// Sorting in memory for an index deserves more than the default of 64 MB, as long as it is one at a time. The server
/// keeps answering meanwhile: parallel workers on one index take all cores of a small machine, and finish no sooner
/// there.
const INDEX_SETTINGS: &str = "SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = 0; \
     SET synchronous_commit = off";
/// Whether a table or function does not exist, as after its generation was dropped.
fn is_gone(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| [UNDEFINED_TABLE, UNDEFINED_FUNCTION].contains(&&*code))
}

#[async_trait]
impl DocumentStore for PostgresStore {
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
            Err(sqlx::Error::Database(error)) if is_gone(&*error) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        // A constant 0 is a 32-bit integer to PostgreSQL.
        rows::list(&found, |row| row.try_get("total").map_or(Ok(0), unsigned)).map(Some)
    }

    async fn look_up(
        &self,
        generation: u64,
        collection: CollectionId,
        key: &'static str,
        values: &[&str],
    ) -> JournalResult<Option<LookupSnapshot>> {
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
                LookupSnapshot::of(position, generation, documents).map(Some)
            }
            Err(sqlx::Error::Database(error)) if is_gone(&*error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn moment(&self) -> JournalResult<Moment> {
        let query = || sqlx::query_as(sql::MOMENT);
        let (position, generation, least_schema) = self.reading(|| query().fetch_one(&self.walks)).await?;
        check_schema(least_schema, known_schema())?;
        Moment::of(position, generation)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn generations(&self) -> JournalResult<Vec<Generation>> {
        rows::generations(&self.reading(|| sqlx::query(GENERATIONS).fetch_all(&self.searches)).await?)
    }

    async fn signature(&self, generation: u64) -> JournalResult<Option<String>> {
        let query = sqlx::query_scalar(SIGNATURE).bind(signed(generation)?);
        Ok(query.fetch_optional(&self.pool).await?)
    }

    async fn create_generation(&self, signature: &str) -> JournalResult<u64> {
        let mut transaction = self.pool.begin().await?;
        // Takes the head lock: of two nodes that start on an empty database one makes the generation, the other finds
        // it.
        let head = sqlx::query_as("SELECT position, generation FROM journal_head FOR UPDATE");
        let head = head.fetch_one(&mut *transaction).await?;
        let latest = sqlx::query_scalar(LATEST_GENERATION).fetch_one(&mut *transaction).await?;
        let (id, first) = match NewGeneration::after(head, latest)? {
            NewGeneration::Made(id) => return Ok(id),
            NewGeneration::Make(id, first) => (id, first),
        };
        for statement in schema::made(id, first, Dialect::Postgres) {
            sqlx::query(assembled(statement)).persistent(false).execute(&mut *transaction).await?;
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

    // One index per transaction, so finished ones stay. Only the rebuild writes to these tables, so no other writer
    // waits.
    async fn index_generation(&self, generation: u64) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        connection.execute(INDEX_SETTINGS).await?;
        for statement in schema::indexes(generation) {
            sqlx::query(assembled(statement)).persistent(false).execute(&mut connection).await?;
        }
        // Without statistics the planner reads a million documents for a page of ten, and without a visibility map each
        // document that a page skips is read, until autovacuum runs.
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
        let failed = sqlx::query(FAIL_GENERATION).bind(signed(generation)?).bind(signed(position)?).bind(error);
        failed.execute(&self.pool).await?;
        Ok(())
    }

    async fn drop_generation(&self, generation: u64) -> JournalResult<()> {
        let mut transaction = self.pool.begin().await?;
        let forgotten = sqlx::query(FORGET_GENERATION).bind(signed(generation)?).execute(&mut *transaction).await?;
        if forgotten.rows_affected() == 0 {
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
        let text = assembled(sql::page_by_id(collection.collection(), generation, Dialect::Postgres));
        Ok(sqlx::query_as(text).bind(after).bind(limited(limit)).fetch_all(&self.pool).await?)
    }

    async fn body_of(&self, generation: u64, collection: CollectionId, id: &str) -> JournalResult<Option<String>> {
        let text = assembled(sql::body(collection.collection(), generation, Dialect::Postgres));
        Ok(sqlx::query_scalar(text).bind(id).fetch_optional(&self.pool).await?)
    }

    async fn dump(&self, generation: u64, collection: CollectionId) -> JournalResult<Vec<(String, String)>> {
        let text = assembled(sql::all(collection.collection(), generation, Dialect::Postgres));
        Ok(sqlx::query_as(text).fetch_all(&self.pool).await?)
    }
}
