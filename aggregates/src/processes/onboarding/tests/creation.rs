//! Requests as they are created, with their pending accounts.

use super::*;
use crate::granting::GrantError;
use crate::group::GroupError;
use crate::onboarding::OnboardingStatus;
use crate::organization::OrganizationError;
use crate::user::Phone;
use crate::values::Problem;
use serde_json::json;

fn begin_on(streams: impl IntoIterator<Item = History>, granter: &Granter, new: &NewOnboarding) -> ProcessOutcome {
    given(streams).when(|streams| begin(streams, granter, new))
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
