//! Personal data is stored sealed, and is unreadable for ever once its key is destroyed.

use crate::on_both_stores;
use crate::support::*;
use registrar::committer::ExpectedVersion;
use registrar::executor::{ExecuteError, RequestContext};
use registrar::journal::{StreamId, codec};
use registrar::node::Node;
use registrar_aggregates::admin::{
    Address, AddressDetails, AddressEdit, AddressText, Admin, AdminChange, AdminCommand, AdminEvent, Granter,
    PersonText, PhoneNumber, PhoneNumberDetails, PhoneNumberEdit,
};
use registrar_aggregates::key_ring::{KEY_RING_ID, KeyRingEvent, SigningKey};
use registrar_aggregates::personal::ERASED;
use registrar_aggregates::values::{AddressId, PhoneNumberId};
use registrar_aggregates::{DomainEvent, Metadata};
use registrar_projections::audit_trail::{AGGREGATE_ID, BY_TIME};
use registrar_projections::{AuditEntry, Direction, Query};
use serde_json::Value;
use uuid::Uuid;

/// Every personal value and secret in [`write_history`].
const MARKS: [&str; 19] = [
    "MarkedFirst",
    "MarkedSecond",
    "MarkedLast",
    "MarkedSuffix",
    "marked-contact@",
    "MarkedLegacy",
    "MarkedLine1",
    "MarkedLine2",
    "MarkedCity",
    "MarkedTown",
    "MarkedPostal",
    "MarkedState",
    "MarkedNumber",
    "MarkedExtension",
    "marked-account@",
    "MarkedHash",
    "Marked Actor",
    "203.0.113.77",
    "MarkedAgent",
];
const SECRETS: [&str; 2] = ["MarkedHash", "MarkedPrivateKey"];

fn address() -> Address {
    Address {
        id: AddressId(Uuid::new_v4()),
        details: AddressDetails {
            address_type: 1,
            address_line1: Some("MarkedLine1".into()),
            address_line2: Some("MarkedLine2".into()),
            city: Some("MarkedCity".into()),
            postal_code: Some("MarkedPostal".into()),
            state_province_code: Some("MarkedState".into()),
            country_code: None,
            region_code: None,
        },
    }
}

fn phone_number() -> PhoneNumber {
    let details = PhoneNumberDetails {
        phone_type: 1,
        phone_number: Some("MarkedNumber".into()),
        extension: Some("MarkedExtension".into()),
    };
    PhoneNumber { id: PhoneNumberId(Uuid::new_v4()), details }
}

/// An admin with every kind of value, amended by themselves and by the server, often enough for a snapshot.
async fn write_history(node: &Node) -> Uuid {
    let id = Uuid::now_v7();
    let mut registration = registered(id, Some("marked-account@example.org"));
    registration.person.first_name = "MarkedFirst".into();
    registration.person.last_name = "MarkedLast".into();
    registration.person.suffix = Some("MarkedSuffix".into());
    registration.person.email_address = Some("marked-contact@example.org".into());
    registration.legacy_identifier = Some("MarkedLegacy".into());
    registration.addresses = vec![address()];
    registration.phone_numbers = vec![phone_number()];
    registration.account.as_mut().unwrap().password_hash = "$argon2id$MarkedHash".into();
    node.admin(id, AdminCommand::Register(Box::new(registration), Granter::System)).await.unwrap();
    let city = Some("MarkedTown".to_owned());
    let amend = AdminCommand::Amend(
        vec![
            AdminChange::PersonText(PersonText::FirstName, Some("MarkedSecond".into())),
            AdminChange::LegacyIdentifier(None),
            AdminChange::Addresses(AddressEdit::Text { at: 0, text: AddressText::City, value: city }),
            AdminChange::Addresses(AddressEdit::Insert { at: None, address: Box::new(address()) }),
            AdminChange::PhoneNumbers(PhoneNumberEdit::Clear),
        ],
        Granter::System,
    );
    node.own(id, amend, None).await.unwrap();
    for n in node.position().await..101 {
        node.admin(id, rename(["MarkedFirst", "MarkedSecond"][n as usize % 2])).await.unwrap();
    }
    while node.journal.snapshot("admin", &id.to_string()).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    id
}

