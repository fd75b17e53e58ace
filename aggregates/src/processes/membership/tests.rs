//! Given streams, when a membership changes, then events of the user and of all dependent streams.

use super::*;
use crate::granting::GrantError;
use crate::group::placement::PlacementEvent;
use crate::group::staffing::{self, Post, Staffing, StaffingEvent};
use crate::individual::{Individual, IndividualError, IndividualEvent};
use crate::organization::OrganizationError;
use crate::processes::testing::*;
use crate::processes::{State, StreamId};
use crate::user::roster::{self, Roster, RosterError, RosterEvent};
use crate::values::GroupId;
use crate::{Decide, DomainEvent};
use uuid::Uuid;

const INDIVIDUAL: IndividualId = IndividualId(Uuid::from_u128(0x11));
const SECOND: IndividualId = IndividualId(Uuid::from_u128(0x12));
const WARD: GroupId = GroupId(Uuid::from_u128(0xC1));

fn roster(organization: Option<OrganizationId>, users: &[UserId]) -> History {
    events::<Roster>(roster::stream(organization), users.iter().map(|user_id| RosterEvent::Added { user_id: *user_id }))
}

fn off_roster(organization: Option<OrganizationId>, user_id: UserId) -> History {
    events::<Roster>(roster::stream(organization), [RosterEvent::Removed { user_id }])
}

fn recorded(id: IndividualId, user: UserId) -> History {
    events::<Individual>(id, [IndividualEvent::Recorded { id, owner: Owner::User(user) }])
}

/// An individual of an organization, which assigned it to a user.
fn assigned(id: IndividualId, organization: OrganizationId, user_id: UserId) -> History {
    let recorded = IndividualEvent::Recorded { id, owner: Owner::Organization(organization) };
    events::<Individual>(id, [recorded, IndividualEvent::Assigned { user_id }])
}

fn enrolled(organization: OrganizationId, individual: IndividualId) -> History {
    let event = PlacementEvent::Enrolled { organization_id: organization, individual_id: individual };
    events::<Placement>(placement::stream(organization, individual), [event])
}

fn released(organization: OrganizationId, individual: IndividualId) -> History {
    let event = PlacementEvent::Released { groups: [].into() };
    events::<Placement>(placement::stream(organization, individual), [event])
}

fn leads(organization: OrganizationId, user: UserId) -> History {
    let event =
        StaffingEvent::Appointed { organization_id: organization, user_id: user, post: Post::Leader, group: WARD };
    events::<Staffing>(staffing::stream(organization, user), [event])
}

fn relieved(organization: OrganizationId, user: UserId) -> History {
    let event = StaffingEvent::Relieved { post: Post::Leader, group: WARD };
    events::<Staffing>(staffing::stream(organization, user), [event])
}

/// The events of a user's stream after those of `before`.
fn more(before: History, added: impl IntoIterator<Item = UserCommand>) -> History {
    let (stream, before) = before;
    let mut state = User::default();
    let mut events: Vec<DomainEvent> = Vec::new();
    for event in before {
        assert!(state.fold(&event));
    }
    for command in added {
        for event in state.decide(command).expect("no refusal") {
            state.fold(&event.clone().into());
            events.push(event.into());
        }
    }
    (stream, events)
}

fn granted(organization: OrganizationId, role: Role) -> UserCommand {
    UserCommand::Grant(organization, role)
}

#[test]
fn a_new_admin_of_an_organization_stands_on_its_roster() {
    let created = |streams: &mut Streams| {
        create(streams, &creation(ADA), Some(FirstGrant::Member(ACME, Some(Role::Admin))), INDIVIDUAL)
    };
    let home = Creation { home: Some(Home::of(ACME)), ..creation(ADA) };
    let user = more(
        (StreamId::of::<User>(ADA), vec![]),
        [UserCommand::Create(Box::new(home)), UserCommand::Join(ACME), granted(ACME, Role::Admin)],
    );
    given([organization(ACME)]).when(created).then([user, roster(Some(ACME), &[ADA])]);
}

