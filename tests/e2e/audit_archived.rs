//! Answers to auditors after an archive: complete ones from the database, and 410 for the archived rest.

use crate::audit_app::*;
use crate::ecg_app::App;
use crate::journal_files_support::*;
use crate::on_both_stores;
use crate::support::*;
use registrar::committer::ExpectedVersion;
use registrar::journal::StoredEvent;
use registrar_aggregates::organization::{Content, Organization, OrganizationCommand, Stamp};
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;

const GONE: &str = "this needs events that were archived, up to position 512; lists of events can begin after it";

/// A journal whose first 512 events were archived, and its aggregates.
struct ArchivedJournal {
    app: App,
    /// An admin whose archived events carried the organization `SEEN`, with later events in the database.
    old: Uuid,
    /// Position of that admin's first event.
    begun: u64,
    /// An admin whose archived events carried no organization, and whose one event in the database carried `LATER`.
    joined: Uuid,
    /// An admin of `LATER` whose events are all in the database.
    new: Uuid,
    /// An organization; its events stay in the database when others are archived.
    organization: Uuid,
    /// All events, as read before the archive.
    events: Vec<StoredEvent>,
}

const SEEN: &str = "seen";
const LATER: &str = "later";

async fn name(app: &App, id: Uuid, command: OrganizationCommand) {
    let context = context().within(OrganizationId(id));
    app.state.node.executor.execute::<Organization>(&context, &id.to_string(), command, None).await.unwrap();
}

async fn fill(app: &App, until: u64) {
    while app.head().await < until {
        let count = (until - app.head().await).min(200);
        let events = (0..count).map(|n| trail_read(&n.to_string())).collect();
        app.state.node.append(vec![(access_stream("filler"), ExpectedVersion::Any, events)]).await.unwrap();
    }
}

async fn journal(database: &Database) -> ArchivedJournal {
    small_partitions(database).await;
    let app = App::open(database).await;
    let [old, joined, new, organization] = [(); 4].map(|()| Uuid::now_v7());
    let stamp = || Stamp::at(chrono::Utc::now());
    fill(&app, 20).await;
    registered_within(&app, old, Some(SEEN)).await;
    let begun = app.head().await;
    registered_within(&app, joined, None).await;
    let content = Box::new(Content::named("Acme"));
    name(
        &app,
        organization,
        OrganizationCommand::Register { id: OrganizationId(organization), content, stamp: stamp() },
    )
    .await;
    fill(&app, 400).await;
    name(&app, organization, OrganizationCommand::Rename { name: "Acme CRO".into(), stamp: stamp() }).await;
    amended_within(&app, old, Some(SEEN), "L-1").await;
    fill(&app, 520).await;
    name(&app, organization, OrganizationCommand::Rename { name: "Acme Research".into(), stamp: stamp() }).await;
    amended_within(&app, old, Some(SEEN), "L-2").await;
    amended_within(&app, joined, Some(LATER), "L-3").await;
    registered_within(&app, new, Some(LATER)).await;
    amended_within(&app, new, Some(LATER), "L-4").await;
    fill(&app, 600).await;
    let events = app.state.node.all_events().await;
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(archived(&app.state.node, 600, &folder.path().join("archive")).await.unwrap(), (1, 512));
    ArchivedJournal { app, old, begun, joined, new, organization, events }
}

impl ArchivedJournal {
    fn time(&self, position: u64) -> String {
        self.events[position as usize - 1].recorded_at.to_rfc3339().replace("+00:00", "Z")
    }

    async fn refused_with(&self, path: &str, token: &str, status: u16) -> String {
        refused(&self.app, self.app.call("GET", path).token(Some(token)), status).await
    }

    async fn gone(&self, path: &str) {
        assert_eq!(self.refused_with(path, &self.app.token, 410).await, GONE, "{path}");
        let lines = self.app.call("GET", path).header("accept", "application/x-ndjson");
        assert_eq!(refused(&self.app, lines, 410).await, GONE, "{path}");
    }

    async fn organization_at(&self, as_of: impl std::fmt::Display) -> Value {
        self.app.get(&format!("/audit/organization/{}?asOf={as_of}", self.organization)).await.ok()
    }
}

