use super::*;

fn joined(number: u128, membership: u64) -> UserEvent {
    UserEvent::OrganizationJoined { organization_id: organization(number), number: membership }
}

fn removed(number: u128) -> UserEvent {
    UserEvent::OrganizationRemoved { organization_id: organization(number) }
}

fn default(number: Option<u128>) -> UserEvent {
    UserEvent::DefaultOrganizationChanged { organization_id: number.map(organization) }
}

fn granted(number: u128, role: Role) -> UserEvent {
    UserEvent::RoleGranted { organization_id: organization(number), role }
}

#[test]
fn the_first_organization_is_the_default_one() {
    given([created()])
        .when(UserCommand::Join(organization(1)))
        .then_expect_events(vec![joined(1, 1), default(Some(1))]);
    let one = || vec![created(), joined(1, 1), default(Some(1))];
    given(one()).when(UserCommand::Join(organization(1))).then_expect_events(vec![]);
    given(one()).when(UserCommand::Join(organization(2))).then_expect_events(vec![joined(2, 2)]);
}

#[test]
fn a_user_who_leaves_loses_roles_and_the_default_organization_changes() {
    let one = || vec![created(), joined(1, 1), default(Some(1)), granted(1, Role::Admin)];
    given(one()).when(UserCommand::Leave(organization(2))).then_expect_events(vec![]);
    given(one()).when(UserCommand::Leave(organization(1))).then_expect_events(vec![removed(1), default(None)]);
    let two = || [one(), vec![joined(2, 2)]].concat();
    given(two()).when(UserCommand::Leave(organization(2))).then_expect_events(vec![removed(2)]);
    given(two()).when(UserCommand::Leave(organization(1))).then_expect_events(vec![removed(1), default(Some(2))]);
    assert!(!profile([one(), vec![removed(1)]].concat()).acts_as(Role::Admin, organization(1)));
}

#[test]
fn a_user_who_rejoins_has_a_new_membership_without_roles() {
    let back = vec![created(), joined(1, 1), granted(1, Role::Admin), removed(1)];
    given(back.clone())
        .when(UserCommand::Join(organization(1)))
        .then_expect_events(vec![joined(1, 2), default(Some(1))]);
    let profile = profile([back, vec![joined(1, 2)]].concat());
    assert_eq!(profile.memberships[&organization(1)], Membership { number: 2, roles: Default::default() });
}

#[test]
fn roles_are_for_members_and_given_once() {
    let member = || vec![created(), joined(1, 1)];
    let grant = || UserCommand::Grant(organization(1), Role::Provider);
    let revoke = || UserCommand::Revoke(organization(1), Role::Provider);
    given([created()]).when(grant()).then_expect_error(UserError::NotAMember);
    given(member()).when(grant()).then_expect_events(vec![granted(1, Role::Provider)]);
    let provider = || [member(), vec![granted(1, Role::Provider)]].concat();
    given(provider()).when(grant()).then_expect_events(vec![]);
    given(provider())
        .when(revoke())
        .then_expect_events(vec![UserEvent::RoleRevoked { organization_id: organization(1), role: Role::Provider }]);
    given(member()).when(revoke()).then_expect_events(vec![]);
    given([created()]).when(revoke()).then_expect_events(vec![]);
    assert!(profile(provider()).acts_as(Role::Provider, organization(1)));
    let disabled = [provider(), vec![UserEvent::Disabled { state: UserState::Disabled }]].concat();
    assert!(!profile(disabled).acts_as(Role::Provider, organization(1)));
}

#[test]
fn system_roles_are_given_and_taken_once() {
    let role = SystemRole::Support;
    given([created()])
        .when(UserCommand::GrantSystem(role))
        .then_expect_events(vec![UserEvent::SystemRoleGranted { role }]);
    let support = || [created(), UserEvent::SystemRoleGranted { role }];
    given(support()).when(UserCommand::GrantSystem(role)).then_expect_events(vec![]);
    given(support())
        .when(UserCommand::RevokeSystem(role))
        .then_expect_events(vec![UserEvent::SystemRoleRevoked { role }]);
    given([created()]).when(UserCommand::RevokeSystem(role)).then_expect_events(vec![]);
}