#[test]
fn a_new_participant_has_an_individual_of_the_organization() {
    let created = |streams: &mut Streams| {
        create(streams, &creation(ADA), Some(FirstGrant::Member(ACME, Some(Role::Member))), INDIVIDUAL)
    };
    let home = Creation { home: Some(Home::of(ACME)), ..creation(ADA) };
    let user = more(
        (StreamId::of::<User>(ADA), vec![]),
        [
            UserCommand::Create(Box::new(home)),
            UserCommand::Join(ACME),
            granted(ACME, Role::Member),
            UserCommand::AddIndividual(INDIVIDUAL),
        ],
    );
    let expected = [user, recorded(INDIVIDUAL, ADA), enrolled(ACME, INDIVIDUAL)];
    given([organization(ACME)]).when(created).then(expected);
}

#[test]
fn a_new_system_admin_stands_on_the_roster_of_the_system() {
    let part = Some(FirstGrant::SystemIn(ACME, SystemRole::Admin));
    let created = |streams: &mut Streams| create(streams, &creation(ADA), part, INDIVIDUAL);
    let home = Creation { home: Some(Home::of(ACME)), ..creation(ADA) };
    let user = more(
        (StreamId::of::<User>(ADA), vec![]),
        [UserCommand::Create(Box::new(home)), UserCommand::Join(ACME), UserCommand::GrantSystem(SystemRole::Admin)],
    );
    given([organization(ACME)]).when(created).then([user, roster(None, &[ADA])]);
}

#[test]
fn a_user_without_a_part_keeps_the_home_that_was_given() {
    let created = |streams: &mut Streams| create(streams, &creation(ADA), None, INDIVIDUAL);
    given([]).when(created).then([user(ADA, [])]);
}

#[test]
fn users_are_created_once() {
    let created = |streams: &mut Streams| create(streams, &creation(ADA), None, INDIVIDUAL);
    given([user(ADA, [])]).when(created).then_refused(UserError::AlreadyExists);
}

#[test]
fn retired_and_deleted_organizations_take_no_users_or_roles() {
    let part = Some(FirstGrant::Member(ACME, None));
    for (organization, refusal) in
        [(retired(ACME), OrganizationError::Retired), (deleted(ACME), OrganizationError::NotFound)]
    {
        given([organization.clone()])
            .when(|streams| create(streams, &creation(ADA), part, INDIVIDUAL))
            .then_refused(refusal.clone());
        given([organization.clone(), user(ADA, [])])
            .when(|streams| join(streams, &system(), ADA, ACME, None, INDIVIDUAL))
            .then_refused(refusal.clone());
        given([organization, member(ADA, ACME, [])])
            .when(|streams| grant(streams, &system(), ADA, ACME, Role::Provider, INDIVIDUAL))
            .then_refused(refusal);
    }
}

#[test]
fn members_join_without_a_role_or_with_one() {
    let before = || user(ADA, []);
    given([organization(ACME), before()])
        .when(|streams| join(streams, &system(), ADA, ACME, None, INDIVIDUAL))
        .then([more(before(), [UserCommand::Join(ACME)])]);
    given([organization(ACME), before()])
        .when(|streams| join(streams, &system(), ADA, ACME, Some(Role::Provider), INDIVIDUAL))
        .then([more(before(), [UserCommand::Join(ACME), granted(ACME, Role::Provider)])]);
}

#[test]
fn a_member_who_is_added_again_is_no_new_one() {
    let new = std::cell::Cell::new(None);
    let added = |streams: &mut Streams| {
        let joined = join(streams, &system(), ADA, ACME, Some(Role::Provider), INDIVIDUAL);
        joined.map(|is_new| new.set(Some(is_new)))
    };
    for (before, commands, expected) in [
        (user(ADA, []), vec![UserCommand::Join(ACME), granted(ACME, Role::Provider)], true),
        (member(ADA, ACME, []), vec![granted(ACME, Role::Provider)], false),
    ] {
        given([organization(ACME), before.clone()]).when(added).then([more(before, commands)]);
        assert_eq!(new.get(), Some(expected));
    }
}

