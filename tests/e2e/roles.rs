//! Two roles of a PostgreSQL database: one owns the journal and migrates, servers connect with the other.

use crate::journal_files_support::small_partitions;
use crate::process::{fail, registrar, run};
use crate::support::*;
use registrar::node::StoreSettings;
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

const PASSWORD: &str = "it's 100% a secret";
const PASSWORD_IN_URL: &str = "it%27s%20100%25%20a%20secret";

/// Grants a new role the rights of a server; answers the role and the server's settings.
fn granted(database: &Database) -> (String, StoreSettings) {
    let role = format!("server_{}", Uuid::now_v7().simple());
    let mut migrate = registrar(&database.settings, &["migrate", "--server-role", &role]);
    let output = migrate.env("REGISTRAR_SERVER_ROLE_PASSWORD", PASSWORD).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (role.clone(), settings_of(database, &role))
}

fn settings_of(database: &Database, role: &str) -> StoreSettings {
    let url = database.settings.database_url.as_ref().unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let url = format!("postgres://{role}:{PASSWORD_IN_URL}@{place}");
    StoreSettings { database_url: Some(url), ..database.settings.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_owns_nothing_of_the_journal_and_serves_all_the_same() {
    let database = Database::postgres().await;
    // Tables of existing documents are handed over, too.
    run(&database.settings, &["seed", "--admins", "5"]);
    let (role, server) = granted(&database);
    run(&server, &["seed", "--users", "10", "--groups", "3"]);
    run(&server, &["projections", "rebuild"]);
    run(&server, &["projections", "verify"]);
    run(&server, &["journal", "verify"]);
    run(&server, &["migrate"]);

    let events = || async { database.sql().await.number("SELECT count(*) FROM events").await };
    let before = events().await;
    let mut thief = PgConnection::connect(server.database_url.as_ref().unwrap()).await.unwrap();
    for statement in [
        "UPDATE events SET event_type = 'x'",
        "DELETE FROM events_from_1",
        "TRUNCATE events",
        "DROP TRIGGER events_append_only ON events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "ALTER FUNCTION refuse_change() RENAME TO allow_change",
        "SET session_replication_role = replica",
        "DROP TABLE claims",
        "UPDATE merkle_nodes SET hash = ''",
        "DELETE FROM archives",
    ] {
        let refused = thief.execute(statement).await.unwrap_err().to_string();
        let words = ["permission denied", "must be owner", "append-only"];
        assert!(words.iter().any(|words| refused.contains(words)), "{statement}: {refused}");
    }
    assert_eq!(events().await, before);
    // A repeated grant, as after each upgrade, changes nothing.
    run(&database.settings, &["migrate", "--server-role", &role]);
    run(&server, &["journal", "verify"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_a_server_needs_are_the_owners() {
    let database = Database::postgres().await;
    small_partitions(&database).await;
    let (role, server) = granted(&database);
    run(&server, &["seed", "--admins", "300"]);
    let mut sql = database.sql().await;
    assert!(sql.number("SELECT count(*) FROM event_partitions").await > 1);
    let owned = format!("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'events%' AND tableowner = '{role}'");
    assert_eq!(sql.number(&owned).await, 0);
    // A temporary table with the name of a queried one must not redirect the function.
    let mut thief = PgConnection::connect(server.database_url.as_ref().unwrap()).await.unwrap();
    thief.execute("CREATE TEMP TABLE event_partitions (first_position bigint, last_position bigint)").await.unwrap();
    let asked = "SELECT partition_events((SELECT partitioned_until FROM journal_head))";
    thief.execute(asked).await.unwrap();
    let last =
        "SELECT count(*) FROM event_partitions WHERE last_position = (SELECT partitioned_until FROM journal_head)";
    assert_eq!(sql.number(last).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_migrate_is_told_which_one_may() {
    let database = Database::postgres().await;
    let (role, _) = granted(&database);
    let empty = Database::postgres().await;
    let told = fail(registrar(&settings_of(&empty, &role), &["migrate"]));
    assert!(told.contains("the role that owns the tables"), "{told}");
    assert!(!told.contains(PASSWORD), "{told}");
}

#[test]
fn the_embedded_database_has_no_roles() {
    let told = fail(registrar(&Database::sqlite().settings, &["migrate", "--server-role", "server"]));
    assert!(told.contains("has no roles"), "{told}");
}
