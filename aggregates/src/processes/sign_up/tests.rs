//! Given streams, when a person signs up, then events of the account and of all that comes with it.

use super::*;
use crate::group::placement::{self, Placement, PlacementCommand};
use crate::group::{Group, GroupEvent, GroupKind, Node, NodeType};
use crate::individual::{Individual, IndividualCommand, Owner};
use crate::message::Channel;
use crate::onboarding::{Invitation, OnboardKind, OnboardingCommand, OnboardingEvent, VALIDITY};
use crate::one_time_code::{self, OneTimeCode, OneTimeCodeCommand, OneTimeCodeError, OneTimeCodeEvent};
use crate::organization_code::{CodeSpelling, OrganizationCodeEvent, Terms};
use crate::processes::testing::*;
use crate::user::{Contacts, Home, Phone, UserEvent};
use crate::values::{GroupId, MessageId, OrganizationId, RecipientId};
use crate::{Decide, DomainEvent};
use std::fmt::Display;

const INDIVIDUAL: IndividualId = IndividualId(Uuid::from_u128(0x11));
const WARD: GroupId = GroupId(Uuid::from_u128(0xC1));
const REQUEST: OnboardingRequestId = OnboardingRequestId(Uuid::from_u128(0xD1));
const DOCUMENT: Uuid = Uuid::from_u128(0x41);
const PRESENT: ReferredAccount<'static> = ReferredAccount::Present(ADA);

/// A stream after commands.
fn after<A: Decide>(id: impl Display, commands: impl IntoIterator<Item = A::Command>) -> History {
    let mut history = Vec::new();
    for command in commands {
        let decided = decided::<A>(history.clone(), command);
        history.extend(decided);
    }
    events::<A>(id, history)
}

