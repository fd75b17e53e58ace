//! Given, when, then for onboarding requests.

use super::*;
use crate::samples::Samples;
use crate::user::{Contact, InvitationState, Locale, Phone, Role};
use crate::values::{GroupId, IndividualId, MessageId, OnboardingRequestId, OrganizationId, Problem, RecipientId};
use crate::{Claim, ClaimKey, EventFacts, EventTypes};
use chrono::TimeDelta;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use std::collections::BTreeSet;
use uuid::Uuid;

const ID: OnboardingRequestId = OnboardingRequestId(Uuid::from_u128(14));
const ACME: OrganizationId = OrganizationId(Uuid::from_u128(10));
const INDIVIDUAL: IndividualId = IndividualId(Uuid::from_u128(3));
const PERSON: UserId = UserId(Uuid::from_u128(1));
const OTHER: UserId = UserId(Uuid::from_u128(2));
const HOLDER: RecipientId = RecipientId(Uuid::from_u128(1));

/// So many seconds after the creation.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

fn phone() -> Phone {
    Phone::parse("+12025550123").expect("a number")
}

fn message(number: u128) -> MessageId {
    MessageId(Uuid::from_u128(number))
}

/// A participant who is reached by both channels.
pub(crate) fn request() -> Request {
    Request {
        id: ID,
        organization_id: ACME,
        kind: OnboardKind::Patient,
        individual_id: Some(INDIVIDUAL),
        email: Some(email("ada@example.com")),
        phone: Some(phone()),
        roles: BTreeSet::new(),
        groups: [GroupId(Uuid::from_u128(6))].into(),
        notifications: vec![Channel::Email, Channel::Sms],
        auto_confirm: false,
        auto_sign_up: false,
        locale: Locale::EnUs,
        created_by: UserId(Uuid::from_u128(5)),
        user_id: Some(PERSON),
        holder: HOLDER,
    }
}

fn provider() -> Request {
    let roles = [Role::Admin, Role::Provider].into();
    Request { kind: OnboardKind::Provider, individual_id: None, roles, ..request() }
}

fn created() -> OnboardingEvent {
    OnboardingEvent::Created(Box::new(request()))
}

fn invitation(channel: Channel, number: u128, digest: &str) -> Invitation {
    Invitation { message: message(number), channel, digest: digest.into(), at: at(0), expires_at: at(0) + VALIDITY }
}

fn invited(channel: Channel, number: u128, digest: &str, former: Option<&str>) -> OnboardingEvent {
    let invitation = invitation(channel, number, digest);
    OnboardingEvent::Invited { holder: HOLDER, invitation, former: former.map(str::to_owned) }
}

fn amended(voided: Option<&str>) -> OnboardingEvent {
    OnboardingEvent::EmailAmended {
        holder: HOLDER,
        organization_id: ACME,
        former: Some(email("ada@example.com")),
        email: email("king@example.com"),
        voided: voided.map(str::to_owned),
    }
}

fn registered(user_id: UserId) -> OnboardingEvent {
    OnboardingEvent::Registered { holder: HOLDER, user_id, at: at(1) }
}

fn claimed(user_id: UserId) -> OnboardingEvent {
    OnboardingEvent::Claimed {
        holder: HOLDER,
        organization_id: ACME,
        user_id,
        email: Some(email("ada@example.com")),
        phone: Some(phone()),
        individual_id: Some(INDIVIDUAL),
        at: at(2),
    }
}

fn noted(number: u128, channel: Channel, status: InvitationStatus) -> OnboardingEvent {
    OnboardingEvent::DeliveryNoted {
        holder: HOLDER,
        message: message(number),
        channel,
        status,
        error: None,
        bounce: None,
        complained: false,
        at: at(3),
    }
}

fn create(request: Request) -> OnboardingCommand {
    OnboardingCommand::Create(Box::new(request))
}

fn invite(channel: Channel, number: u128, digest: &str) -> OnboardingCommand {
    OnboardingCommand::Invite(invitation(channel, number, digest))
}

fn register(user: UserId) -> OnboardingCommand {
    OnboardingCommand::Register { user, at: at(1) }
}

fn claim(by: UserId) -> OnboardingCommand {
    OnboardingCommand::Claim { by, at: at(2) }
}

fn report(number: u128, status: InvitationStatus) -> OnboardingCommand {
    OnboardingCommand::NoteDelivery(DeliveryReport::of(message(number), status, at(3)))
}

fn given(events: impl IntoIterator<Item = OnboardingEvent>) -> AggregateTestExecutor<Onboarding> {
    TestFramework::with(()).given(events.into_iter().collect())
}

