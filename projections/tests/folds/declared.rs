//! Declarations of collections, as tables, indexes and counts, and the keys of documents, compared with files. `UPDATE=1`
//! writes the files.

use crate::given::*;
use crate::trail::{SAMPLES, recorded};
use crate::written::{assert_written, read};
use crate::{api_keys, organizations, users};
use registrar_aggregates::checkin::{CheckinEvent, Device, Source};
use registrar_aggregates::feature::setting::{Setting, SettingEvent, Switch, Target};
use registrar_aggregates::feature::{Definition, FeatureEvent, FeatureId, Stage};
use registrar_aggregates::group::placement::PlacementEvent;
use registrar_aggregates::group::staffing::{Post, StaffingEvent};
use registrar_aggregates::group::tree::TreeEvent;
use registrar_aggregates::group::{GroupEvent, GroupKind, Node, NodeType};
use registrar_aggregates::individual::{IndividualEvent, Owner};
use registrar_aggregates::organization::{Edition, OrganizationEvent};
use registrar_aggregates::session::{Account, EndReason, Opening, Origin, SessionEvent};
use registrar_aggregates::task::{TaskEvent, Work};
use registrar_aggregates::totp::TotpEvent;
use registrar_aggregates::user::{BirthDate, Classification, Phone, Role, SystemRole, UserEvent};
use registrar_aggregates::values::{
    EmailAddress, FeatureSettingId, GroupId, IndividualId, OrganizationId, SessionId, TaskId, TotpId, UserId,
};
use registrar_aggregates::{DomainEvent, personal};
use registrar_projections::{
    AnyDocument, CollectionId, DocumentKey, FOLLOWING, INLINE, KeyKind, KeyValue, RecordedEvent,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use uuid::Uuid;

const DECLARED: &str = "projections/tests/folds/declared.txt";
const KEYS: &str = "projections/tests/folds/keys.txt";

fn kind(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Text => "text",
        KeyKind::Integer => "integer",
        KeyKind::Ordinal => "ordinal",
        KeyKind::Texts => "texts",
        KeyKind::Search => "search",
    }
}

/// The projection that writes a collection, with its version.
fn written_by(id: CollectionId) -> String {
    let all = INLINE.iter().chain(FOLLOWING);
    let mut writers = all.filter(|projection| projection.collections.contains(&id));
    let (writer, other) = (writers.next(), writers.next());
    assert!(other.is_none(), "{id:?} is written by one projection");
    writer.map(|projection| format!("{} {}", projection.name, projection.version)).expect("a projection writes it")
}

/// A collection in the form from which tables, indexes and counts are made.
fn declared(id: CollectionId) -> (String, String) {
    let collection = id.collection();
    let mut lines = if collection.hot { "  hot\n".to_owned() } else { String::new() };
    for key in collection.keys {
        let _ = writeln!(lines, "  {} {}", key.name, kind(key.kind));
    }
    for index in collection.indexes {
        let _ = writeln!(lines, "  index {}", index.join(", "));
    }
    for counted in collection.counted {
        let each = counted.each.map(|each| format!(" each {} from {:?}", each.key, each.prefix)).unwrap_or_default();
        let _ = writeln!(lines, "{}", format!("  count {}{each}", counted.keys.join(", ")).trim_end());
    }
    (format!("{} by {}\n", collection.name, written_by(id)), lines)
}

