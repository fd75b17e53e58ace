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

fn home(number: Option<u128>) -> UserEvent {
    UserEvent::HomeChanged { organization_id: number.map(organization) }
}

/// Created through the organization.
fn of(number: u128) -> UserEvent {
    created_with(|creation| creation.home = Some(Home::of(organization(number))))
}

/// A user created by a release without homes.
fn unsettled() -> UserEvent {
    created_with(|creation| creation.home = None)
}

#[test]
fn an_account_is_the_systems_unless_it_was_created_through_an_organization() {
    let creation = |home| creation_with(|creation| creation.home = home);
    given([]).when(create(creation(None))).then_expect_events(vec![created()]);
    let through = Some(Home::of(organization(1)));
    given([]).when(create(creation(through))).then_expect_events(vec![of(1)]);
    assert_eq!(profile([created(), joined(1, 1)]).home(), None);
    assert_eq!(profile([of(1), joined(2, 1)]).home(), Some(organization(1)));
}

#[test]
fn leaving_the_home_passes_it_to_the_oldest_remaining_membership() {
    // The organization with the lowest identifier was joined last.
    let three = || vec![of(2), joined(2, 1), default(Some(2)), joined(3, 2), joined(1, 3)];
    given(three()).when(UserCommand::Leave(organization(2))).then_expect_events(vec![
        removed(2),
        default(Some(3)),
        home(Some(3)),
    ]);
    given(three()).when(UserCommand::Leave(organization(3))).then_expect_events(vec![removed(3)]);
    assert_eq!(profile([three(), vec![removed(2), home(Some(3))]].concat()).home(), Some(organization(3)));
}

#[test]
fn leaving_the_last_organization_makes_the_system_the_home_for_good() {
    let one = || vec![of(1), joined(1, 1), default(Some(1))];
    let left = || vec![removed(1), default(None), home(None)];
    given(one()).when(UserCommand::Leave(organization(1))).then_expect_events(left());
    let back = || [one(), left(), vec![joined(2, 2), default(Some(2))]].concat();
    assert_eq!(profile(back()).home(), None);
    given(back()).when(UserCommand::Leave(organization(2))).then_expect_events(vec![removed(2), default(None)]);
}

#[test]
fn an_account_from_before_belongs_to_the_first_organization_that_it_joined() {
    assert_eq!(profile([unsettled()]).home(), None);
    assert_eq!(profile([unsettled(), joined(2, 1), joined(1, 2)]).home(), Some(organization(2)));
    // No event recorded the change of home at that time.
    assert_eq!(profile([unsettled(), joined(2, 1), joined(1, 2), removed(2)]).home(), Some(organization(1)));
    assert_eq!(profile([unsettled(), joined(2, 1), removed(2), joined(1, 2)]).home(), None);
    given([unsettled(), joined(2, 1), joined(1, 2)])
        .when(UserCommand::Leave(organization(2)))
        .then_expect_events(vec![removed(2), home(Some(1))]);
}

#[test]
fn an_account_from_before_with_a_role_in_the_system_is_the_systems() {
    let support = || UserEvent::SystemRoleGranted { role: SystemRole::Support };
    assert_eq!(profile([unsettled(), support(), joined(1, 1)]).home(), None);
    assert_eq!(profile([unsettled(), joined(1, 1), support()]).home(), Some(organization(1)));
}

#[test]
fn a_creation_of_an_earlier_release_is_read() {
    let mut payload = serde_json::to_value(of(1)).expect("JSON");
    assert_eq!(payload["home"], json!({ "organizationId": organization(1) }));
    payload.as_object_mut().expect("an object").remove("home");
    let old: UserEvent = serde_json::from_value(payload).expect("an old event");
    assert_eq!(old, unsettled());
    let system = serde_json::to_value(created()).expect("JSON");
    assert_eq!(system["home"], json!({}));
    assert_eq!(serde_json::from_value::<UserEvent>(system).expect("its own shape"), created());
}

#[test]
fn only_an_account_that_is_not_confirmed_moves_to_another_home() {
    let pending = |state| {
        created_with(|creation| {
            creation.state = state;
            creation.home = Some(Home::of(organization(1)));
        })
    };
    for state in [UserState::Init, UserState::Registered] {
        given([pending(state)]).when(UserCommand::MoveHome(organization(2))).then_expect_events(vec![home(Some(2))]);
        given([pending(state)]).when(UserCommand::MoveHome(organization(1))).then_expect_events(vec![]);
    }
    given([of(1)]).when(UserCommand::MoveHome(organization(2))).then_expect_events(vec![]);
}