async fn entries_of(node: &Node, id: Uuid) -> Vec<AuditEntry> {
    let query = Query::<AuditEntry>::sorted(&BY_TIME, Direction::Ascending).equal(&AGGREGATE_ID, id.to_string());
    node.documents.page(query).await.unwrap().value.items
}

/// Fails if one of `marks` is in the clear, as text or in a binary column, in a table selected by `tables`.
async fn assert_nowhere(database: &Database, marks: &[&str], tables: impl Fn(&str) -> bool) {
    let mut sql = database.sql().await;
    let tables: Vec<String> = sql.tables().await.into_iter().filter(|table| tables(table)).collect();
    for table in tables {
        for row in sql.rows(&table).await {
            for mark in marks {
                let found = row.contains(mark) || row.contains(&hex(mark.as_bytes()));
                assert!(!found, "{mark} stands in {table}: {row}");
            }
        }
    }
}

on_both_stores! {
    async fn no_personal_value_stands_in_the_clear_outside_the_admins(database) {
        let node = database.open().await;
        write_history(&node).await;
        let mut sql = database.sql().await;
        for table in ["events", "snapshots", "audit_entries_g1", "subject_keys", "claims"] {
            assert!(!sql.rows(table).await.is_empty(), "{table}");
        }
        // The read model of the admins must be searchable; it is in a table and, on SQLite, in the tables of its index.
        assert_nowhere(&database, &MARKS, |table| !table.starts_with("admins_g")).await;
    }

    async fn secrets_stand_nowhere_in_the_clear(database) {
        let node = database.open().await;
        write_history(&node).await;
        let key = SigningKey { key_id: "k".into(), public_key: "p".into(), private_key: "MarkedPrivateKey".into(), verifies_until: None };
        let stream = StreamId { aggregate_type: "key-ring", aggregate_id: KEY_RING_ID.into() };
        node.append(vec![(stream, ExpectedVersion::Exact(0), vec![KeyRingEvent::KeyAdded { key }.into()])]).await.unwrap();
        assert_nowhere(&database, &SECRETS, |_| true).await;
    }

    async fn the_own_values_of_the_server_are_no_secret(database) {
        let node = database.open().await;
        node.append(vec![(access_stream("r"), ExpectedVersion::Any, vec![trail_read("t")])]).await.unwrap();
        assert!(node.all_events().await[0].metadata.contains("Registrar"));
    }

    async fn audit_entries_open_again(database) {
        let node = database.open().await;
        let id = write_history(&node).await;
        for node in [node, database.open().await] {
            let entries = entries_of(&node, id).await;
            let value = |entry: &AuditEntry, path: &str| {
                let change = entry.changes.iter().find(|change| change.path == path).unwrap();
                (change.old_value.clone(), change.new_value.clone())
            };
            assert_eq!(value(&entries[0], "/person/firstName"), (Value::Null, "MarkedFirst".into()));
            assert_eq!(value(&entries[0], "/account/email"), (Value::Null, "marked-account@example.org".into()));
            assert_eq!(value(&entries[0], "/account/password"), (Value::Null, "***".into()));
            let renamed = entries.iter().find(|entry| entry.entity == "Person").unwrap();
            assert_eq!(value(renamed, "/person/firstName"), ("MarkedFirst".into(), "MarkedSecond".into()));
            for entry in &entries {
                assert!(!serde_json::to_string(entry).unwrap().contains("[sealed]"), "{entry:?}");
            }
        }
    }

    /// Actor and person are the same here, and one key seals both.
    async fn entries_of_admins_about_themselves_open_again(database) {
        let node = database.open().await;
        let id = write_history(&node).await;
        let entries = entries_of(&node, id).await;
        let own: Vec<_> = entries.iter().filter(|entry| entry.actor_id == id.to_string()).collect();
        assert_eq!(own.len(), 5);
        for entry in own {
            assert_eq!(entry.actor_name.as_deref(), Some("Marked Actor"));
            assert_eq!(entry.ip_address.as_deref(), Some("203.0.113.77"));
            assert_eq!(entry.user_agent.as_deref(), Some("MarkedAgent/1.0"));
            assert!(!entry.changes.is_empty());
            assert!(!serde_json::to_string(entry).unwrap().contains("[sealed]"), "{entry:?}");
        }
    }

    async fn entries_of_one_admin_about_another_are_sealed_with_both_keys(database) {
        let node = database.open().await;
        let (by, about) = (Uuid::now_v7(), Uuid::now_v7());
        node.admin(by, registration(by, None)).await.unwrap();
        node.admin(about, registration(about, None)).await.unwrap();
        node.executor.execute::<Admin>(&request_of(by), &about.to_string(), rename("MarkedSecond"), None).await.unwrap();
        database.erase(by).await;
        let node = database.open().await;
        let entry = entries_of(&node, about).await.pop().unwrap();
        assert_eq!(entry.actor_name.as_deref(), Some(ERASED));
        assert_eq!(entry.changes[0].new_value, "MarkedSecond");
        let event = codec::decode(&node.vault, &node.all_events().await[2..]).await.unwrap().pop().unwrap();
        assert_eq!(event.metadata.ip_address.as_deref(), Some(ERASED));
        let DomainEvent::Admin(AdminEvent::PersonAmended { person }) = &*event.event else { panic!("{event:?}") };
        assert_eq!(person.first_name, "MarkedSecond");
    }

    async fn an_erased_person_reads_as_erased_everywhere_and_nothing_fails(database) {
        let node = database.open().await;
        let id = write_history(&node).await;
        let (version, _) = node.executor.state::<Admin>(&id.to_string()).await.unwrap();
        database.erase(id).await;

        let node = database.open().await;
        let stored = node.all_events().await;
        let events = codec::decode(&node.vault, &stored).await.unwrap();
        assert_eq!(events.len() as u64, version);
        let DomainEvent::Admin(AdminEvent::Registered(registration)) = &*events[0].event else { panic!("{:?}", events[0]) };
        let account = registration.account.as_ref().unwrap();
        for value in [&registration.person.first_name, &registration.person.last_name, &account.password_hash] {
            assert_eq!(value, ERASED);
        }
        assert_eq!((account.email.as_str(), registration.addresses[0].details.city.as_deref()), (ERASED, Some(ERASED)));
        assert_eq!(registration.policies, ["p1"]);
        // The state, which is loaded from the snapshot, is erased as well.
        let (read, state) = node.executor.state::<Admin>(&id.to_string()).await.unwrap();
        assert_eq!((read, state.profile().unwrap().person.first_name.as_str()), (version, ERASED));
        for entry in entries_of(&node, id).await {
            let text = serde_json::to_string(&entry).unwrap();
            assert!(!MARKS.iter().any(|mark| text.contains(mark)) && !text.contains("[sealed]"), "{text}");
        }
        // The leaf hashes stay valid, since they cover the sealed form.
        assert!(stored.iter().all(|event| event.leaf_hash == codec::leaf_hash(event)));
    }

    async fn nothing_personal_is_added_to_an_erased_person(database) {
        let node = database.open().await;
        let id = write_history(&node).await;
        database.erase(id).await;
        let node = database.open().await;
        let position = node.position().await;
        let refused = node.admin(id, rename("MarkedSecond")).await;
        assert!(matches!(refused, Err(ExecuteError::Journal(_))), "{refused:?}");
        assert_eq!(node.position().await, position);
        // Commands without personal data are still carried out.
        node.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap();
        assert!(!node.find(id).await.active);
    }

    async fn an_actor_without_a_key_is_not_kept_in_the_clear(database) {
        let node = database.open().await;
        let context: RequestContext = request_of(Uuid::now_v7());
        node.executor.append(&context, vec![(access_stream("r"), ExpectedVersion::Any, vec![trail_read("t")])]).await.unwrap();
        let metadata: Metadata = serde_json::from_str(&node.all_events().await[0].metadata).unwrap();
        assert_eq!(metadata.actor.name.as_deref(), Some(ERASED));
        assert_nowhere(&database, &MARKS, |_| true).await;
    }
}