fn progress(events: impl IntoIterator<Item = OnboardingEvent>) -> Progress {
    let mut state = Onboarding::default();
    events.into_iter().for_each(|event| state.evolve(event));
    state.progress().expect("a request").clone()
}

impl Samples for OnboardingEvent {
    fn samples() -> Vec<Self> {
        let everything = Request { roles: provider().roles, ..request() };
        let bounce = Some(Bounce { kind: BounceKind::Permanent, subtype: "General".into() });
        vec![
            OnboardingEvent::Created(Box::new(everything)),
            invited(Channel::Email, 21, "digest", Some("former-digest")),
            amended(Some("voided-digest")),
            registered(PERSON),
            claimed(PERSON),
            OnboardingEvent::DeliveryNoted {
                holder: HOLDER,
                message: message(21),
                channel: Channel::Email,
                status: InvitationStatus::Failed,
                error: Some("no such mailbox".into()),
                bounce,
                complained: true,
                at: at(3),
            },
        ]
    }
}

#[test]
fn a_request_is_created_once() {
    given([]).when(create(request())).then_expect_events(vec![created()]);
    given([created()]).when(create(request())).then_expect_error(OnboardingError::AlreadyExists);
    let new = provider();
    given([]).when(create(new.clone())).then_expect_events(vec![OnboardingEvent::Created(Box::new(new))]);
}

#[test]
fn a_request_needs_an_address_and_the_members_of_its_kind() {
    let unreachable = Request { email: None, phone: None, notifications: vec![], ..request() };
    let unaddressed = Request { phone: None, ..request() };
    for (unfit, refusal) in [
        (unreachable, OnboardingError::NoContact),
        (unaddressed, OnboardingError::NoAddress),
        (Request { individual_id: None, ..request() }, OnboardingError::NoIndividual),
        (Request { individual_id: Some(INDIVIDUAL), ..provider() }, OnboardingError::NeedlessIndividual),
        (Request { roles: [Role::Provider].into(), ..request() }, OnboardingError::UnfitRoles),
        (Request { roles: [].into(), ..provider() }, OnboardingError::UnfitRoles),
        (Request { roles: [Role::Member].into(), ..provider() }, OnboardingError::UnfitRoles),
    ] {
        given([]).when(create(unfit)).then_expect_error(refusal);
    }
}

#[test]
fn a_request_that_does_not_exist_refuses_commands_and_ignores_reports() {
    for command in [
        invite(Channel::Email, 21, "digest"),
        OnboardingCommand::AmendEmail(email("king@example.com")),
        register(PERSON),
        claim(PERSON),
    ] {
        given([]).when(command).then_expect_error(OnboardingError::NotFound);
    }
    given([]).when(report(21, InvitationStatus::Sent)).then_expect_events(vec![]);
}

#[test]
fn an_invitation_voids_the_earlier_one_of_its_channel() {
    let first = || invited(Channel::Email, 21, "first", None);
    given([created()]).when(invite(Channel::Email, 21, "first")).then_expect_events(vec![first()]);
    given([created(), first()]).when(invite(Channel::Email, 22, "second")).then_expect_events(vec![invited(
        Channel::Email,
        22,
        "second",
        Some("first"),
    )]);
    given([created(), first()]).when(invite(Channel::Sms, 23, "third")).then_expect_events(vec![invited(
        Channel::Sms,
        23,
        "third",
        None,
    )]);
    let both = [created(), first(), invited(Channel::Email, 22, "second", Some("first"))];
    let both = progress(both.into_iter().chain([invited(Channel::Sms, 23, "third", None)]));
    assert_eq!(both.channel_of("first", at(0)), None);
    assert_eq!(both.channel_of("second", at(0)), Some(Channel::Email));
    assert_eq!(both.channel_of("third", at(0)), Some(Channel::Sms));
}

#[test]
fn a_code_is_valid_for_thirty_days() {
    let sent = progress([created(), invited(Channel::Email, 21, "digest", None)]);
    assert_eq!(sent.channel_of("digest", at(30 * 86_400 - 1)), Some(Channel::Email));
    assert_eq!(sent.channel_of("digest", at(30 * 86_400)), None);
    assert_eq!(sent.without_digests().channel_of("digest", at(0)), None);
}

#[test]
fn an_invitation_needs_an_address_of_its_channel() {
    let reached = Request { phone: None, notifications: vec![], ..request() };
    given([OnboardingEvent::Created(Box::new(reached))])
        .when(invite(Channel::Sms, 21, "digest"))
        .then_expect_error(OnboardingError::NoAddress);
}