#[test]
fn granters_give_neither_to_themselves_nor_more_than_they_hold() {
    let own = Granter::new(Some(ADA), true, [].into());
    let stranger = Granter::new(Some(BOB), false, [OTHER].into());
    for (granter, refusal) in [(own, GrantError::Oneself), (stranger, GrantError::NotHeld)] {
        let streams = || [organization(ACME), member(ADA, ACME, [])];
        given(streams()).when(|streams| join(streams, &granter, ADA, ACME, None, INDIVIDUAL)).then_refused(refusal);
        given(streams())
            .when(|streams| grant(streams, &granter, ADA, ACME, Role::Admin, INDIVIDUAL))
            .then_refused(refusal);
        given(streams()).when(|streams| grant_system(streams, &granter, ADA, SystemRole::Admin)).then_refused(refusal);
    }
}

#[test]
fn people_from_elsewhere_take_part_by_their_own_consent() {
    let granter = Granter::new(Some(BOB), false, [ACME].into());
    let join_by = |granter: Granter| {
        given([organization(ACME), user(ADA, [])])
            .when(move |streams| join(streams, &granter, ADA, ACME, Some(Role::Member), INDIVIDUAL))
    };
    join_by(granter.clone()).then_refused(GrantError::NotAccepted);
    let joined = [UserCommand::Join(ACME), granted(ACME, Role::Member), UserCommand::AddIndividual(INDIVIDUAL)];
    let expected = [more(user(ADA, []), joined), recorded(INDIVIDUAL, ADA), enrolled(ACME, INDIVIDUAL)];
    join_by(granter.with_consent()).then(expected);
}

#[test]
fn roles_are_for_members() {
    given([organization(ACME), user(ADA, [])])
        .when(|streams| grant(streams, &system(), ADA, ACME, Role::Provider, INDIVIDUAL))
        .then_refused(UserError::NotAMember);
}

#[test]
fn participants_bring_every_individual_they_have() {
    let own = [UserCommand::AddIndividual(INDIVIDUAL), UserCommand::AddIndividual(SECOND), UserCommand::Join(ACME)];
    let before = || user(ADA, own.clone());
    given([organization(ACME), before()])
        .when(|streams| grant(streams, &system(), ADA, ACME, Role::Member, IndividualId(Uuid::from_u128(0x13))))
        .then([more(before(), [granted(ACME, Role::Member)]), enrolled(ACME, INDIVIDUAL), enrolled(ACME, SECOND)]);
}

#[test]
fn a_disabled_admin_stands_on_no_roster_until_enabled() {
    let disabled = || user(ADA, [UserCommand::Join(ACME), UserCommand::Disable { by: BOB }]);
    given([organization(ACME), disabled()])
        .when(|streams| grant(streams, &system(), ADA, ACME, Role::Admin, INDIVIDUAL))
        .then([more(disabled(), [granted(ACME, Role::Admin)])]);
    let commands = [UserCommand::Join(ACME), granted(ACME, Role::Admin), UserCommand::Disable { by: BOB }];
    let before = || user(ADA, commands.clone());
    given([organization(ACME), before()])
        .when(|streams| enable(streams, ADA))
        .then([more(before(), [UserCommand::Enable]), roster(Some(ACME), &[ADA])]);
}

#[test]
fn the_last_admin_stays() {
    let streams = || [organization(ACME), member(ADA, ACME, [Role::Admin]), roster(Some(ACME), &[ADA])];
    given(streams()).when(|streams| revoke(streams, ADA, ACME, Role::Admin)).then_refused(RosterError::LastAdmin);
    given(streams()).when(|streams| leave(streams, ADA, ACME)).then_refused(RosterError::LastAdmin);
    given(streams()).when(|streams| disable(streams, ADA, BOB)).then_refused(RosterError::LastAdmin);
    given(streams()).when(|streams| archive(streams, ADA)).then_refused(RosterError::LastAdmin);
    given([user(ADA, [UserCommand::GrantSystem(SystemRole::Admin)]), roster(None, &[ADA])])
        .when(|streams| revoke_system(streams, ADA, SystemRole::Admin))
        .then_refused(RosterError::LastAdmin);
}