/// The events of the second history without those of the first one, with which it begins.
fn since((_, before): History, (stream, mut events): History) -> History {
    (stream, events.split_off(before.len()))
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

fn ada() -> EmailAddress {
    email("ada@example.com")
}

fn phone() -> Phone {
    Phone::parse("+12025550123").expect("a number")
}

fn code() -> CodeSpelling {
    CodeSpelling::parse("Spring").expect("a code")
}

fn code_of(organization_id: OrganizationId, group: Option<GroupId>, expires_at: Option<DateTime<Utc>>) -> History {
    let terms = Terms { organization_id, individual_group_id: group, expires_at, enrollment_schema: None };
    let created = OrganizationCodeEvent::Created { id: code().id(), spelling: code(), terms };
    events::<OrganizationCode>(code().id(), [created])
}

fn ward(organization_id: OrganizationId, kind: GroupKind) -> History {
    let (name, tags) = ("Ward".to_owned(), BTreeSet::new());
    let node = Node { id: WARD, organization_id, name, kind, node_type: NodeType::Group, tags, parent: None };
    events::<Group>(WARD, [GroupEvent::Created(Box::new(node))])
}

fn account(state: UserState, home: OrganizationId) -> Creation {
    Creation { state, home: Some(Home::of(home)), ..creation(ADA) }
}

fn created(state: UserState, home: OrganizationId) -> UserCommand {
    UserCommand::Create(Box::new(account(state, home)))
}

fn account_of(state: UserState, home: OrganizationId) -> History {
    after::<User>(ADA, [created(state, home)])
}

fn choices() -> Choices {
    let time_zone = Some("Europe/London".to_owned());
    Choices { agreements: [DOCUMENT].into(), locale: Some(Locale::EsUs), time_zone, username: None }
}

fn chosen() -> [UserCommand; 2] {
    let Choices { agreements, locale, time_zone, username } = choices();
    let amendment = Amendment { locale, time_zone, username, ..Amendment::default() };
    [UserCommand::Agree(agreements), UserCommand::Amend(Box::new(amendment))]
}

fn enrollment() -> Enrollment {
    Enrollment { preferred_name: Some("Gussie".into()), ..Enrollment::default() }
}

fn sign_up(streams: impl IntoIterator<Item = History>) -> ProcessOutcome {
    let (code, creation) = (code().id(), account(UserState::Registered, ACME));
    let (choices, enrollment) = (choices(), enrollment());
    let sign_up = CodeSignUp {
        code: &code,
        creation: &creation,
        choices: &choices,
        enrollment: &enrollment,
        individual: INDIVIDUAL,
        now: at(0),
    };
    given(streams).when(|streams| by_code(streams, &sign_up))
}

/// The streams of a person who signed up, placed in these groups.
fn signed_up<const N: usize>(groups: [GroupId; N]) -> [History; 3] {
    let commands = [
        created(UserState::Registered, ACME),
        UserCommand::Join(ACME),
        UserCommand::Grant(ACME, Role::Member),
        UserCommand::AddIndividual(INDIVIDUAL),
    ];
    let told = UserCommand::Enroll(Box::new(enrollment()));
    let enroll = PlacementCommand::Enroll { organization_id: ACME, individual_id: INDIVIDUAL };
    let joins = groups.map(|group| PlacementCommand::Join { group, instead_of: None });
    let record = IndividualCommand::Record { id: INDIVIDUAL, owner: Owner::User(ADA) };
    [
        after::<User>(ADA, commands.into_iter().chain(chosen()).chain([told])),
        after::<Individual>(INDIVIDUAL, [record]),
        after::<Placement>(placement::stream(ACME, INDIVIDUAL), std::iter::once(enroll).chain(joins)),
    ]
}

#[test]
fn a_person_with_a_code_becomes_a_participant_in_its_group() {
    sign_up([organization(ACME), code_of(ACME, None, None)]).then(signed_up([]));
    let placed = code_of(ACME, Some(WARD), None);
    sign_up([organization(ACME), placed, ward(ACME, GroupKind::Regular)]).then(signed_up([WARD]));
}

#[test]
fn a_group_that_takes_no_individuals_is_passed_over() {
    let placed = || code_of(ACME, Some(WARD), None);
    sign_up([organization(ACME), placed()]).then(signed_up([]));
    sign_up([organization(ACME), placed(), ward(ACME, GroupKind::ProviderOnly)]).then(signed_up([]));
    sign_up([organization(ACME), placed(), ward(OTHER, GroupKind::Regular)]).then(signed_up([]));
}

#[test]
fn a_code_that_is_closed_or_of_an_ended_organization_is_refused_like_an_unknown_one() {
    for streams in [
        vec![],
        vec![organization(ACME), code_of(ACME, None, Some(at(0)))],
        vec![retired(ACME), code_of(ACME, None, None)],
        vec![deleted(ACME), code_of(ACME, None, None)],
    ] {
        sign_up(streams).then_refused(Problem::ClosedCode.of("organizationCode"));
    }
}

fn request(organization_id: OrganizationId, user_id: Option<UserId>) -> Request {
    Request {
        id: REQUEST,
        organization_id,
        kind: OnboardKind::Provider,
        individual_id: None,
        email: Some(email("Ada@example.com")),
        phone: Some(phone()),
        roles: [Role::Provider].into(),
        groups: [].into(),
        notifications: vec![],
        auto_confirm: false,
        auto_sign_up: false,
        locale: Locale::EnUs,
        created_by: BOB,
        user_id,
        holder: RecipientId(user_id.map_or(REQUEST.0, |user| user.0)),
    }
}

/// A request whose person was invited by a channel.
fn invited(request: Request, channel: Channel) -> History {
    let message = MessageId(Uuid::from_u128(0xE1));
    let (digest, expires_at) = ("digest".to_owned(), at(0) + VALIDITY);
    let invite = OnboardingCommand::Invite(Invitation { message, channel, digest, at: at(0), expires_at });
    after::<Onboarding>(REQUEST, [OnboardingCommand::Create(Box::new(request)), invite])
}

fn refer(
    streams: impl IntoIterator<Item = History>,
    account: ReferredAccount<'_>,
    digest: &str,
    now: DateTime<Utc>,
) -> ProcessOutcome {
    let choices = choices();
    let sign_up = ReferralSignUp {
        request: REQUEST,
        digest,
        account,
        hash: "new",
        choices: &choices,
        individual: INDIVIDUAL,
        invitation: None,
        now,
    };
    given(streams).when(|streams| by_referral(streams, &sign_up))
}

/// The event of the request whose person began to sign up.
fn registering(request: &Request) -> History {
    let registered = OnboardingEvent::Registered { holder: request.holder, user_id: ADA, at: at(1) };
    events::<Onboarding>(REQUEST, [registered])
}

/// The commands of an account with this home that signs up by the request.
fn registered_from(home: OrganizationId) -> impl Iterator<Item = UserCommand> {
    let register = UserCommand::Register { hash: "new".into(), onboarding: Some(REQUEST), at: at(1) };
    [created(UserState::Init, home), register].into_iter().chain(chosen())
}

/// Commands by which an account that was not pending for the request gets its part.
fn given_by_the_request() -> [UserCommand; 3] {
    [UserCommand::MoveHome(ACME), UserCommand::Join(ACME), UserCommand::Grant(ACME, Role::Provider)]
}

#[test]
fn an_invited_person_sets_the_password_of_the_pending_account() {
    for channel in [Channel::Email, Channel::Sms] {
        let (own, pending) = (request(ACME, Some(ADA)), account_of(UserState::Init, ACME));
        let user = since(pending.clone(), after::<User>(ADA, registered_from(ACME)));
        let expected = [registering(&own), user];
        refer([organization(ACME), pending, invited(own, channel)], PRESENT, "digest", at(1)).then(expected);
    }
}

#[test]
fn an_invited_person_without_an_account_gets_one() {
    let (free, account) = (request(ACME, None), account(UserState::Init, ACME));
    let user = after::<User>(ADA, registered_from(ACME).chain(given_by_the_request()));
    let expected = [registering(&free), user];
    let streams = [organization(ACME), invited(free, Channel::Email)];
    refer(streams, ReferredAccount::New(&account), "digest", at(1)).then(expected);
}

#[test]
fn a_pending_account_of_another_organization_is_taken_over_by_the_address_that_is_proven() {
    let pending = || account_of(UserState::Init, OTHER);
    let by_channel = |channel| {
        let streams = [organization(ACME), pending(), invited(request(ACME, None), channel)];
        refer(streams, PRESENT, "digest", at(1))
    };
    let user = since(pending(), after::<User>(ADA, registered_from(OTHER).chain(given_by_the_request())));
    by_channel(Channel::Email).then([registering(&request(ACME, None)), user]);
    // The code was sent to a number that the account does not have.
    by_channel(Channel::Sms).then_refused(UserError::HasAccount);
}

#[test]
fn an_account_that_is_in_use_or_signs_up_elsewhere_is_not_taken_over() {
    for (state, home) in [
        (UserState::Confirmed, ACME),
        (UserState::Registered, ACME),
        (UserState::Registered, OTHER),
        (UserState::Disabled, OTHER),
    ] {
        let streams = [organization(ACME), account_of(state, home), invited(request(ACME, None), Channel::Email)];
        refer(streams, PRESENT, "digest", at(1)).then_refused(UserError::HasAccount);
    }
}

#[test]
fn a_request_loses_its_account_once_the_person_signs_up_elsewhere() {
    let onboarding = Some(OnboardingRequestId(Uuid::from_u128(0xD2)));
    let register = UserCommand::Register { hash: "other".into(), onboarding, at: at(-3_600) };
    let account = after::<User>(ADA, [created(UserState::Init, ACME), register, UserCommand::MoveHome(OTHER)]);
    let streams = [organization(ACME), account, invited(request(ACME, Some(ADA)), Channel::Sms)];
    refer(streams, PRESENT, "digest", at(1)).then_refused(UserError::HasAccount);
}

#[test]
fn an_invitation_is_used_by_one_of_two_at_the_same_moment() {
    let account = after::<User>(ADA, registered_from(ACME));
    let streams = [organization(ACME), account, invited(request(ACME, Some(ADA)), Channel::Email)];
    refer(streams, PRESENT, "digest", at(1)).then_refused(UserError::SigningUp);
}

#[test]
fn a_wrong_or_expired_code_of_an_invitation_is_refused_like_that_of_an_ended_organization() {
    let account = || account_of(UserState::Init, ACME);
    let streams = |organization| [organization, account(), invited(request(ACME, Some(ADA)), Channel::Email)];
    let refusal = || Problem::ClosedCode.of("referralCode");
    refer(streams(organization(ACME)), PRESENT, "other", at(1)).then_refused(refusal());
    refer(streams(organization(ACME)), PRESENT, "digest", at(0) + VALIDITY).then_refused(refusal());
    refer(streams(retired(ACME)), PRESENT, "digest", at(1)).then_refused(refusal());
    refer(streams(deleted(ACME)), PRESENT, "digest", at(1)).then_refused(refusal());
    refer([organization(ACME), account()], PRESENT, "digest", at(1)).then_refused(refusal());
}

fn issued(to: EmailAddress) -> History {
    let (purpose, digest) = (Purpose::SignUp, "right".to_owned());
    let issue = OneTimeCodeCommand::Issue { user: ADA, purpose, to: Contact::Email(to), digest, now: at(0) };
    after::<OneTimeCode>(one_time_code::stream(ADA, Purpose::SignUp), [issue])
}

fn code_event(event: OneTimeCodeEvent) -> History {
    events::<OneTimeCode>(one_time_code::stream(ADA, Purpose::SignUp), [event])
}

fn try_to_confirm(
    streams: impl IntoIterator<Item = History>,
    digest: &str,
    expected: ConfirmationResult,
) -> ProcessOutcome {
    let confirmation = Confirmation {
        user: ADA,
        digest,
        individual: INDIVIDUAL,
        invitation: None,
        time_zone: Some("Europe/Paris"),
        now: at(1),
    };
    given(streams).when(|streams| {
        let result = confirm(streams, &confirmation)?;
        assert_eq!(result, expected);
        Ok(())
    })
}

#[test]
fn the_right_code_completes_a_sign_up() {
    let confirmed = [
        UserEvent::SignUpConfirmed {},
        UserEvent::EmailConfirmed { former: None, email: ada(), ends_sessions: true },
        UserEvent::TimeZoneChosen { time_zone: "Europe/Paris".into() },
    ];
    let streams = [organization(ACME), account_of(UserState::Registered, ACME), issued(ada())];
    try_to_confirm(streams, "right", ConfirmationResult::Confirmed)
        .then([events::<User>(ADA, confirmed), code_event(OneTimeCodeEvent::Used { at: at(1) })]);
}

#[test]
fn a_wrong_code_is_counted_until_there_are_too_many() {
    let missed = || OneTimeCodeEvent::Missed { at: at(1) };
    let with = |codes| [organization(ACME), account_of(UserState::Registered, ACME), codes];
    try_to_confirm(with(issued(ada())), "wrong", ConfirmationResult::Wrong).then([code_event(missed())]);
    let mut codes = issued(ada());
    codes.1.extend((0..5).map(|_| DomainEvent::from(missed())));
    let until = at(1) + one_time_code::VALIDITY;
    try_to_confirm(with(codes), "right", ConfirmationResult::Wrong)
        .then_refused(OneTimeCodeError::TooManyTries { until });
}

#[test]
fn an_account_without_an_open_sign_up_takes_no_code() {
    let closed = |organization, account: Option<History>| {
        let streams = [organization, issued(ada())].into_iter().chain(account);
        try_to_confirm(streams, "right", ConfirmationResult::Closed).then_nothing();
    };
    closed(organization(ACME), None);
    for state in [UserState::Init, UserState::Confirmed, UserState::RegisteredDisabled, UserState::Disabled] {
        closed(organization(ACME), Some(account_of(state, ACME)));
    }
    closed(retired(ACME), Some(account_of(UserState::Registered, ACME)));
    closed(deleted(ACME), Some(account_of(UserState::Registered, ACME)));
}

#[test]
fn a_code_for_an_address_that_was_corrected_since_completes_nothing() {
    let former = email("king@example.com");
    let streams = [organization(ACME), account_of(UserState::Registered, ACME), issued(former)];
    try_to_confirm(streams, "right", ConfirmationResult::Confirmed).then_refused(UserError::OtherEmail);
}

#[test]
fn the_address_of_an_open_sign_up_is_corrected() {
    let to = email("king@example.com");
    let correct_in =
        |organization, state| given([organization, account_of(state, ACME)]).when(|streams| correct(streams, ADA, &to));
    let corrected = UserEvent::SignUpCorrected { former: ada(), email: to.clone() };
    correct_in(organization(ACME), UserState::Registered).then([events::<User>(ADA, [corrected])]);
    correct_in(organization(ACME), UserState::Confirmed).then_refused(UserError::NotRegistered);
    correct_in(retired(ACME), UserState::Registered).then_refused(UserError::NotRegistered);
}

#[test]
fn an_account_is_completed_once() {
    let contacts = Contacts { phone: Some(phone()), ..Contacts::default() };
    let by_phone = Creation { contacts, username: Username::Phone, ..account(UserState::Registered, ACME) };
    let before = after::<User>(ADA, [UserCommand::Create(Box::new(by_phone))]);
    let completed = [UserEvent::SignUpConfirmed {}, UserEvent::PhoneConfirmed { former: None, ends_sessions: true }];
    let contact = Contact::Phone(phone());
    let complete_on =
        |account| given([account]).when(|streams| complete(streams, ADA, &contact, INDIVIDUAL, None, at(1)));
    complete_on(before.clone()).then([events::<User>(ADA, completed.clone())]);
    let (stream, mut history) = before;
    history.extend(completed.into_iter().map(DomainEvent::from));
    complete_on((stream, history)).then_nothing();
}
