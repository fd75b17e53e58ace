//! Audited CRUD: one row per admin, updated in place, and a row of an audit table with the old and the new values, in
//! one transaction; once statement by statement, as in common code, and once as a single statement.

use super::{Acknowledged, Contender, pool, total};
use crate::workload::{Command, RENAMED, decided};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use registrar_aggregates::admin::{Admin, AdminCommand, AdminEvent, Granter, Registration};
use registrar_aggregates::values::check_name;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool, SqlSafeStr, SqlStr};
use std::sync::Arc;
use uuid::Uuid;

const TABLES: &str = "
CREATE TABLE admins (
    id uuid PRIMARY KEY, person_id uuid NOT NULL UNIQUE, party_id uuid NOT NULL, salutation int,
    first_name text NOT NULL, last_name text NOT NULL, suffix text, email_address text,
    policies text[] NOT NULL, custom_permissions text[] NOT NULL, legacy_identifier text,
    active boolean NOT NULL DEFAULT true, active_changed_at timestamptz NOT NULL DEFAULT now(),
    account_id uuid, account_email text UNIQUE, password_hash text, version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(), created_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(), updated_by text NOT NULL);
CREATE INDEX admins_name ON admins (lower(first_name), lower(last_name), id);
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, recorded_at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL, request_id uuid NOT NULL, action text NOT NULL, entity text NOT NULL, entity_id uuid NOT NULL,
    old jsonb, new jsonb);
CREATE INDEX audit_entity ON audit (entity, entity_id, id);";

const INSERT: &str = "INSERT INTO admins (id, person_id, party_id, salutation, first_name, last_name, suffix, \
    email_address, policies, custom_permissions, legacy_identifier, account_id, account_email, password_hash, \
    created_by, updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)";
const FIND: &str = "SELECT to_jsonb(a) - 'password_hash' FROM admins a WHERE id = $1";
const UPDATE: &str = "UPDATE admins a SET first_name = $2, version = version + 1, updated_at = now(), updated_by = $3 \
    WHERE id = $1 RETURNING to_jsonb(a) - 'password_hash'";
const AUDIT: &str = "INSERT INTO audit (actor, request_id, action, entity, entity_id, old, new) \
    VALUES ($1, $2, $3, 'admin', $4, $5, $6)";
const UPDATE_AUDITED: &str = "WITH before AS (SELECT * FROM admins WHERE id = $1 FOR UPDATE), \
    after AS (UPDATE admins a SET first_name = $2, version = a.version + 1, updated_at = now(), updated_by = $3 \
              FROM before WHERE a.id = before.id RETURNING a.*) \
    INSERT INTO audit (actor, request_id, action, entity, entity_id, old, new) \
    SELECT $3, $4, 'update', 'admin', $1, to_jsonb(before) - 'password_hash', to_jsonb(after) - 'password_hash' \
    FROM before, after RETURNING new";

const ACTOR: &str = "system";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A transaction of several statements.
    Transaction,
    /// A single statement.
    Statement,
}

pub(crate) struct Crud {
    pool: PgPool,
    style: Style,
    insert: SqlStr,
    insert_audited: SqlStr,
    lock: SqlStr,
}

impl Crud {
    pub(crate) async fn open(url: &str, connections: u32, style: Style) -> anyhow::Result<Self> {
        let pool = pool(url, connections).await?;
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        // The text consists of the constants above; shared, so that its use copies nothing.
        let safe = |text: String| AssertSqlSafe(Arc::<str>::from(text)).into_sql_str();
        let insert = safe(format!("{INSERT} RETURNING to_jsonb(admins) - 'password_hash'"));
        let insert_audited = safe(format!(
            "WITH after AS ({INSERT} RETURNING *) \
             INSERT INTO audit (actor, request_id, action, entity, entity_id, new) \
             SELECT $15, $16, 'insert', 'admin', id, to_jsonb(after) - 'password_hash' FROM after RETURNING new"
        ));
        let lock = safe(format!("{FIND} FOR UPDATE"));
        Ok(Crud { pool, style, insert, insert_audited, lock })
    }