#[test]
fn another_address_voids_the_invitation_to_the_former_one() {
    let to = |text| OnboardingCommand::AmendEmail(email(text));
    given([created()]).when(to("ADA@example.com")).then_expect_events(vec![]);
    given([created()]).when(to("king@example.com")).then_expect_events(vec![amended(None)]);
    let sent = || [created(), invited(Channel::Email, 21, "digest", None), invited(Channel::Sms, 22, "text", None)];
    given(sent()).when(to("king@example.com")).then_expect_events(vec![amended(Some("digest"))]);
    let after = progress(sent().into_iter().chain([amended(Some("digest"))]));
    assert_eq!((after.channel_of("digest", at(0)), after.email_invitation), (None, None));
    assert!(after.sms_invitation.is_some(), "the text message went to the number");
    let late = sent().into_iter().chain([amended(Some("digest"))]);
    given(late).when(report(21, InvitationStatus::Failed)).then_expect_events(vec![]);
}

#[test]
fn a_person_begins_to_sign_up_and_claims_the_request() {
    given([created()]).when(register(PERSON)).then_expect_events(vec![registered(PERSON)]);
    given([created(), registered(PERSON)]).when(register(PERSON)).then_expect_events(vec![]);
    given([created(), registered(PERSON)]).when(register(OTHER)).then_expect_events(vec![registered(OTHER)]);
    for before in [vec![created()], vec![created(), registered(OTHER)]] {
        given(before).when(claim(PERSON)).then_expect_events(vec![claimed(PERSON)]);
    }
    let after = progress([created(), registered(OTHER), claimed(PERSON)]);
    assert_eq!(
        (after.status, after.claimed_by, after.user_id),
        (OnboardingStatus::Claimed, Some(PERSON), Some(PERSON))
    );
    assert_eq!((after.registering_at, after.claimed_at), (Some(at(1)), Some(at(2))));
}

#[test]
fn a_claimed_request_stays_with_its_person() {
    let claimed = || [created(), claimed(PERSON)];
    given(claimed()).when(claim(PERSON)).then_expect_events(vec![]);
    for command in [
        claim(OTHER),
        register(PERSON),
        invite(Channel::Email, 21, "digest"),
        OnboardingCommand::AmendEmail(email("king@example.com")),
    ] {
        given(claimed()).when(command).then_expect_error(OnboardingError::Claimed);
    }
}

#[test]
fn reports_of_a_delivery_replace_one_another_in_one_order() {
    use InvitationStatus::{Created, Delivered, Failed, Sent};
    let after = |status: Option<InvitationStatus>| {
        let sent = [created(), invited(Channel::Email, 21, "digest", None)];
        sent.into_iter().chain(status.map(|status| noted(21, Channel::Email, status)))
    };
    for (known, reported) in
        [(None, Sent), (None, Delivered), (None, Failed), (Some(Sent), Delivered), (Some(Sent), Failed)]
    {
        let expected = vec![noted(21, Channel::Email, reported)];
        given(after(known)).when(report(21, reported)).then_expect_events(expected);
    }
    for (known, reported) in [
        (None, Created),
        (Some(Sent), Sent),
        (Some(Delivered), Sent),
        (Some(Delivered), Delivered),
        (Some(Failed), Sent),
        (Some(Failed), Delivered),
        (Some(Failed), Failed),
    ] {
        given(after(known)).when(report(21, reported)).then_expect_events(vec![]);
    }
}

#[test]
fn a_report_about_an_earlier_invitation_changes_nothing() {
    let again = [
        created(),
        invited(Channel::Email, 21, "first", None),
        invited(Channel::Email, 22, "second", Some("first")),
        invited(Channel::Sms, 23, "text", None),
    ];
    given(again.clone()).when(report(21, InvitationStatus::Failed)).then_expect_events(vec![]);
    given(again).when(report(23, InvitationStatus::Delivered)).then_expect_events(vec![noted(
        23,
        Channel::Sms,
        InvitationStatus::Delivered,
    )]);
}

#[test]
fn a_complaint_is_kept_beside_the_status() {
    let delivered = [
        created(),
        invited(Channel::Email, 21, "digest", None),
        noted(21, Channel::Email, InvitationStatus::Delivered),
    ];
    let complaint =
        DeliveryReport { complained: true, ..DeliveryReport::of(message(21), InvitationStatus::Sent, at(3)) };
    let OnboardingEvent::DeliveryNoted { holder, message, channel, status, error, bounce, at, .. } =
        noted(21, Channel::Email, InvitationStatus::Delivered)
    else {
        unreachable!("a report")
    };
    let expected =
        OnboardingEvent::DeliveryNoted { holder, message, channel, status, error, bounce, complained: true, at };
    given(delivered.clone())
        .when(OnboardingCommand::NoteDelivery(complaint.clone()))
        .then_expect_events(vec![expected.clone()]);
    let told = delivered.into_iter().chain([expected]);
    given(told).when(OnboardingCommand::NoteDelivery(complaint)).then_expect_events(vec![]);
}

