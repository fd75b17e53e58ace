//! Given streams, when a person is onboarded, then events of the request, the account, the individual and its places.

use super::*;
use crate::DomainEvent;
use crate::group::placement::{self, Placement, PlacementEvent};
use crate::group::staffing::{self, Staffing, StaffingEvent};
use crate::group::{Group, GroupError, GroupEvent, GroupKind, Node, NodeType};
use crate::individual::IndividualEvent;
use crate::onboarding::{OnboardingEvent, OnboardingStatus, VALIDITY};
use crate::organization::OrganizationError;
use crate::processes::testing::*;
use crate::processes::{State, StreamId};
use crate::quota::{Quota, QuotaError, QuotaEvent, QuotaKind};
use crate::user::roster::{self, Roster, RosterEvent};
use crate::user::{Locale, Phone, UserEvent};
use crate::values::{GroupId, Problem};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

const ID: OnboardingRequestId = OnboardingRequestId(Uuid::from_u128(0x14));
const INDIVIDUAL: IndividualId = IndividualId(Uuid::from_u128(0x11));
const SPARE: IndividualId = IndividualId(Uuid::from_u128(0x12));
const WARD: GroupId = GroupId(Uuid::from_u128(0xC1));
const NEW: UserId = UserId(Uuid::from_u128(0x21));
const ADMIN: UserId = UserId(Uuid::from_u128(0x22));
const QUOTA: &str = "quota";

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

fn accepted() -> UserCommand {
    UserCommand::NoteInvitation(InvitationState::Accepted)
}

fn begin_on(streams: impl IntoIterator<Item = History>, granter: &Granter, new: &NewOnboarding) -> ProcessOutcome {
    given(streams).when(|streams| begin(streams, granter, new))
}

/// An organization with the individual.
fn clinic() -> Vec<History> {
    vec![organization(ACME), individual([]), enrolled()]
}

#[test]
fn a_participant_has_a_pending_account_from_the_beginning() {
    begin_on(clinic(), &colleague(), &new(request())).then([
        happened([created(request())]),
        of_individual([assigned(NEW)]),
        account(pending(UserState::Init, ACME), participant()),
    ]);
}

#[test]
fn preferences_are_those_of_the_pending_account() {
    let preferences: Preferences = serde_json::from_value(json!({ "sms": { "news": false } })).expect("preferences");
    let amendment = Amendment { preferences: Some(preferences.clone()), ..Amendment::default() };
    let commands = [UserCommand::Amend(Box::new(amendment))].into_iter().chain(participant());
    let wished = NewOnboarding { preferences, ..new(request()) };
    begin_on(clinic(), &colleague(), &wished).then([
        happened([created(request())]),
        of_individual([assigned(NEW)]),
        account(pending(UserState::Init, ACME), commands),
    ]);
    let large = json!({ "sms": { "news": "x".repeat(20_000) } });
    let preferences: Preferences = serde_json::from_value(large).expect("preferences");
    for holders in [vec![], held_by(Some(ADA))] {
        let refusal = Problem::TooLarge { max: crate::user::PREFERENCES_BYTES_MAX }.of("communicationPreferences");
        let wished = NewOnboarding { preferences: preferences.clone(), holders, ..new(request()) };
        begin_on([clinic(), vec![user(ADA, [])]].concat(), &colleague(), &wished)
            .then_refused(OnboardingError::Unfit(refusal));
    }
}

#[test]
fn a_provider_is_no_admin_before_the_claim() {
    let commands = [UserCommand::Join(ACME), UserCommand::Grant(ACME, Role::Provider)];
    begin_on([organization(ACME)], &admin(), &new(provider()))
        .then([happened([created(provider())]), account(pending(UserState::Init, ACME), commands)]);
}

#[test]
fn an_address_of_another_account_gets_no_pending_one() {
    let (patient, colleague_to_be) = (unsettled(request()), unsettled(provider()));
    for holder in [Some(ADA), None] {
        let held = NewOnboarding { holders: held_by(holder), ..new(request()) };
        begin_on([clinic(), vec![user(ADA, [])]].concat(), &colleague(), &held)
            .then([happened([created(patient.clone())])]);
        let held = NewOnboarding { holders: held_by(holder), ..new(provider()) };
        begin_on([organization(ACME), user(ADA, [])], &admin(), &held)
            .then([happened([created(colleague_to_be.clone())])]);
    }
}

