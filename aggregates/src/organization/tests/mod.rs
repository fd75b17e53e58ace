//! Given events, when a command, then events or a refusal.

mod codes;
mod content;
mod generated;
mod registration;
mod replacement;
mod samples;
mod study;
mod versions;
mod whole;

use super::*;
use crate::values::{OrganizationAddressId, OrganizationModeId};
use chrono::TimeDelta;
use cqrs_es::{
    Aggregate,
    test::{AggregateTestExecutor, TestFramework},
};

const ID: OrganizationId = OrganizationId(Uuid::from_u128(1));

fn given(events: impl IntoIterator<Item = OrganizationEvent>) -> AggregateTestExecutor<Organization> {
    TestFramework::with(()).given(events.into_iter().collect())
}

/// The state that `events` lead to.
fn organization(events: impl IntoIterator<Item = OrganizationEvent>) -> Organization {
    let mut organization = Organization::default();
    events.into_iter().for_each(|event| organization.apply(event));
    organization
}

/// The events of `command` on `organization`, and the state after them.
fn after(mut organization: Organization, command: OrganizationCommand) -> (Vec<OrganizationEvent>, Organization) {
    let events = organization.decide(command).expect("not refused");
    events.iter().cloned().for_each(|event| organization.apply(event));
    (events, organization)
}

/// A second of the tests' time.
fn second(number: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(number)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn stamp(at: i64) -> Stamp {
    Stamp::at(second(at))
}

fn because(at: i64, reason: &str) -> Stamp {
    Stamp { remark: remark(reason), ..stamp(at) }
}

fn remark(reason: &str) -> Remark {
    Remark { reason: some(reason), comment: None }
}

/// A stamp of a deployment that requires reasons.
fn strict(at: i64) -> Stamp {
    Stamp { reason_needed: true, ..stamp(at) }
}

fn edition(at: i64) -> Edition {
    Edition { start: second(at), reason: None, comment: None }
}

fn edition_because(at: i64, reason: &str) -> Edition {
    Edition { reason: some(reason), ..edition(at) }
}

fn code(list: CodeList, text: &str) -> Code {
    list.find(None, Some(text)).expect("known").expect("not blank")
}

fn content() -> Content {
    Content::named("Acme")
}

fn register(content: Content) -> OrganizationCommand {
    OrganizationCommand::Register { id: ID, content: Box::new(content), stamp: stamp(1) }
}

fn replace(at: i64, content: Content) -> OrganizationCommand {
    OrganizationCommand::Replace { content: Box::new(content), stamp: stamp(at), may_end: true }
}

fn rename(at: i64, name: &str) -> OrganizationCommand {
    OrganizationCommand::Rename { name: name.into(), stamp: stamp(at) }
}

/// An organization registered with only a name.
fn profile() -> Profile {
    Profile {
        id: ID,
        name: "Acme".into(),
        status: Status::Active,
        archived: false,
        details: Details { kind: Some(code(CodeList::Kind, "OTHER")), ..Details::default() },
        edition: edition(1),
        modes: vec![],
        addresses: vec![],
        properties: BTreeMap::new(),
        study_id: None,
        features: vec![],
        themes: vec![],
        tenancy: Tenancy::default(),
    }
}

fn registered() -> OrganizationEvent {
    OrganizationEvent::Registered(Box::new(profile()))
}

/// A registration changed by `edit`.
fn registered_with(edit: impl FnOnce(&mut Profile)) -> OrganizationEvent {
    let mut profile = profile();
    edit(&mut profile);
    OrganizationEvent::Registered(Box::new(profile))
}

/// The content that leaves [`profile`] as it is.
fn unchanged() -> Content {
    content()
}

fn mode(number: u128, text: &str, at: i64) -> Mode {
    Mode {
        id: OrganizationModeId(Uuid::from_u128(100 + number)),
        code: code(CodeList::Mode, text),
        entity_type: None,
        edition: edition(at),
    }
}

fn address(number: u128, postal_code: &str, at: i64) -> Address {
    Address {
        id: OrganizationAddressId(Uuid::from_u128(200 + number)),
        details: AddressDetails { postal_code: postal_code.into(), ..AddressDetails::default() },
        properties: BTreeMap::new(),
        edition: edition(at),
    }
}

fn property(value: &str, at: i64) -> Property {
    Property { value: value.into(), entity_type: None, edition: edition(at) }
}

fn new_mode(number: u128, text: &str) -> ModeContent {
    ModeContent { identity: Identity::New(Uuid::from_u128(100 + number)), ..known_mode(number, Some(text)) }
}

fn known_mode(number: u128, text: Option<&str>) -> ModeContent {
    ModeContent {
        identity: Identity::Known(Uuid::from_u128(100 + number)),
        code: text.map(|text| code(CodeList::Mode, text)),
        entity_type: None,
        seen: None,
        remark: Remark::default(),
    }
}

fn new_address(number: u128, postal_code: &str) -> AddressContent {
    AddressContent { identity: Identity::New(Uuid::from_u128(200 + number)), ..known_address(number, postal_code) }
}

fn known_address(number: u128, postal_code: &str) -> AddressContent {
    AddressContent {
        identity: Identity::Known(Uuid::from_u128(200 + number)),
        details: AddressDetails { postal_code: postal_code.into(), ..AddressDetails::default() },
        properties: None,
        seen: None,
        remark: Remark::default(),
    }
}

fn new_property(name: &str, value: &str) -> PropertyContent {
    PropertyContent { name: name.into(), value: value.into(), entity_type: None, remark: Remark::default() }
}

fn invalid<const N: usize>(findings: [(&str, Problem); N]) -> OrganizationError {
    let finding = |(field, problem): (&str, Problem)| Finding { field: field.into(), problem };
    OrganizationError::Invalid(findings.into_iter().map(finding).collect())
}
