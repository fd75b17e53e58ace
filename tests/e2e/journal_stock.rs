//! The readers of `postgres-es` and `sqlite-es`, as they come, read what Registrar writes.

use crate::on_both_stores;
use crate::support::*;
use chrono::DateTime;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent, SerializedSnapshot};
use cqrs_es::{Aggregate, DomainEvent as _};
use postgres_es::PostgresEventRepository;
use registrar::committer::ExpectedVersion;
use registrar::journal::codec;
use registrar::node::Node;
use registrar_aggregates::Metadata;
use registrar_aggregates::access_token::{AccessToken, AccessTokenEvent};
use registrar_aggregates::admin::{Admin, AdminCommand, AdminEvent, Granter};
use registrar_aggregates::audit_access::AuditAccess;
use registrar_aggregates::key_ring::{KEY_RING_ID, KeyRing, KeyRingEvent, SigningKey};
use registrar_aggregates::values::AdminId;
use serde_json::Value;
use sqlite_es::SqliteEventRepository;
use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

/// The stock reader of a database.
enum Stock {
    Postgres(PostgresEventRepository),
    Sqlite(SqliteEventRepository),
}

impl Stock {
    async fn of(database: &Database) -> Self {
        match &database.settings.database_url {
            Some(url) => Stock::Postgres(PostgresEventRepository::new(sqlx::PgPool::connect(url).await.unwrap())),
            None => {
                let options = SqliteConnectOptions::new().filename(database.file()).read_only(true);
                Stock::Sqlite(SqliteEventRepository::new(sqlx::SqlitePool::connect_with(options).await.unwrap()))
            }
        }
    }

    async fn events<A: Aggregate>(&self, id: &str) -> Vec<SerializedEvent> {
        match self {
            Stock::Postgres(repository) => repository.get_events::<A>(id).await,
            Stock::Sqlite(repository) => repository.get_events::<A>(id).await,
        }
        .unwrap()
    }

    async fn last_events<A: Aggregate>(&self, id: &str, after: usize) -> Vec<SerializedEvent> {
        match self {
            Stock::Postgres(repository) => repository.get_last_events::<A>(id, after).await,
            Stock::Sqlite(repository) => repository.get_last_events::<A>(id, after).await,
        }
        .unwrap()
    }

    async fn snapshot<A: Aggregate>(&self, id: &str) -> Option<SerializedSnapshot> {
        match self {
            Stock::Postgres(repository) => repository.get_snapshot::<A>(id).await,
            Stock::Sqlite(repository) => repository.get_snapshot::<A>(id).await,
        }
        .unwrap()
    }

    /// Reads a stream and compares each event with what the journal itself says and with its typed form.
    async fn reads<A: Aggregate>(&self, node: &Node, id: &str) -> Vec<SerializedEvent> {
        let events = self.events::<A>(id).await;
        let stored = node.journal.stream(A::TYPE, id, 0).await.unwrap();
        assert_eq!(events.len(), stored.len());
        for (event, stored) in events.iter().zip(&stored) {
            assert_eq!((&event.aggregate_type, &event.aggregate_id), (&stored.aggregate_type, &stored.aggregate_id));
            assert_eq!((event.sequence as u64, &event.event_type), (stored.sequence, &stored.event_type));
            assert_eq!(event.event_version, stored.event_version);
            assert_eq!(codec::canonical(&event.payload).unwrap(), stored.payload);
            assert_eq!(codec::canonical(&event.metadata).unwrap(), stored.metadata);
            let typed: A::Event = serde_json::from_value(event.payload.clone()).unwrap();
            assert_eq!(
                (typed.event_type(), typed.event_version()),
                (event.event_type.clone(), event.event_version.clone())
            );
            serde_json::from_value::<Metadata>(event.metadata.clone()).unwrap();
        }
        events
    }
}