#[test]
fn an_address_of_a_member_is_taken() {
    let held = NewOnboarding { holders: held_by(Some(ADA)), ..new(request()) };
    begin_on([clinic(), vec![member(ADA, ACME, [])]].concat(), &colleague(), &held)
        .then_refused(OnboardingError::AddressTaken { field: "patientEmail" });
}

#[test]
fn only_admins_onboard_providers_and_give_passwords_and_confirmations() {
    let confirmed = Request { auto_confirm: true, ..request() };
    for request in [provider(), Request { roles: [Role::Provider].into(), ..provider() }, confirmed.clone()] {
        begin_on(clinic(), &colleague(), &new(request)).then_refused(GrantError::NotHeld);
    }
    let password = Some(FirstPassword { hash: "hash".into(), expires_at: at(60) });
    let signed_up = NewOnboarding { password, ..new(Request { auto_sign_up: true, ..request() }) };
    begin_on(clinic(), &colleague(), &signed_up).then_refused(GrantError::NotHeld);
    let elsewhere = Granter::new(Some(ADMIN), false, [OTHER].into());
    begin_on(clinic(), &elsewhere, &new(provider())).then_refused(GrantError::NotHeld);
    begin_on(clinic(), &admin(), &new(confirmed.clone())).then([
        happened([created(confirmed)]),
        of_individual([assigned(NEW)]),
        account(pending(UserState::Init, ACME), participant()),
    ]);
}

#[test]
fn an_individual_is_the_organizations_and_has_no_person_yet() {
    let foreign = events::<Individual>(INDIVIDUAL, [recorded(Owner::Organization(OTHER))]);
    let owned = events::<Individual>(INDIVIDUAL, [recorded(Owner::User(ADA))]);
    for holders in [vec![], held_by(None)] {
        let new = NewOnboarding { holders, ..new(request()) };
        for other in [vec![foreign.clone()], vec![owned.clone()], vec![]] {
            begin_on([vec![organization(ACME)], other].concat(), &admin(), &new)
                .then_refused(OnboardingError::OtherIndividual);
        }
        begin_on([organization(ACME), individual([assigned(BOB)]), enrolled()], &admin(), &new)
            .then_refused(IndividualError::OtherPerson);
    }
}

#[test]
fn the_individual_is_placed_in_its_groups_with_or_without_an_account() {
    let placed = Request { groups: [WARD].into(), ..request() };
    let streams = || [clinic(), vec![ward(ACME, NodeType::Group), user(ADA, [])]].concat();
    begin_on(streams(), &admin(), &new(placed.clone())).then([
        happened([created(placed.clone())]),
        of_individual([assigned(NEW)]),
        in_ward(),
        account(pending(UserState::Init, ACME), participant()),
    ]);
    let held = NewOnboarding { holders: held_by(Some(ADA)), ..new(placed.clone()) };
    begin_on(streams(), &admin(), &held).then([happened([created(unsettled(placed))]), in_ward()]);
}

#[test]
fn groups_are_the_organizations_and_take_such_people() {
    let placed = Request { groups: [WARD].into(), ..request() };
    let at_ward = |node| begin_on([clinic(), vec![node]].concat(), &admin(), &new(placed.clone()));
    at_ward(ward(OTHER, NodeType::Group)).then_refused(OnboardingError::OtherGroup);
    at_ward(ward(ACME, NodeType::Division)).then_refused(GroupError::TakesNoIndividuals);
    let working = Request { groups: [WARD].into(), ..provider() };
    begin_on([organization(ACME), ward(ACME, NodeType::Division)], &admin(), &new(working))
        .then_refused(GroupError::TakesNoMembers);
    begin_on(clinic(), &admin(), &new(placed)).then_refused(GroupError::NotFound);
}

#[test]
fn an_organization_onboards_until_it_is_retired_or_deleted() {
    for (organization, refusal) in
        [(retired(ACME), OrganizationError::Retired), (deleted(ACME), OrganizationError::NotFound)]
    {
        begin_on([organization, individual([]), enrolled()], &admin(), &new(request())).then_refused(refusal);
    }
}