#[test]
fn one_of_several_admins_leaves_the_roster_with_the_role() {
    let before = || member(ADA, ACME, [Role::Admin]);
    given([organization(ACME), before(), roster(Some(ACME), &[ADA, BOB])])
        .when(|streams| revoke(streams, ADA, ACME, Role::Admin))
        .then([more(before(), [UserCommand::Revoke(ACME, Role::Admin)]), off_roster(Some(ACME), ADA)]);
    let before = || user(ADA, [UserCommand::GrantSystem(SystemRole::Admin)]);
    given([before(), roster(None, &[ADA, BOB])])
        .when(|streams| revoke_system(streams, ADA, SystemRole::Admin))
        .then([more(before(), [UserCommand::RevokeSystem(SystemRole::Admin)]), off_roster(None, ADA)]);
}

#[test]
fn the_last_admin_of_a_deleted_organization_may_go() {
    let before = || member(ADA, ACME, [Role::Admin]);
    given([deleted(ACME), before(), roster(Some(ACME), &[ADA])])
        .when(|streams| disable(streams, ADA, BOB))
        .then([more(before(), [UserCommand::Disable { by: BOB }])]);
}

#[test]
fn a_role_that_is_not_held_is_revoked_without_an_event() {
    given([organization(ACME), member(ADA, ACME, [Role::Provider]), roster(Some(ACME), &[BOB]), leads(ACME, ADA)])
        .when(|streams| revoke(streams, ADA, ACME, Role::Admin))
        .then_nothing();
}

#[test]
fn posts_end_with_the_last_role_that_carries_them() {
    let before = || member(ADA, ACME, [Role::Provider, Role::Admin]);
    given([organization(ACME), before(), roster(Some(ACME), &[ADA, BOB]), leads(ACME, ADA)])
        .when(|streams| revoke(streams, ADA, ACME, Role::Provider))
        .then([more(before(), [UserCommand::Revoke(ACME, Role::Provider)])]);
    let before = || member(ADA, ACME, [Role::Provider]);
    given([organization(ACME), before(), leads(ACME, ADA)])
        .when(|streams| revoke(streams, ADA, ACME, Role::Provider))
        .then([more(before(), [UserCommand::Revoke(ACME, Role::Provider)]), relieved(ACME, ADA)]);
}

#[test]
fn posts_that_are_not_in_force_do_not_come_back_with_a_role() {
    let before = || member(ADA, ACME, []);
    given([organization(ACME), before(), leads(ACME, ADA)])
        .when(|streams| grant(streams, &system(), ADA, ACME, Role::Provider, INDIVIDUAL))
        .then([more(before(), [granted(ACME, Role::Provider)]), relieved(ACME, ADA)]);
    given([organization(ACME), user(ADA, []), leads(ACME, ADA)])
        .when(|streams| join(streams, &system(), ADA, ACME, Some(Role::Admin), INDIVIDUAL))
        .then([
            more(user(ADA, []), [UserCommand::Join(ACME), granted(ACME, Role::Admin)]),
            relieved(ACME, ADA),
            roster(Some(ACME), &[ADA]),
        ]);
}

#[test]
fn the_places_of_individuals_end_with_the_part_of_their_user() {
    let commands = [UserCommand::AddIndividual(INDIVIDUAL), UserCommand::Join(ACME), granted(ACME, Role::Member)];
    let before = || user(ADA, commands.clone());
    given([organization(ACME), before(), enrolled(ACME, INDIVIDUAL)])
        .when(|streams| revoke(streams, ADA, ACME, Role::Member))
        .then([more(before(), [UserCommand::Revoke(ACME, Role::Member)]), released(ACME, INDIVIDUAL)]);
}

