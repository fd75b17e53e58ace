//! Invitations, corrected addresses and reports of deliveries.

use super::*;
use crate::onboarding::InvitationStatus;
use crate::organization::OrganizationError;
use crate::processes::StreamId;
use crate::quota::{Quota, QuotaError, QuotaEvent, QuotaKind};
use crate::user::Contact;

const QUOTA: &str = "quota";

fn outgoing(to: &str) -> OutgoingInvitation {
    OutgoingInvitation { invitation: invitation("digest"), to: Contact::Email(email(to)), quota: QUOTA.into() }
}

fn used(times: usize) -> History {
    events::<Quota>(QUOTA, std::iter::repeat_n(QuotaEvent::Used { kind: QuotaKind::Messages, at: at(0) }, times))
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
fn a_sign_up_by_an_invitation_ends_with_the_correction_of_the_address() {
    let register = UserCommand::Register { hash: "hash".into(), onboarding: Some(ID), at: at(0) };
    let before = || account(pending(UserState::Init, ACME), participant().into_iter().chain([register.clone()]));
    let open = happened([created(request()), invited(), registered(NEW, request().holder)]);
    let streams = [organization(ACME), open, before(), individual([assigned(NEW)])];
    amend_on(streams, "queen@example.com", None, None).then([
        happened([amended(&request(), Some("digest"))]),
        after(before(), archived()),
        of_individual([IndividualEvent::Unassigned { user_id: NEW }]),
    ]);
    // A password that the organization gave stays.
    let signed_up = account(pending(UserState::Registered, ACME), participant());
    let amendment = Amendment { email: Some(email("queen@example.com")), ..Amendment::default() };
    let moved = after(signed_up.clone(), [UserCommand::Amend(Box::new(amendment))]);
    let open = happened([created(request()), registered(NEW, request().holder)]);
    amend_on([organization(ACME), open, signed_up], "queen@example.com", None, None)
        .then([happened([amended(&request(), None)]), moved]);
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
    let elsewhere = account(pending(UserState::Registered, OTHER), []);
    for account in [archived, elsewhere] {
        note_on(vec![sent(), account], InvitationStatus::Sent, None)
            .then([happened([noted(InvitationStatus::Sent, None)])]);
    }
    note_on(vec![happened([created(request())]), before()], InvitationStatus::Sent, None).then_nothing();
    note_on(vec![], InvitationStatus::Sent, None).then_nothing();
}
