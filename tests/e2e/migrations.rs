//! Databases of earlier releases.

use crate::support::*;

/// The events stand in a table with another key afterwards, each as it was, and are guarded as before.
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
    // In the order of the table they stand backwards.
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