#[test]
fn leaving_ends_roles_posts_places_and_the_membership() {
    let commands = [
        UserCommand::AddIndividual(INDIVIDUAL),
        UserCommand::Join(ACME),
        granted(ACME, Role::Member),
        granted(ACME, Role::Provider),
        granted(ACME, Role::Admin),
    ];
    let before = || user(ADA, commands.clone());
    let streams =
        [organization(ACME), before(), enrolled(ACME, INDIVIDUAL), leads(ACME, ADA), roster(Some(ACME), &[ADA, BOB])];
    let revoked = [Role::Admin, Role::Provider, Role::Member].map(|role| UserCommand::Revoke(ACME, role));
    let left = more(before(), revoked.into_iter().chain([UserCommand::Leave(ACME)]));
    given(streams).when(|streams| leave(streams, ADA, ACME)).then([
        left,
        off_roster(Some(ACME), ADA),
        relieved(ACME, ADA),
        released(ACME, INDIVIDUAL),
    ]);
}

#[test]
fn only_members_leave() {
    given([organization(ACME), user(ADA, [])])
        .when(|streams| leave(streams, ADA, ACME))
        .then_refused(UserError::NotAMember);
    given([]).when(|streams| leave(streams, ADA, ACME)).then_refused(UserError::NotFound);
}

#[test]
fn a_disabled_user_stands_on_no_roster() {
    let commands = [UserCommand::Join(ACME), granted(ACME, Role::Admin), UserCommand::GrantSystem(SystemRole::Admin)];
    let before = || user(ADA, commands.clone());
    given([organization(ACME), before(), roster(Some(ACME), &[ADA, BOB]), roster(None, &[ADA, BOB])])
        .when(|streams| disable(streams, ADA, BOB))
        .then([more(before(), [UserCommand::Disable { by: BOB }]), off_roster(Some(ACME), ADA), off_roster(None, ADA)]);
    given([organization(ACME), before()]).when(|streams| disable(streams, ADA, ADA)).then_refused(UserError::Oneself);
}

#[test]
fn disabling_twice_changes_nothing() {
    let before = user(ADA, [UserCommand::Join(ACME), granted(ACME, Role::Admin), UserCommand::Disable { by: BOB }]);
    given([organization(ACME), before, roster(Some(ACME), &[BOB])])
        .when(|streams| disable(streams, ADA, BOB))
        .then_nothing();
}

#[test]
fn archiving_ends_posts_in_every_organization() {
    let commands = [UserCommand::Join(ACME), UserCommand::Join(OTHER), granted(OTHER, Role::Provider)];
    let before = || user(ADA, commands.clone());
    given([organization(ACME), organization(OTHER), before(), leads(ACME, ADA), leads(OTHER, ADA)])
        .when(|streams| archive(streams, ADA))
        .then([more(before(), [UserCommand::Archive]), relieved(ACME, ADA), relieved(OTHER, ADA)]);
}

#[test]
fn an_archived_user_gives_back_the_individuals_of_organizations() {
    let commands = [
        UserCommand::AddIndividual(INDIVIDUAL),
        UserCommand::AddIndividual(SECOND),
        UserCommand::Join(ACME),
        granted(ACME, Role::Member),
    ];
    let before = || user(ADA, commands.clone());
    let archive_on = |account: History| {
        let streams = [organization(ACME), account, assigned(INDIVIDUAL, ACME, ADA), recorded(SECOND, ADA)];
        given(streams).when(|streams| archive(streams, ADA))
    };
    let unassigned = || events::<Individual>(INDIVIDUAL, [IndividualEvent::Unassigned { user_id: ADA }]);
    let removed = UserCommand::RemoveIndividual(INDIVIDUAL);
    archive_on(before()).then([more(before(), [removed.clone(), UserCommand::Archive]), unassigned()]);
    // Earlier releases left them with archived users.
    let archived = || user(ADA, commands.clone().into_iter().chain([UserCommand::Archive]));
    archive_on(archived()).then([more(archived(), [removed]), unassigned()]);
}