#[test]
fn an_account_with_a_password_is_signed_up_at_once() {
    let password = || Some(FirstPassword { hash: "hash".into(), expires_at: at(60) });
    let signed_up = Request { auto_sign_up: true, ..request() };
    let of = |state| {
        let creation = pending(state, ACME);
        Creation { password_hash: Some("hash".into()), password_expires_at: Some(at(60)), ..creation }
    };
    let with_password = NewOnboarding { password: password(), ..new(signed_up.clone()) };
    begin_on(clinic(), &admin(), &with_password).then([
        happened([created(signed_up.clone()), registered(NEW, request().holder)]),
        of_individual([assigned(NEW)]),
        account(of(UserState::Registered), participant()),
    ]);
    let confirmed = Request { auto_confirm: true, ..signed_up.clone() };
    let with_password = NewOnboarding { password: password(), ..new(confirmed.clone()) };
    begin_on(clinic(), &admin(), &with_password).then([
        happened([created(confirmed.clone()), registered(NEW, request().holder), claimed(NEW, &confirmed)]),
        of_individual([assigned(NEW)]),
        account(of(UserState::Confirmed), participant().into_iter().chain([accepted()])),
    ]);
    let held = NewOnboarding { holders: held_by(Some(ADA)), password: password(), ..new(signed_up.clone()) };
    begin_on([clinic(), vec![user(ADA, [])]].concat(), &admin(), &held)
        .then_refused(OnboardingError::AddressTaken { field: "patientEmail" });
    begin_on(clinic(), &admin(), &new(signed_up)).then_refused(OnboardingError::UnfitPassword);
    let needless = NewOnboarding { password: password(), ..new(request()) };
    begin_on(clinic(), &admin(), &needless).then_refused(OnboardingError::UnfitPassword);
}

fn invitation(digest: &str) -> Invitation {
    let message = MessageId(Uuid::from_u128(0x31));
    Invitation { message, channel: Channel::Email, digest: digest.into(), at: at(0), expires_at: at(0) + VALIDITY }
}

fn invited() -> OnboardingEvent {
    OnboardingEvent::Invited { holder: request().holder, invitation: invitation("digest"), former: None }
}

fn outgoing(to: &str) -> OutgoingInvitation {
    OutgoingInvitation { invitation: invitation("digest"), to: Contact::Email(email(to)), quota: QUOTA.into() }
}

fn used(times: usize) -> History {
    events::<Quota>(QUOTA, std::iter::repeat_n(QuotaEvent::Used { kind: QuotaKind::Messages, at: at(0) }, times))
}

#[test]
fn an_invitation_counts_for_its_address() {
    let invite_on = |streams: Vec<History>, to: &'static str| {
        given(streams).when(move |streams| invite(streams, ID, &outgoing(to)))
    };
    let sent = || vec![organization(ACME), happened([created(request())])];
    invite_on(sent(), "KING@example.com").then([happened([invited()]), used(1)]);
    invite_on([sent(), vec![used(3)]].concat(), "king@example.com")
        .then_refused(QuotaError::UsedUp { kind: QuotaKind::Messages, until: at(600) });
    invite_on(sent(), "ada@example.com").then_other_version();
    invite_on(vec![retired(ACME), happened([created(request())])], "king@example.com")
        .then_refused(OrganizationError::Retired);
    let done = happened([created(request()), claimed(NEW, &request())]);
    invite_on(vec![organization(ACME), done], "king@example.com").then_refused(OnboardingError::Claimed);
    invite_on(vec![organization(ACME)], "king@example.com").then_refused(OnboardingError::NotFound);
}

