//! Databases of earlier releases.

use crate::support::*;

/// The migration gives the events table another key; each event is unchanged, and the guard is in place.
#[tokio::test]
async fn events_get_their_position_for_a_key() {
    let database = Database::sqlite();
    std::fs::create_dir_all(&database.settings.data).unwrap();
    std::fs::File::create(database.file()).unwrap();
    let mut sql = database.sql().await;
    for migration in [
        include_str!("../../migrations/sqlite/0001_journal.sql"),
        include_str!("../../migrations/sqlite/0002_audit.sql"),
        include_str!("../../migrations/sqlite/0003_proofs.sql"),
        include_str!("../../migrations/sqlite/0004_archives.sql"),
    ] {
        sql.run(migration).await.unwrap();
    }
    // The events are inserted in descending order.
    sql.run(
        "WITH RECURSIVE n (n) AS (SELECT 500 UNION ALL SELECT n - 1 FROM n WHERE n > 1) \
         INSERT INTO events SELECT n, '2026-01-01T00:00:00.000Z', 'admin', 'a' || n % 7, n, 'x', '1.0', \
         '{\"a\":' || n || '}', '{\"actor\":{\"id\":\"b\"}}', randomblob(32) FROM n",
    )
    .await
    .unwrap();
    let mut before = sql.rows("events").await;
    before.sort_unstable();
    sql.run(include_str!("../../migrations/sqlite/0005_ordered_events.sql")).await.unwrap();
    let mut after = sql.rows("events").await;
    after.sort_unstable();
    assert_eq!(after, before);
    for refused in [
        "DELETE FROM events",
        "UPDATE events SET event_type = 'y'",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 7",
    ] {
        let refused = sql.run(refused).await.unwrap_err().to_string();
        assert!(refused.contains("the journal is append-only"), "{refused}");
    }
    let indexes = "SELECT count(*) FROM pragma_index_list('events')";
    assert_eq!(sql.number(indexes).await, 4, "the streams', and three for auditors");
}

/// Last migrations before nodes could be told that they are too old.
const BEFORE_THE_RULE: [(&str, i64); 2] = [("postgres", 8), ("sqlite", 6)];

/// Whether a migration removes something that an older release may rely on. Function bodies are searched like
/// everything else.
fn narrows(sql: &str) -> bool {
    let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words = code.flat_map(str::split_whitespace).map(str::to_uppercase).collect::<Vec<_>>().join(" ");
    [" DROP ", " RENAME ", " SET NOT NULL", " TYPE ", " REVOKE ", " VALIDATE "]
        .iter()
        .any(|word| format!(" {words}").contains(word))
}

/// The minimum schema that `sql` requires of releases.
fn least_schema(sql: &str) -> Option<i64> {
    let (_, number) = sql.split_once("UPDATE journal_head SET least_schema = ")?;
    number.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn narrowing_migrations_are_told_from_additive_ones() {
    for sql in [
        "DROP FUNCTION journal_append;",
        "ALTER TABLE events\n    DROP COLUMN payload;",
        "alter table a rename to b;",
        "ALTER TABLE a ALTER COLUMN b SET NOT NULL;",
        "ALTER TABLE a ALTER COLUMN b TYPE bigint;",
    ] {
        assert!(narrows(sql), "{sql}");
    }
    for sql in
        ["CREATE TABLE a (b int NOT NULL);", "-- DROP comes with the next release.\nALTER TABLE a ADD COLUMN b int;"]
    {
        assert!(!narrows(sql), "{sql}");
    }
}

/// Nodes of the previous release go on while nodes are replaced one by one.
#[test]
fn a_migration_that_takes_something_away_names_the_schema_that_does_without() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for (store, last) in BEFORE_THE_RULE {
        let mut numbers = Vec::new();
        for file in std::fs::read_dir(root.join(store)).unwrap() {
            let path = file.unwrap().path();
            let (name, sql) = (path.file_name().unwrap().to_str().unwrap(), std::fs::read_to_string(&path).unwrap());
            let number: i64 = name.split_once('_').unwrap().0.parse().unwrap();
            numbers.push(number);
            if number <= last || !narrows(&sql) {
                continue;
            }
            let least = least_schema(&sql).unwrap_or_else(|| {
                panic!(
                    "{store}/{name} takes something away: add first, take away in a later release, and say \
                     `UPDATE journal_head SET least_schema = N;`, N being the migration that brought the replacement"
                )
            });
            assert!((1..number).contains(&least), "{store}/{name}: the release before must know schema {least}");
        }
        numbers.sort_unstable();
        assert!(numbers.last() > Some(&last), "{store}: {numbers:?}");
    }
}