#[test]
fn an_individual_of_an_organization_counts_as_its_own() {
    let owner = Owner::Organization(ACME);
    let event = IndividualEvent::Recorded { id: INDIVIDUAL, owner };
    given([organization(ACME)])
        .when(|streams| record_individual(streams, INDIVIDUAL, owner))
        .then([events::<Individual>(INDIVIDUAL, [event]), enrolled(ACME, INDIVIDUAL)]);
    given([retired(ACME)])
        .when(|streams| record_individual(streams, INDIVIDUAL, owner))
        .then_refused(OrganizationError::Retired);
}

#[test]
fn an_individual_of_an_organization_is_a_participant_there_with_or_without_its_person() {
    let joined = || user(ADA, [UserCommand::AddIndividual(INDIVIDUAL), UserCommand::Join(ACME)]);
    let streams = || [organization(ACME), assigned(INDIVIDUAL, ACME, ADA), enrolled(ACME, INDIVIDUAL)];
    given(streams().into_iter().chain([joined()]))
        .when(|streams| grant(streams, &system(), ADA, ACME, Role::Member, SECOND))
        .then([more(joined(), [granted(ACME, Role::Member)])]);
    let commands = [UserCommand::AddIndividual(INDIVIDUAL), UserCommand::Join(ACME), granted(ACME, Role::Member)];
    let before = || user(ADA, commands.clone());
    given(streams().into_iter().chain([before()]))
        .when(|streams| revoke(streams, ADA, ACME, Role::Member))
        .then([more(before(), [UserCommand::Revoke(ACME, Role::Member)])]);
}

#[test]
fn an_individual_of_an_organization_is_no_participant_of_another_one() {
    let before = || user(ADA, [UserCommand::AddIndividual(INDIVIDUAL), UserCommand::Join(ACME)]);
    given([organization(ACME), before(), assigned(INDIVIDUAL, OTHER, ADA)])
        .when(|streams| grant(streams, &system(), ADA, ACME, Role::Member, SECOND))
        .then([
            more(before(), [granted(ACME, Role::Member), UserCommand::AddIndividual(SECOND)]),
            recorded(SECOND, ADA),
            enrolled(ACME, SECOND),
        ]);
}

#[test]
fn an_individual_of_a_user_is_enrolled_in_the_organizations_it_participates_in() {
    let commands = [
        UserCommand::Join(ACME),
        granted(ACME, Role::Member),
        UserCommand::Join(OTHER),
        granted(OTHER, Role::Provider),
    ];
    let before = || user(ADA, commands.clone());
    given([retired(ACME), organization(OTHER), before()])
        .when(|streams| record_individual(streams, INDIVIDUAL, Owner::User(ADA)))
        .then([
            recorded(INDIVIDUAL, ADA),
            more(before(), [UserCommand::AddIndividual(INDIVIDUAL)]),
            enrolled(ACME, INDIVIDUAL),
        ]);
    given([deleted(ACME), organization(OTHER), before()])
        .when(|streams| record_individual(streams, INDIVIDUAL, Owner::User(ADA)))
        .then([recorded(INDIVIDUAL, ADA), more(before(), [UserCommand::AddIndividual(INDIVIDUAL)])]);
}

#[test]
fn an_individual_keeps_its_owner() {
    let streams = || [organization(ACME), user(ADA, []), recorded(INDIVIDUAL, ADA)];
    given(streams()).when(|streams| record_individual(streams, INDIVIDUAL, Owner::User(ADA))).then_nothing();
    given(streams())
        .when(|streams| record_individual(streams, INDIVIDUAL, Owner::Organization(ACME)))
        .then_refused(IndividualError::OtherOwner);
}