fn amend_on(
    streams: impl IntoIterator<Item = History>,
    to: &str,
    holder: Option<AddressHolder>,
    expected: Option<u64>,
) -> ProcessOutcome {
    let to = email(to);
    given(streams).when(move |streams| amend_email(streams, ID, &to, holder, expected))
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

#[test]
fn the_pending_account_has_the_corrected_address() {
    let before = || account(pending(UserState::Init, ACME), participant());
    let amendment = Amendment { email: Some(email("queen@example.com")), ..Amendment::default() };
    let moved = after(before(), [UserCommand::Amend(Box::new(amendment))]);
    let open = || happened([created(request()), invited()]);
    amend_on([organization(ACME), open(), before()], "queen@example.com", None, Some(2))
        .then([happened([amended(&request(), Some("digest"))]), moved]);
    amend_on([organization(ACME), open(), before()], "KING@example.com", None, None).then_nothing();
    amend_on([organization(ACME), open(), before()], "queen@example.com", None, Some(1)).then_other_version();
}

#[test]
fn an_account_that_is_not_pending_keeps_its_address() {
    let open = unsettled(request());
    amend_on([organization(ACME), happened([created(open.clone())])], "queen@example.com", None, None)
        .then([happened([amended(&open, None)])]);
    let confirmed = account(pending(UserState::Confirmed, ACME), []);
    let taken_over = account(pending(UserState::Init, OTHER), []);
    for account in [confirmed, taken_over] {
        amend_on([organization(ACME), happened([created(request())]), account], "queen@example.com", None, None)
            .then([happened([amended(&request(), None)])]);
    }
}

#[test]
fn an_address_of_another_account_is_no_correction() {
    let holder = |user| Some(AddressHolder { field: "email", user });
    let before = || account(pending(UserState::Init, ACME), participant());
    let open = || [organization(ACME), happened([created(request())]), before()];
    for other in [Some(ADA), None] {
        amend_on(open(), "queen@example.com", holder(other), None)
            .then_refused(OnboardingError::AddressTaken { field: "email" });
        amend_on(open(), "KING@example.com", holder(other), None).then_nothing();
    }
    let done = || happened([created(request()), claimed(NEW, &request())]);
    amend_on([organization(ACME), done()], "queen@example.com", holder(Some(ADA)), None)
        .then_refused(OnboardingError::Claimed);
    amend_on([deleted(ACME), happened([created(request())])], "queen@example.com", None, None)
        .then_refused(OnboardingError::NotFound);
}

#[test]
fn a_code_opens_a_request_until_it_is_void_used_or_expired() {
    let open_on = |streams: Vec<History>, digest: &'static str, seconds: i64| {
        given(streams).when(move |streams| {
            let channel = open_by_code(streams, ID, digest, at(seconds))?;
            assert_eq!(channel, Channel::Email);
            Ok(())
        })
    };
    let sent = || happened([created(request()), invited()]);
    let in_clinic = || vec![organization(ACME), sent()];
    open_on(in_clinic(), "digest", 0).then_nothing();
    let done = happened([created(request()), invited(), claimed(NEW, &request())]);
    let other = happened([created(request()), invited(), amended(&request(), Some("digest"))]);
    for (streams, digest, seconds) in [
        (in_clinic(), "other", 0),
        (in_clinic(), "digest", 30 * 86_400),
        (vec![organization(ACME), done], "digest", 0),
        (vec![organization(ACME), other], "digest", 0),
        (vec![retired(ACME), sent()], "digest", 0),
        (vec![deleted(ACME), sent()], "digest", 0),
        (vec![organization(ACME)], "digest", 0),
    ] {
        open_on(streams, digest, seconds).then_refused(OnboardingError::CodeInvalid);
    }
}

#[test]
fn the_pending_account_begins_to_sign_up() {
    let before = account(pending(UserState::Registered, ACME), participant());
    given([organization(ACME), happened([created(request())]), before])
        .when(|streams| register(streams, ID, NEW, at(0)))
        .then([happened([registered(NEW, request().holder)])]);
}

#[test]
fn a_pending_account_of_another_organization_comes_over_without_what_that_one_gave() {
    const THEIRS: IndividualId = IndividualId(Uuid::from_u128(0x13));
    let theirs = [IndividualEvent::Recorded { id: THEIRS, owner: Owner::Organization(OTHER) }, assigned(NEW)];
    let commands =
        [UserCommand::AddPrimaryIndividual(THEIRS), UserCommand::Join(OTHER), UserCommand::Grant(OTHER, Role::Member)];
    let before = || account(pending(UserState::Registered, OTHER), commands.clone());
    let open = unsettled(request());
    let streams = [
        organization(ACME),
        organization(OTHER),
        happened([created(open.clone())]),
        before(),
        individual([]),
        enrolled(),
        events::<Individual>(THEIRS, theirs),
    ];
    let moved = [
        UserCommand::MoveHome(ACME),
        UserCommand::RemoveIndividual(THEIRS),
        UserCommand::Revoke(OTHER, Role::Member),
        UserCommand::Leave(OTHER),
    ];
    given(streams).when(|streams| register(streams, ID, NEW, at(0))).then([
        happened([registered(NEW, open.holder)]),
        after(before(), moved.into_iter().chain(participant())),
        events::<Individual>(THEIRS, [IndividualEvent::Unassigned { user_id: NEW }]),
        of_individual([assigned(NEW)]),
    ]);
}