#[test]
fn the_default_organization_is_one_of_the_users() {
    let to = |number| {
        UserCommand::Amend(Box::new(Amendment {
            default_organization: Some(organization(number)),
            ..Amendment::default()
        }))
    };
    let two = || vec![created(), joined(1, 1), default(Some(1)), joined(2, 2)];
    given(two()).when(to(2)).then_expect_events(vec![default(Some(2))]);
    given(two()).when(to(1)).then_expect_events(vec![]);
    given(two()).when(to(3)).then_expect_error(UserError::NotAMember);
}

#[test]
fn the_first_individual_is_the_primary_one() {
    let individual = |number| IndividualId(Uuid::from_u128(number));
    let added = |number| UserEvent::IndividualAdded { individual_id: individual(number) };
    given([created()]).when(UserCommand::AddIndividual(individual(5))).then_expect_events(vec![added(5)]);
    given([created(), added(5)]).when(UserCommand::AddIndividual(individual(5))).then_expect_events(vec![]);
    assert_eq!(profile([created(), added(5), added(4)]).individuals, [individual(5), individual(4)]);
}

#[test]
fn another_individual_becomes_the_primary_one() {
    let individual = |number| IndividualId(Uuid::from_u128(number));
    let added = |number| UserEvent::IndividualAdded { individual_id: individual(number) };
    let primary = |number| UserEvent::PrimaryIndividualChanged { individual_id: individual(number) };
    let add = |number| UserCommand::AddPrimaryIndividual(individual(number));
    given([created()]).when(add(5)).then_expect_events(vec![added(5)]);
    given([created(), added(5)]).when(add(5)).then_expect_events(vec![]);
    given([created(), added(5)]).when(add(4)).then_expect_events(vec![added(4), primary(4)]);
    given([created(), added(5), added(4)]).when(add(4)).then_expect_events(vec![primary(4)]);
    let moved = [created(), added(5), added(4), primary(4)];
    assert_eq!(profile(moved).individuals, [individual(4), individual(5)]);
}

#[test]
fn an_individual_that_is_taken_away_leaves_the_next_one_as_the_primary_one() {
    let individual = |number| IndividualId(Uuid::from_u128(number));
    let added = |number| UserEvent::IndividualAdded { individual_id: individual(number) };
    let removed = |number| UserEvent::IndividualRemoved { individual_id: individual(number) };
    let two = || [created(), added(5), added(4)];
    given(two()).when(UserCommand::RemoveIndividual(individual(5))).then_expect_events(vec![removed(5)]);
    given(two()).when(UserCommand::RemoveIndividual(individual(6))).then_expect_events(vec![]);
    assert_eq!(profile(two().into_iter().chain([removed(5)])).individuals, [individual(4)]);
}

#[test]
fn an_accepted_invitation_stays_accepted() {
    use InvitationState::{Accepted, Failed, Sent};
    let noted = |state| UserEvent::InvitationNoted { state };
    let note = UserCommand::NoteInvitation;
    given([created()]).when(note(Sent)).then_expect_events(vec![noted(Sent)]);
    given([created(), noted(Sent)]).when(note(Sent)).then_expect_events(vec![]);
    given([created(), noted(Sent)]).when(note(Failed)).then_expect_events(vec![noted(Failed)]);
    given([created(), noted(Failed)]).when(note(Accepted)).then_expect_events(vec![noted(Accepted)]);
    for late in [Sent, Failed, InvitationState::None] {
        given([created(), noted(Accepted)]).when(note(late)).then_expect_events(vec![]);
    }
}

#[test]
fn memberships_and_individuals_have_their_number() {
    let organizations = (1..=MEMBERSHIPS_MAX).map(|n| joined(n as u128, n as u64));
    given(std::iter::once(created()).chain(organizations))
        .when(UserCommand::Join(organization(0)))
        .then_expect_error(UserError::TooManyMemberships);
    let individual = |number: usize| IndividualId(Uuid::from_u128(number as u128));
    let individuals = (1..=INDIVIDUALS_MAX).map(|n| UserEvent::IndividualAdded { individual_id: individual(n) });
    given(std::iter::once(created()).chain(individuals))
        .when(UserCommand::AddIndividual(individual(0)))
        .then_expect_error(UserError::TooManyIndividuals);
}