    /// Registers an admin; answers the row, as a handler would.
    pub(crate) async fn register(&self, registration: Box<Registration>) -> anyhow::Result<Value> {
        // The same validation and normal form as in Registrar.
        let AdminEvent::Registered(registration) =
            decided(&Admin::Absent, AdminCommand::Register(registration, Granter::System))?
        else {
            anyhow::bail!("no registration");
        };
        let (request_id, id) = (Uuid::now_v7(), registration.id.0);
        let account = registration.account.as_ref();
        let person = &registration.person;
        let bound = |text: &SqlStr| {
            sqlx::query_scalar::<_, Value>(text.clone())
                .bind(id)
                .bind(registration.person_id.0)
                .bind(registration.party_id.0)
                .bind(person.salutation.map(i64::from))
                .bind(&person.first_name)
                .bind(&person.last_name)
                .bind(&person.suffix)
                .bind(&person.email_address)
                .bind(&registration.policies)
                .bind(&registration.custom_permissions)
                .bind(&registration.legacy_identifier)
                .bind(account.map(|account| account.id.0))
                .bind(account.map(|account| account.email.to_string()))
                .bind(account.map(|account| account.password_hash.as_str()))
                .bind(ACTOR)
        };
        if self.style == Style::Statement {
            return Ok(bound(&self.insert_audited).bind(request_id).fetch_one(&self.pool).await?);
        }
        let mut transaction = self.pool.begin().await?;
        let new = bound(&self.insert).fetch_one(&mut *transaction).await?;
        let audit = sqlx::query(AUDIT).bind(ACTOR).bind(request_id).bind("insert").bind(id);
        audit.bind(None::<Value>).bind(&new).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(new)
    }

    /// Renames an admin; answers the row, as a handler would.
    pub(crate) async fn rename(&self, id: Uuid, to: &str) -> anyhow::Result<Value> {
        check_name(to).ok().context("no name")?;
        let request_id = Uuid::now_v7();
        if self.style == Style::Statement {
            let query = sqlx::query_scalar(UPDATE_AUDITED).bind(id).bind(to).bind(ACTOR).bind(request_id);
            return query.fetch_optional(&self.pool).await?.context("no such admin");
        }
        let mut transaction = self.pool.begin().await?;
        let old: Option<Value> =
            sqlx::query_scalar(self.lock.clone()).bind(id).fetch_optional(&mut *transaction).await?;
        let old = old.context("no such admin")?;
        let update = sqlx::query_scalar(UPDATE).bind(id).bind(to).bind(ACTOR);
        let new: Value = update.fetch_one(&mut *transaction).await?;
        let audit = sqlx::query(AUDIT).bind(ACTOR).bind(request_id).bind("update").bind(id);
        audit.bind(old).bind(&new).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(new)
    }
}

#[async_trait]
impl Contender for Crud {
    fn name(&self) -> &'static str {
        match self.style {
            Style::Transaction => "audited CRUD",
            Style::Statement => "audited CRUD in one statement",
        }
    }

    async fn execute(&self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Register(registration) => self.register(registration).await.map(drop),
            Command::Rename(id) => self.rename(id, RENAMED).await.map(drop),
            Command::Note(_) => anyhow::bail!("not compared"),
        }
    }

    async fn check(&self, acknowledged: &[Acknowledged]) -> anyhow::Result<()> {
        let text = "SELECT (SELECT coalesce(sum(version), 0)::bigint FROM admins), (SELECT count(*) FROM audit)";
        let (changes, audited): (i64, i64) = sqlx::query_as(text).fetch_one(&self.pool).await?;
        let total = i64::try_from(total(acknowledged))?;
        ensure!(changes == total && audited == total, "{total} commands, {changes} changes, {audited} of them audited");
        Ok(())
    }
}