#[test]
fn an_account_that_is_confirmed_or_proven_does_not_sign_up_again() {
    let proven = Creation {
        contacts: Contacts { email_verified: true, ..pending(UserState::Init, OTHER).contacts },
        ..pending(UserState::Init, OTHER)
    };
    for account in [account(pending(UserState::Confirmed, OTHER), []), account(proven, [])] {
        given([organization(ACME), happened([created(unsettled(request()))]), account])
            .when(|streams| register(streams, ID, NEW, at(0)))
            .then_refused(OnboardingError::AddressTaken { field: "username" });
    }
    given([organization(ACME), happened([created(request()), claimed(NEW, &request())])])
        .when(|streams| register(streams, ID, NEW, at(0)))
        .then_refused(OnboardingError::Claimed);
}

#[test]
fn the_person_of_the_pending_account_claims_the_request() {
    let before = || account(pending(UserState::Confirmed, ACME), participant());
    let open = || happened([created(request()), registered(NEW, request().holder)]);
    let streams = || [organization(ACME), open(), before(), individual([assigned(NEW)]), enrolled()];
    given(streams())
        .when(|streams| claim(streams, ID, NEW, SPARE, at(0)))
        .then([happened([claimed(NEW, &request())]), after(before(), [accepted()])]);
}

#[test]
fn a_provider_becomes_admin_and_works_in_groups_by_the_claim() {
    let working = Request { groups: [WARD].into(), ..provider() };
    let before = || {
        let commands = [UserCommand::Join(ACME), UserCommand::Grant(ACME, Role::Provider)];
        account(pending(UserState::Confirmed, ACME), commands)
    };
    let posted = StaffingEvent::Appointed { organization_id: ACME, user_id: NEW, post: Post::Member, group: WARD };
    given([organization(ACME), happened([created(working.clone())]), before(), ward(ACME, NodeType::Group)])
        .when(|streams| claim(streams, ID, NEW, SPARE, at(0)))
        .then([
            happened([claimed(NEW, &working)]),
            after(before(), [UserCommand::Grant(ACME, Role::Admin), accepted()]),
            events::<Roster>(roster::stream(Some(ACME)), [RosterEvent::Added { user_id: NEW }]),
            events::<Staffing>(staffing::stream(ACME, NEW), [posted]),
        ]);
}

#[test]
fn a_person_with_an_account_claims_the_request_with_it() {
    const OWN: IndividualId = IndividualId(Uuid::from_u128(0x13));
    let open = unsettled(request());
    let before = || user(ADA, [UserCommand::AddIndividual(OWN)]);
    let owned = events::<Individual>(OWN, [IndividualEvent::Recorded { id: OWN, owner: Owner::User(ADA) }]);
    let enrolled_own = PlacementEvent::Enrolled { organization_id: ACME, individual_id: OWN };
    given([organization(ACME), happened([created(open.clone())]), before(), individual([]), enrolled(), owned])
        .when(|streams| claim(streams, ID, ADA, SPARE, at(0)))
        .then([
            happened([claimed(ADA, &open)]),
            of_individual([assigned(ADA)]),
            after(before(), participant().into_iter().chain([accepted()])),
            events::<Placement>(placement::stream(ACME, OWN), [enrolled_own]),
        ]);
}