#[test]
fn reasons_of_a_failure_are_short_lines() {
    let sent = || [created(), invited(Channel::Email, 21, "digest", None)];
    let failed = DeliveryReport::of(message(21), InvitationStatus::Failed, at(3));
    let long = "x".repeat(ERROR_LENGTH_MAX + 1);
    for (text, problem) in
        [("a\nb", Problem::Control), ("a\0", Problem::Nul), (&*long, Problem::TooLong { max: ERROR_LENGTH_MAX })]
    {
        let report = DeliveryReport { error: Some(text.into()), ..failed.clone() };
        given(sent())
            .when(OnboardingCommand::NoteDelivery(report))
            .then_expect_error(OnboardingError::Unfit(problem.clone().of("error")));
        let bounce = Bounce { kind: BounceKind::Permanent, subtype: text.into() };
        let report = DeliveryReport { bounce: Some(bounce), ..failed.clone() };
        given(sent())
            .when(OnboardingCommand::NoteDelivery(report))
            .then_expect_error(OnboardingError::Unfit(problem.of("subtype")));
    }
}

#[test]
fn an_invitation_is_sent_as_soon_as_one_channel_has_sent_it() {
    use InvitationStatus::{Delivered, Failed};
    let sent = || vec![created(), invited(Channel::Email, 21, "digest", None), invited(Channel::Sms, 22, "text", None)];
    let state = |more: Vec<OnboardingEvent>| progress([sent(), more].concat()).invitation_state();
    assert_eq!(state(vec![]), None);
    assert_eq!(state(vec![noted(21, Channel::Email, Failed)]), Some(InvitationState::Failed));
    let one = vec![noted(21, Channel::Email, Failed), noted(22, Channel::Sms, Delivered)];
    assert_eq!(state(one), Some(InvitationState::Sent));
}

#[test]
fn an_open_request_holds_its_addresses_its_individual_and_its_codes() {
    let address = |contact| ClaimKey::onboarding_address(ACME, &contact);
    let held = [
        address(Contact::Email(email("ADA@example.com"))),
        address(Contact::Phone(phone())),
        ClaimKey::onboarding_individual(INDIVIDUAL),
    ];
    assert_eq!(created().claims(), held.clone().map(Claim::Take));
    assert_eq!(claimed(PERSON).claims(), held.map(Claim::Release));
    let code = ClaimKey::referral_code;
    assert_eq!(
        invited(Channel::Email, 22, "second", Some("first")).claims(),
        [Claim::Release(code("first")), Claim::Take(code("second"))]
    );
    assert_eq!(
        amended(Some("digest")).claims(),
        [
            Claim::Release(address(Contact::Email(email("ada@example.com")))),
            Claim::Take(address(Contact::Email(email("king@example.com")))),
            Claim::Release(code("digest")),
        ]
    );
    assert!(registered(PERSON).claims().is_empty());
}

#[test]
fn an_address_is_unique_in_an_organization_alone() {
    let address = Contact::Email(email("ada@example.com"));
    let other = OrganizationId(Uuid::from_u128(11));
    assert_ne!(ClaimKey::onboarding_address(ACME, &address), ClaimKey::onboarding_address(other, &address));
}

#[test]
fn an_erased_request_is_still_read_and_prints_nothing_personal() {
    for event in OnboardingEvent::samples() {
        let printed = format!("{event:?}");
        assert!(!["ada", "king", "555", "digest"].iter().any(|told| printed.contains(told)), "{printed}");
        let mut payload = serde_json::to_value(&event).expect("JSON");
        let personal = event.declared().disclosure.personal(&payload);
        crate::personal::replace(&mut payload, &personal, crate::personal::ERASED);
        assert!(serde_json::from_value::<OnboardingEvent>(payload.clone()).is_ok(), "{payload}");
    }
    let printed = format!("{:?}", progress([created(), invited(Channel::Email, 21, "digest", None)]));
    assert!(!["ada", "555", "digest"].iter().any(|told| printed.contains(told)), "{printed}");
}

#[test]
fn stored_progress_has_no_digest() {
    let sent = progress([created(), invited(Channel::Email, 21, "digest", None)]);
    let stored = serde_json::to_value(&sent).expect("JSON");
    assert!(!stored.to_string().contains("digest"), "{stored}");
    assert_eq!(serde_json::from_value::<Progress>(stored).expect("a progress"), sent.without_digests());
}