/// Tables, indexes and counts follow from nothing else. Nodes use the version of the projection to see whether
/// documents are theirs, older or newer, so a version must not stand for two declarations.
#[test]
fn collections_have_the_declarations_of_the_file() {
    let declared: Vec<_> = CollectionId::ALL.iter().copied().map(declared).collect();
    let released = read(DECLARED);
    for (header, lines) in &declared {
        let Some((_, former)) = released.split_once(header) else { continue };
        let former: String = former.split_inclusive('\n').take_while(|line| line.starts_with(' ')).collect();
        assert_eq!(&former, lines, "raise the version: {header}");
    }
    let found: String = declared.into_iter().map(|(header, lines)| header + &lines).collect();
    assert_written(DECLARED, &found);
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Events with values that matter for keys and entries: letters in both cases, marks, several texts. A collection without
/// a document here has those of the samples.
fn happened() -> Vec<(String, DomainEvent)> {
    let (organization, user) = (OrganizationId(organizations::ID), UserId(users::ID));
    let (left, individual) = (OrganizationId(id(0x10)), IndividualId(id(0x11)));
    let [division, group] = [0x12, 0x13].map(|number| GroupId(id(number)));
    let feature = FeatureId::parse("Dark.Mode").expect("an identifier");
    let email = |text: &str| EmailAddress::parse(text).expect("an address");
    let edition = || Edition { start: time(1), reason: None, comment: None };
    let placed = format!("{organization}/{individual}");
    let node = |id, name: &str, node_type, kind| {
        let tags = ["red".to_owned(), "blue".to_owned()].into();
        GroupEvent::Created(Box::new(Node {
            id,
            organization_id: organization,
            name: name.to_owned(),
            kind,
            node_type,
            tags,
            parent: None,
        }))
    };
    let opening = |number, origin, account| {
        SessionEvent::Opened(Box::new(Opening {
            id: SessionId(id(number)),
            user_id: user,
            account,
            epoch: 3,
            scope: None,
            origin,
            by: None,
            via: None,
            expires_at: time(5000),
            access_secs: None,
            refresh_digest: Some("digest".to_owned()),
        }))
    };
    let totp = |number| TotpEvent::Created { id: TotpId(id(number)), user_id: user, secret: "secret".to_owned() };
    let work = Work::MoveGroup { organization_id: organization, group_id: group, to: Some(division) };
    let setting = |number, target| SettingEvent::Created {
        id: FeatureSettingId(id(number)),
        setting: Setting { feature_id: feature.clone(), target, switch: Switch::Enabled },
    };
    let definition =
        |assignable| Definition { stage: Stage::Beta, description: None, global_enabled: false, assignable };
    let member_of = |organization_id, number| UserEvent::OrganizationJoined { organization_id, number };
    let grant = |organization_id, role| UserEvent::RoleGranted { organization_id, role };
    let device = Device {
        user_id: user,
        source: Source::Ios,
        app_version: "1.2".to_owned(),
        model: "One".to_owned(),
        os_version: "17".to_owned(),
    };
    let mut all: Vec<(String, DomainEvent)> = Vec::new();
    let mut happens = |id: &dyn ToString, event: DomainEvent| all.push((id.to_string(), event));
    happens(&ADMIN, registered(full_registration()).into());
    happens(&organization, organizations::registered().into());
    let study_id = id(0xCD).to_string();
    happens(&organization, OrganizationEvent::StudyAssigned { study_id, edition: edition() }.into());
    happens(&left, organizations::registered_as(left).into());
    happens(&left, OrganizationEvent::Deleted { handle: None, edition: edition() }.into());
    happens(&id(0xAB), api_keys::created().into());
    happens(
        &user,
        users::created_with(|creation| {
            creation.names.last_name = "ÅNGSTRÖM".to_owned();
            creation.birth_date = Some(BirthDate::parse("1815-12-10").expect("a date"));
            creation.classification = Some(Classification::Carium);
            creation.contacts.phone = Some(Phone::parse("+12025550123").expect("a number"));
        })
        .into(),
    );
    happens(&user, member_of(organization, 1).into());
    happens(&user, grant(organization, Role::Admin).into());
    happens(&user, grant(organization, Role::Member).into());
    happens(&user, UserEvent::SystemRoleGranted { role: SystemRole::Support }.into());
    happens(&user, UserEvent::IndividualAdded { individual_id: individual }.into());
    let (to, kept) = (email("King@example.com"), Some(email("Ada@example.com")));
    happens(&user, UserEvent::EmailAmended { former: None, email: to, kept }.into());
    happens(&id(0x20), opening(0x20, Origin::SignIn, Account::User).into());
    let (digest, spent) = (Some("next".to_owned()), Some("digest".to_owned()));
    let refreshed =
        SessionEvent::Refreshed { user_id: user, account: Account::User, refresh_digest: digest, spent_digest: spent };
    happens(&id(0x20), refreshed.into());
    happens(&id(0x20), SessionEvent::Renewed { epoch: 4 }.into());
    happens(&id(0x21), opening(0x21, Origin::Workload, Account::Admin).into());
    happens(&id(0x22), opening(0x22, Origin::Synthetic, Account::User).into());
    happens(&id(0x22), SessionEvent::Ended { reason: EndReason::SignedOut }.into());
    happens(&id(0x23), totp(0x23).into());
    happens(&id(0x23), TotpEvent::Enabled { user_id: user, step: 1, recovery_digests: vec![] }.into());
    happens(&id(0x23), TotpEvent::CodeUsed { step: 2 }.into());
    happens(&id(0x23), TotpEvent::Disabled { user_id: user }.into());
    happens(&id(0x24), totp(0x24).into());
    happens(&id(0x24), TotpEvent::Enabled { user_id: user, step: 1, recovery_digests: vec![] }.into());
    happens(&id(0x24), TotpEvent::Deleted { user_id: None }.into());
    happens(&id(0x25), CheckinEvent::Recorded(device).into());
    happens(&"Dark.Mode", FeatureEvent::Created { id: feature.clone(), definition: definition(false) }.into());
    happens(&"Dark.Mode", FeatureEvent::Amended { definition: definition(true) }.into());
    happens(&id(0x26), setting(0x26, Target::User(user)).into());
    happens(&id(0x27), setting(0x27, Target::UserIn(user, organization)).into());
    happens(&id(0x27), SettingEvent::Switched { switch: Switch::DontCare }.into());
    happens(&id(0x28), setting(0x28, Target::Organization(organization)).into());
    happens(&individual, IndividualEvent::Recorded { id: individual, owner: Owner::User(user) }.into());
    let theirs = IndividualId(id(0x2A));
    happens(&theirs, IndividualEvent::Recorded { id: theirs, owner: Owner::Organization(organization) }.into());
    happens(&theirs, IndividualEvent::Assigned { user_id: user }.into());
    let enrolled = PlacementEvent::Enrolled { organization_id: organization, individual_id: individual };
    happens(&placed, enrolled.into());
    happens(&division, node(division, "North", NodeType::Division, GroupKind::Regular).into());
    happens(&group, node(group, "First", NodeType::Group, GroupKind::ProviderOnly).into());
    let moved =
        GroupEvent::Moved { organization_id: organization, name: "First".to_owned(), from: None, to: Some(division) };
    happens(&group, moved.into());
    happens(&organization, TreeEvent::NodeMoved { node: group, under: Some(division) }.into());
    happens(&group, GroupEvent::Tagged { tags: ["green".to_owned()].into() }.into());
    happens(&placed, PlacementEvent::Joined { group, first: true }.into());
    let appointed =
        StaffingEvent::Appointed { organization_id: organization, user_id: user, post: Post::Leader, group };
    happens(&format!("{organization}/{user}"), appointed.into());
    happens(&id(0x29), TaskEvent::Queued { id: TaskId(id(0x29)), work }.into());
    happens(&id(0x29), TaskEvent::Started {}.into());
    happens(&id(0x29), TaskEvent::Failed { work, error: "too deep".to_owned() }.into());
    happens(&id(0x2A), TaskEvent::Queued { id: TaskId(id(0x2A)), work }.into());
    all
}

fn shown(document: &AnyDocument) -> String {
    let collection = document.collection_id().collection();
    let mut lines = format!("{} {}\n", collection.name, document.id());
    // The keys of entries are covered by the trail's own tests.
    let is_shown = |key: &str| collection.name != "audit_entries" || ["action", "entity"].contains(&key);
    for (key, value) in collection.keys.iter().zip(document.keys()).filter(|(key, _)| is_shown(key.name)) {
        let value = match value {
            KeyValue::Text(text) => format!("{text:?}"),
            KeyValue::Integer(number) => number.to_string(),
            KeyValue::Texts(texts) => format!("{texts:?}"),
        };
        let _ = writeln!(lines, "  {} = {value}", key.name);
    }
    if let AnyDocument::AuditEntries(entry) = document {
        for change in &entry.changes {
            let _ = writeln!(lines, "  {}: {} -> {}", change.path, change.old_value, change.new_value);
        }
    }
    lines
}

/// The documents after a history, those of followers among them.
fn documents(events: &[RecordedEvent]) -> BTreeMap<DocumentKey, Arc<AnyDocument>> {
    let mut documents = history(events.iter().cloned()).0;
    for event in events {
        for follower in FOLLOWING {
            (follower.wants)(event).into_iter().for_each(|key| documents.provide(key, None));
            (follower.fold)(event, &mut documents).expect("the event fits");
        }
    }
    documents.changes().filter_map(|change| Some((change.key, change.after?))).collect()
}

/// Keys for finding and sorting, and entries of the trail, which follow from the documents before and after.
#[test]
fn documents_have_the_keys_of_the_file() {
    let mut recorder = Recorder::default();
    let events: Vec<_> = happened().into_iter().map(|(id, event)| recorder.record(&id, event)).collect();
    let mut present = documents(&events);
    let covered: BTreeSet<_> = present.keys().map(|key| key.collection).collect();
    for sample in SAMPLES.iter() {
        let sampled = documents(&recorded(sample)).into_iter();
        present.extend(sampled.filter(|(key, _)| !covered.contains(&key.collection)));
    }
    for collection in CollectionId::ALL {
        assert!(present.keys().any(|key| key.collection == *collection), "{collection:?} has a document");
    }
    let found: String = present.values().map(|document| shown(document)).collect();
    assert_written(KEYS, &found);
}

#[test]
fn sealed_documents_have_no_personal_text_of_their_event_in_the_clear() {
    for sample in SAMPLES.iter() {
        let events = recorded(sample);
        let last = events.last().expect("the sample");
        let payload = last.event.to_payload().expect("JSON");
        let pointers = last.event.disclosure().personal(&payload);
        let documents = documents(&events);
        // Entries have a shape of their own; the tests of the trail cover them.
        for document in documents.values().filter(|found| found.collection_id() != CollectionId::AuditEntries) {
            let mut body = document.to_body().expect("JSON");
            for (subject, fields) in document.sealed_fields() {
                assert_eq!(Some(subject), last.event.subject(&last.aggregate_id));
                personal::take(&mut body, &fields);
                let clear = body.to_string();
                for text in pointers.iter().filter_map(|pointer| payload.pointer(pointer)) {
                    assert!(!clear.contains(&text.to_string()), "{text} in {clear}");
                }
            }
        }
    }
}