#[test]
fn the_pending_account_of_a_person_who_has_another_one_is_archived() {
    let before = || account(pending(UserState::Init, ACME), participant());
    let streams = [
        organization(ACME),
        happened([created(request())]),
        before(),
        individual([assigned(NEW)]),
        enrolled(),
        user(ADA, []),
    ];
    let gone = [
        UserCommand::RemoveIndividual(INDIVIDUAL),
        UserCommand::Revoke(ACME, Role::Member),
        UserCommand::Leave(ACME),
        UserCommand::Archive,
    ];
    given(streams).when(|streams| claim(streams, ID, ADA, SPARE, at(0))).then([
        happened([claimed(ADA, &request())]),
        after(before(), gone),
        of_individual([IndividualEvent::Unassigned { user_id: NEW }, assigned(ADA)]),
        after(user(ADA, []), participant().into_iter().chain([accepted()])),
    ]);
}

#[test]
fn a_request_is_claimed_once_and_never_by_its_creator() {
    let open = || happened([created(unsettled(request()))]);
    let claim_on = |streams: Vec<History>, by| given(streams).when(move |streams| claim(streams, ID, by, SPARE, at(0)));
    claim_on(vec![organization(ACME), open(), user(ADMIN, [])], ADMIN).then_refused(GrantError::Oneself);
    let done = || happened([created(unsettled(request())), claimed(ADA, &unsettled(request()))]);
    claim_on(vec![organization(ACME), done(), user(ADA, [])], ADA).then_nothing();
    claim_on(vec![organization(ACME), done(), user(BOB, [])], BOB).then_refused(OnboardingError::Claimed);
    let given_away = vec![organization(ACME), open(), user(ADA, []), individual([assigned(BOB)]), enrolled()];
    claim_on(given_away, ADA).then_refused(IndividualError::OtherPerson);
    let late = vec![retired(ACME), open(), user(ADA, []), individual([]), enrolled()];
    claim_on(late, ADA).then_refused(OrganizationError::Retired);
}

#[test]
fn reports_of_deliveries_tell_the_state_of_the_invitation() {
    let noted = |status, error: Option<&str>| OnboardingEvent::DeliveryNoted {
        holder: request().holder,
        message: invitation("digest").message,
        channel: Channel::Email,
        status,
        error: error.map(str::to_owned),
        bounce: None,
        complained: false,
        at: at(0),
    };
    let note_on = |streams: Vec<History>, status, error: Option<&'static str>| {
        let message = invitation("digest").message;
        given(streams).when(move |streams| note_delivery(streams, ID, message, status, error, at(0)))
    };
    let before = || account(pending(UserState::Init, ACME), participant());
    let sent = || happened([created(request()), invited()]);
    let state = |state| after(before(), [UserCommand::NoteInvitation(state)]);
    note_on(vec![sent(), before()], InvitationStatus::Sent, None)
        .then([happened([noted(InvitationStatus::Sent, None)]), state(InvitationState::Sent)]);
    let failed = noted(InvitationStatus::Failed, Some("rejected"));
    note_on(vec![sent(), before()], InvitationStatus::Failed, Some("rejected"))
        .then([happened([failed]), state(InvitationState::Failed)]);
    let failed = noted(InvitationStatus::Failed, None);
    note_on(vec![sent(), before()], InvitationStatus::Failed, Some("several\nlines"))
        .then([happened([failed]), state(InvitationState::Failed)]);
    let archived = [before().1, after(before(), [UserCommand::Archive]).1].concat();
    let archived = (StreamId::of::<User>(NEW), archived);
    note_on(vec![sent(), archived], InvitationStatus::Sent, None)
        .then([happened([noted(InvitationStatus::Sent, None)])]);
    note_on(vec![happened([created(request())]), before()], InvitationStatus::Sent, None).then_nothing();
    note_on(vec![], InvitationStatus::Sent, None).then_nothing();
}

#[test]
fn a_number_is_an_address_too() {
    let phone = Phone::parse("+12025550123").expect("a number");
    let reached = Request { email: None, phone: Some(phone.clone()), notifications: vec![Channel::Sms], ..request() };
    let creation = Creation {
        contacts: Contacts { phone: Some(phone), ..Contacts::default() },
        username: Username::Phone,
        ..pending(UserState::Init, ACME)
    };
    let new = NewOnboarding { username: Username::Phone, ..new(reached.clone()) };
    begin_on(clinic(), &colleague(), &new).then([
        happened([created(reached)]),
        of_individual([assigned(NEW)]),
        account(creation, participant()),
    ]);
    assert_eq!(Progress::of(request()).status, OnboardingStatus::Created);
}