on_both_stores! {
    async fn an_aggregate_with_archived_beginnings_is_gone(database) {
        let journal = journal(&database).await;
        let (old, early) = (format!("/audit/admin/{}", journal.old), journal.time(journal.begun));
        for query in ["", "?asOf=600", "?asOf=512", "?asOf=100", &format!("?asOf={early}"), "?asOf=2999-01-01T00:00:00Z"] {
            journal.gone(&format!("{old}{query}")).await;
        }
        for query in ["", "?after=550", "?from=550", "?to=600", &format!("?from={early}")] {
            journal.gone(&format!("{old}/history{query}")).await;
        }
        for query in ["", "?from=550", "?from=550&to=600", &format!("?to={early}")] {
            journal.gone(&format!("{old}/diff{query}")).await;
        }
        journal.gone(&format!("/audit/events?aggregateId={}", journal.old)).await;
        // The answer "did not exist yet" for a position before its first event needs no archive.
        let before = journal.begun - 1;
        for path in [format!("{old}?asOf={before}"), format!("{old}/diff?to={before}"), format!("/audit/admin/{}?asOf=600", Uuid::now_v7())] {
            assert_eq!(journal.refused_with(&path, &journal.app.token, 404).await, "There was no such aggregate at that moment");
        }
        let nobody = format!("/audit/admin/{}/history", Uuid::now_v7());
        assert_eq!(journal.refused_with(&nobody, &journal.app.token, 404).await, "There is no such aggregate");
    }

    async fn an_aggregate_begun_after_the_archive_is_shown_in_full(database) {
        let journal = journal(&database).await;
        let (app, new) = (&journal.app, format!("/audit/admin/{}", journal.new));
        for query in ["", "?asOf=600"] {
            assert_eq!(app.get(&format!("{new}{query}")).await.ok()["state"]["person"]["party"]["legacyIdentifier"], "L-4");
        }
        for query in ["", "?after=3", "?from=3", &format!("?from={}", journal.time(1))] {
            assert_eq!(items(&app.get(&format!("{new}/history{query}")).await.ok()).len(), 2);
        }
        for query in ["?aggregateType=admin", "?aggregateType=admin&from=1", &format!("?from={}", journal.time(1))] {
            let path = format!("/audit/events{query}&aggregateId={}", journal.new);
            assert_eq!(items(&app.get(&path).await.ok()).len(), 2, "{path}");
        }
        let all = app.get(&format!("{new}/diff")).await.ok();
        assert_eq!(app.get(&format!("{new}/diff?from=100")).await.ok(), all);
        assert_eq!(app.get(&format!("{new}/diff?from={}", journal.time(100))).await.ok(), all);
        for as_of in ["100".to_owned(), journal.time(100)] {
            assert_eq!(journal.refused_with(&format!("{new}?asOf={as_of}"), &app.token, 404).await, "There was no such aggregate at that moment");
        }
    }

    async fn an_aggregate_kept_out_of_the_archive_is_shown_at_every_time(database) {
        let journal = journal(&database).await;
        let (app, path) = (&journal.app, format!("/audit/organization/{}", journal.organization));
        let own: Vec<_> = journal.events.iter().filter(|event| event.aggregate_id == journal.organization.to_string()).collect();
        let names = ["Acme", "Acme CRO", "Acme Research"];
        assert_eq!(own.len(), names.len());
        for (event, name) in own.iter().zip(names) {
            assert_eq!(journal.organization_at(event.position).await["state"]["name"], name);
        }
        for position in (own[0].position..=600).step_by(20) {
            let time = journal.events[position as usize - 1].recorded_at;
            let expected = own.iter().rposition(|event| event.recorded_at <= time).unwrap();
            assert_eq!(journal.organization_at(journal.time(position)).await["state"]["name"], names[expected]);
            let history = items(&app.get(&format!("{path}/history?to={}", journal.time(position))).await.ok());
            assert_eq!(history.len(), expected + 1);
        }
        assert_eq!(items(&app.get(&format!("{path}/history")).await.ok()).len(), 3);
        let event = app.get(&format!("/audit/events/{}", own[0].position)).await.ok();
        assert_eq!((&event["position"], &event["eventType"]), (&json!(own[0].position), &json!("organization.registered")));
        let renamed = app.get(&format!("{path}/diff?from={}&to={}", own[0].position, own[1].position)).await.ok();
        assert!(renamed["changes"].as_array().unwrap().iter().any(|change| change["newValue"] == "Acme CRO"), "{renamed}");
        assert_eq!(journal.refused_with(&format!("{path}?asOf={}", own[0].position - 1), &app.token, 404).await, "There was no such aggregate at that moment");
    }

    async fn lists_and_organizations_that_need_archived_events_are_gone(database) {
        let journal = journal(&database).await;
        let (app, early) = (&journal.app, journal.time(10));
        for query in ["", "?after=511", "?from=512", "?actorId=ann", "?aggregateType=admin", "?eventType=admin.registered", "?organizationId=seen", &format!("?from={early}")] {
            journal.gone(&format!("/audit/events{query}")).await;
        }
        journal.gone("/audit/events/512").await;
        for query in ["?after=512", "?from=513", "?from=513&organizationId=seen", "?organizationId=later", "?organizationId=nobody"] {
            app.get(&format!("/audit/events{query}")).await.ok();
        }
        let snapshot = |id: &str, query: &str| format!("/audit/organizations/{id}/snapshot{query}");
        for query in ["", "?asOf=600", "?asOf=300", &format!("?asOf={}", journal.time(300))] {
            journal.gone(&snapshot(SEEN, query)).await;
        }
        for path in [snapshot(SEEN, "?asOf=20"), snapshot("nobody", ""), snapshot(LATER, "?asOf=300"), snapshot(LATER, &format!("?asOf={early}"))] {
            assert_eq!(journal.refused_with(&path, &app.token, 404).await, "There was no such organization at that moment");
        }
        let later = app.get(&snapshot(LATER, "")).await.ok();
        let members: Vec<_> = later["items"].as_array().unwrap().iter().map(|item| item["aggregateId"].clone()).collect();
        // The other admin has one event with this organization, but was not registered within it.
        assert_eq!(members, [json!(journal.new.to_string())]);
        assert_eq!(later["items"][0]["state"]["person"]["party"]["legacyIdentifier"], "L-4");
    }

    async fn a_narrowed_reader_does_not_learn_of_archived_events_of_others(database) {
        let journal = journal(&database).await;
        let app = &journal.app;
        let (seen, later) = (narrowed(app, SEEN).await, narrowed(app, LATER).await);
        let admin = |id: Uuid| format!("/audit/admin/{id}");
        // No event of this organization was archived: aggregates of others are not found, as always.
        for path in [admin(journal.old), admin(Uuid::now_v7()), format!("{}/history", admin(journal.old)), "/audit/events/7".into(), "/audit/proofs/inclusion?position=7".into()] {
            journal.refused_with(&path, &later, 404).await;
        }
        let get = async |path: String| app.call("GET", &path).token(Some(&later)).send().await.ok();
        assert_eq!(items(&get("/audit/events".into()).await).len(), 3);
        let joined = items(&get(format!("{}/history", admin(journal.joined))).await);
        assert_eq!((joined.len(), &joined[0]["payload"]["legacyIdentifier"]), (1, &json!("L-3")));
        // Events of this organization were archived: aggregates of others, unknown and archived ones get the same
        // answer.
        for path in [journal.old, journal.joined, journal.new, Uuid::now_v7()].map(admin) {
            for path in [path.clone(), format!("{path}/history"), format!("{path}/diff"), format!("{path}?asOf=600")] {
                assert_eq!(journal.refused_with(&path, &seen, 410).await, GONE, "{path}");
            }
        }
        for path in ["/audit/events", "/audit/events/100", "/audit/proofs/inclusion?position=100", "/audit/organizations/seen/snapshot"] {
            assert_eq!(journal.refused_with(path, &seen, 410).await, GONE, "{path}");
        }
        let list = app.call("GET", "/audit/events?after=512").token(Some(&seen)).send().await.ok();
        assert_eq!(items(&list).len(), 1);
    }

    async fn a_state_in_memory_is_not_taken_for_one_after_archived_events(database) {
        small_partitions(&database).await;
        let app = App::open(&database).await;
        let id = Uuid::now_v7();
        registered_within(&app, id, None).await;
        for n in 0..120 {
            amended_within(&app, id, None, &n.to_string()).await;
        }
        let (last, path) = (app.head().await, format!("/audit/admin/{id}"));
        fill(&app, 520).await;
        app.get(&format!("{path}?asOf={last}")).await.ok();
        let folder = tempfile::tempdir().unwrap();
        archived(&app.state.node, 600, &folder.path().join("archive")).await.unwrap();
        for as_of in [last, last - 1, 520] {
            assert_eq!(refused(&app, app.call("GET", &format!("{path}?asOf={as_of}")), 410).await, GONE);
        }
    }
}