/// Waits for the snapshot that is saved beside the command.
async fn snapshot(node: &Node, id: Uuid, last_sequence: u64) {
    loop {
        let snapshot = node.journal.snapshot("admin", &id.to_string()).await.unwrap();
        if snapshot.is_some_and(|snapshot| snapshot.last_sequence >= last_sequence) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn signing_key(key_id: &str) -> SigningKey {
    SigningKey {
        key_id: key_id.into(),
        public_key: "public".into(),
        private_key: "private".into(),
        verifies_until: None,
    }
}

on_both_stores! {
    async fn a_stock_reader_reads_every_stream(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        node.own(id, rename("Augusta"), None).await.unwrap();
        node.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap();
        node.executor.append(&request_of(id), vec![(access_stream("r"), ExpectedVersion::Any, vec![trail_read("t"), trail_read("u")])]).await.unwrap();
        let retired = KeyRingEvent::KeyRetired { key_id: "k1".into(), verifies_until: DateTime::UNIX_EPOCH };
        let keys = vec![KeyRingEvent::KeyAdded { key: signing_key("k1") }, retired, KeyRingEvent::KeyAdded { key: signing_key("k2") }];
        let issued = AccessTokenEvent::Issued { admin_id: AdminId(id), expires_at: DateTime::UNIX_EPOCH, organization_id: None, permissions: None };
        node.executor.record(&context(), KEY_RING_ID, keys).await.unwrap();
        node.executor.record(&context(), "jti", vec![issued]).await.unwrap();

        let stock = Stock::of(&database).await;
        let mut read = stock.reads::<Admin>(&node, &id.to_string()).await.len();
        read += stock.reads::<AuditAccess>(&node, "r").await.len();
        read += stock.reads::<KeyRing>(&node, KEY_RING_ID).await.len();
        read += stock.reads::<AccessToken>(&node, "jti").await.len();
        assert_eq!(read as u64, node.position().await);
        assert!(stock.events::<Admin>("nobody").await.is_empty());
    }

    async fn a_stock_reader_types_sealed_payloads(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        let events = Stock::of(&database).await.events::<Admin>(&id.to_string()).await;
        let event: AdminEvent = serde_json::from_value(events[0].payload.clone()).unwrap();
        let AdminEvent::Registered(registration) = event else { panic!("{event:?}") };
        assert_eq!((registration.id.0, registration.person.first_name.as_str()), (id, "[sealed]"));
        assert_eq!(registration.account.unwrap().email.as_str(), "[sealed]");
    }

    async fn a_stock_reader_reads_snapshots_and_what_follows_them(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        let stock = Stock::of(&database).await;
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        assert!(stock.snapshot::<Admin>(&id.to_string()).await.is_none());
        for n in 2..=99 {
            node.admin(id, rename(&format!("Ada {n}"))).await.unwrap();
        }
        assert!(stock.snapshot::<Admin>(&id.to_string()).await.is_none());
        for (upto, number) in [(103, 1), (205, 2)] {
            for n in node.position().await + 1..=upto {
                node.admin(id, rename(&format!("Ada {n}"))).await.unwrap();
            }
            snapshot(&node, id, upto / 100 * 100).await;
            let snapshot = stock.snapshot::<Admin>(&id.to_string()).await.unwrap();
            assert_eq!(snapshot.current_sequence as u64, upto / 100 * 100);
            assert_eq!((snapshot.current_snapshot, snapshot.aggregate_id), (number, id.to_string()));
            let mut aggregate = snapshot.aggregate;
            aggregate.as_object_mut().unwrap().remove("sealed").unwrap();
            let mut state: Admin = serde_json::from_value(aggregate).unwrap();
            assert_eq!(state.profile().unwrap().person.first_name, "[sealed]");
            let last = stock.last_events::<Admin>(&id.to_string(), snapshot.current_sequence).await;
            assert_eq!(last.len() as u64, upto % 100);
            for event in last {
                state.apply(serde_json::from_value(event.payload).unwrap());
            }
            assert_eq!(state.profile().unwrap().id.0, id);
        }
        assert_eq!(database.sql().await.number("SELECT count(*) FROM snapshots").await, 1);
    }

    async fn a_node_that_comes_up_reads_the_snapshot_and_what_follows_it(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        for n in 2..=101 {
            node.admin(id, rename(&format!("Ada {n}"))).await.unwrap();
        }
        snapshot(&node, id, 100).await;
        let expected = node.executor.state::<Admin>(&id.to_string()).await.unwrap();
        let fresh = database.open().await;
        assert_eq!(fresh.executor.state::<Admin>(&id.to_string()).await.unwrap(), expected);
        assert_eq!(expected.1.profile().unwrap().person.first_name, "Ada 101");
        // A snapshot is a convenience: what cannot be read is passed over.
        let broken = r#"UPDATE snapshots SET payload = '{"Active": 7}'"#;
        database.sql().await.run(broken).await.unwrap();
        assert_eq!(database.open().await.executor.state::<Admin>(&id.to_string()).await.unwrap(), expected);
    }

    async fn a_slower_node_does_not_bring_back_an_older_snapshot(database) {
        let node = database.open().await;
        let save = |last_sequence: u64| {
            let payload = Value::from(last_sequence).to_string();
            node.journal.save_snapshot("admin", "a", registrar::journal::StoredSnapshot { last_sequence, payload })
        };
        for (saved, latest) in [(100, 100), (300, 300), (200, 300), (300, 300)] {
            save(saved).await.unwrap();
            assert_eq!(node.journal.snapshot("admin", "a").await.unwrap().unwrap().last_sequence, latest);
        }
        assert_eq!(database.sql().await.number("SELECT count(*) FROM snapshots").await, 1);
    }
}
