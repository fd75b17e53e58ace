//! People who come in.

use super::*;
use crate::granting::GrantError;
use crate::group::staffing::{self, Staffing, StaffingEvent};
use crate::organization::OrganizationError;
use crate::user::roster::{self, Roster, RosterEvent};

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
fn a_pending_account_of_another_organization_comes_over_without_its_membership_there() {
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
    given(streams).when(|streams| claim(streams, ID, ADA, SPARE, at(0))).then([
        happened([claimed(ADA, &request())]),
        after(before(), archived()),
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
