//! Given streams, when a person is onboarded, then events of the request, the account, the individual and its places.

mod claims;
mod creation;
mod invitations;

use super::*;
use crate::DomainEvent;
use crate::group::placement::{self, Placement, PlacementEvent};
use crate::group::{Group, GroupEvent, GroupKind, Node, NodeType};
use crate::individual::IndividualEvent;
use crate::message::Channel;
use crate::onboarding::{Invitation, OnboardingEvent, VALIDITY};
use crate::processes::State;
use crate::processes::testing::*;
use crate::user::{InvitationState, Locale, UserEvent};
use crate::values::{EmailAddress, GroupId, MessageId};
use std::collections::BTreeSet;
use uuid::Uuid;

const ID: OnboardingRequestId = OnboardingRequestId(Uuid::from_u128(0x14));
const INDIVIDUAL: IndividualId = IndividualId(Uuid::from_u128(0x11));
const SPARE: IndividualId = IndividualId(Uuid::from_u128(0x12));
const WARD: GroupId = GroupId(Uuid::from_u128(0xC1));
const NEW: UserId = UserId(Uuid::from_u128(0x21));
const ADMIN: UserId = UserId(Uuid::from_u128(0x22));

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

fn request() -> Request {
    Request {
        id: ID,
        organization_id: ACME,
        kind: OnboardKind::Patient,
        individual_id: Some(INDIVIDUAL),
        email: Some(email("king@example.com")),
        phone: None,
        roles: BTreeSet::new(),
        groups: BTreeSet::new(),
        notifications: vec![Channel::Email],
        auto_confirm: false,
        auto_sign_up: false,
        locale: Locale::EnUs,
        created_by: ADMIN,
        user_id: Some(NEW),
        holder: RecipientId(NEW.0),
    }
}

fn provider() -> Request {
    let roles = [Role::Admin, Role::Provider].into();
    Request { kind: OnboardKind::Provider, individual_id: None, roles, ..request() }
}

/// The request where another account holds the address.
fn unsettled(request: Request) -> Request {
    Request { user_id: None, holder: RecipientId(ID.0), ..request }
}

fn new(request: Request) -> NewOnboarding {
    NewOnboarding {
        request,
        user: NEW,
        username: Username::Email,
        preferences: Preferences::new(),
        password: None,
        holders: vec![],
        individual: SPARE,
        now: at(0),
    }
}

fn held_by(user: Option<UserId>) -> Vec<AddressHolder> {
    vec![AddressHolder { field: "patientEmail", user }]
}

fn admin() -> Granter {
    Granter::new(Some(ADMIN), false, [ACME].into())
}

/// A provider, who may give nothing.
fn colleague() -> Granter {
    Granter::new(Some(BOB), false, BTreeSet::new())
}

fn happened(told: impl IntoIterator<Item = OnboardingEvent>) -> History {
    events::<Onboarding>(ID, told)
}

fn created(request: Request) -> OnboardingEvent {
    OnboardingEvent::Created(Box::new(request))
}

fn registered(user_id: UserId, holder: RecipientId) -> OnboardingEvent {
    OnboardingEvent::Registered { holder, user_id, at: at(0) }
}

fn claimed(user_id: UserId, request: &Request) -> OnboardingEvent {
    OnboardingEvent::Claimed {
        holder: request.holder,
        organization_id: ACME,
        user_id,
        email: request.email.clone(),
        phone: request.phone.clone(),
        individual_id: request.individual_id,
        at: at(0),
    }
}

fn recorded(owner: Owner) -> IndividualEvent {
    IndividualEvent::Recorded { id: INDIVIDUAL, owner }
}

fn individual(more: impl IntoIterator<Item = IndividualEvent>) -> History {
    let recorded = recorded(Owner::Organization(ACME));
    events::<Individual>(INDIVIDUAL, [recorded].into_iter().chain(more))
}

fn assigned(user_id: UserId) -> IndividualEvent {
    IndividualEvent::Assigned { user_id }
}

fn of_individual(more: impl IntoIterator<Item = IndividualEvent>) -> History {
    events::<Individual>(INDIVIDUAL, more)
}

fn enrolled() -> History {
    let event = PlacementEvent::Enrolled { organization_id: ACME, individual_id: INDIVIDUAL };
    events::<Placement>(placement::stream(ACME, INDIVIDUAL), [event])
}

fn ward(organization_id: OrganizationId, node_type: NodeType) -> History {
    let (kind, tags) = (GroupKind::Regular, BTreeSet::new());
    let node = Node { id: WARD, organization_id, name: "Ward".into(), kind, node_type, tags, parent: None };
    events::<Group>(WARD, [GroupEvent::Created(Box::new(node))])
}

fn in_ward() -> History {
    let event = PlacementEvent::Joined { group: WARD, first: true };
    events::<Placement>(placement::stream(ACME, INDIVIDUAL), [event])
}

/// The account as it is created.
fn pending(state: UserState, home: OrganizationId) -> Creation {
    Creation {
        id: NEW,
        state,
        names: Names { first_name: String::new(), last_name: String::new() },
        home: Some(Home::of(home)),
        contacts: Contacts { email: Some(email("king@example.com")), ..Contacts::default() },
        password_hash: None,
        onboarding: Some(ID),
        ..creation(NEW)
    }
}

/// Events of an account: its creation, and commands.
fn account(creation: Creation, commands: impl IntoIterator<Item = UserCommand>) -> History {
    let (stream, created) = events::<User>(creation.id, [UserEvent::Created(Box::new(creation))]);
    let (_, more) = after((stream.clone(), created.clone()), commands);
    (stream, [created, more].concat())
}

/// Events of a user's stream after those of `before`.
fn after((stream, before): History, commands: impl IntoIterator<Item = UserCommand>) -> History {
    let mut state = User::default();
    let mut more: Vec<DomainEvent> = Vec::new();
    before.iter().for_each(|event| assert!(state.fold(event)));
    for command in commands {
        for event in crate::Decide::decide(&state, command).expect("no refusal") {
            let event: DomainEvent = event.into();
            state.fold(&event);
            more.push(event);
        }
    }
    (stream, more)
}

fn participant() -> [UserCommand; 3] {
    [UserCommand::AddPrimaryIndividual(INDIVIDUAL), UserCommand::Join(ACME), UserCommand::Grant(ACME, Role::Member)]
}

/// Commands by which a pending account of a participant ends.
fn archived() -> [UserCommand; 4] {
    [
        UserCommand::Revoke(ACME, Role::Member),
        UserCommand::Leave(ACME),
        UserCommand::RemoveIndividual(INDIVIDUAL),
        UserCommand::Archive,
    ]
}

fn accepted() -> UserCommand {
    UserCommand::NoteInvitation(InvitationState::Accepted)
}

/// An organization with the individual.
fn clinic() -> Vec<History> {
    vec![organization(ACME), individual([]), enrolled()]
}

fn invitation(digest: &str) -> Invitation {
    let message = MessageId(Uuid::from_u128(0x31));
    Invitation { message, channel: Channel::Email, digest: digest.into(), at: at(0), expires_at: at(0) + VALIDITY }
}

fn invited() -> OnboardingEvent {
    OnboardingEvent::Invited { holder: request().holder, invitation: invitation("digest"), former: None }
}

fn amended(request: &Request, voided: Option<&str>) -> OnboardingEvent {
    OnboardingEvent::EmailAmended {
        holder: request.holder,
        organization_id: ACME,
        former: request.email.clone(),
        email: email("queen@example.com"),
        voided: voided.map(str::to_owned),
    }
}
