use super::*;

fn changed(hash: &str, state: UserState, ends_sessions: bool) -> UserEvent {
    UserEvent::PasswordChanged { password_hash: hash.into(), state, ends_sessions }
}

fn in_state(state: UserState) -> UserEvent {
    created_with(|creation| creation.state = state)
}

#[test]
fn a_user_is_created_once_with_the_contact_that_it_signs_in_with() {
    given([]).when(create(creation())).then_expect_events(vec![created()]);
    given([created()]).when(create(creation())).then_expect_error(UserError::AlreadyExists);
    let by_phone = creation_with(|creation| creation.username = Username::Phone);
    given([]).when(create(by_phone)).then_expect_error(UserError::NoSuchContact);
    let invited = creation_with(|creation| {
        (creation.state, creation.contacts, creation.password_hash) = (UserState::Init, Contacts::default(), None);
    });
    given([]).when(create(invited.clone())).then_expect_events(vec![UserEvent::Created(Box::new(invited))]);
}

#[test]
fn every_unfit_field_of_a_creation_is_named() {
    let unfit = creation_with(|creation| {
        creation.names = Names { first_name: "ä".repeat(256), last_name: "a\0".into() };
        creation.time_zone = Some("Europe/Atlantis".into());
    });
    let finding = |field: &str, problem| Finding { field: field.into(), problem };
    given([]).when(create(unfit)).then_expect_error(UserError::Invalid(vec![
        finding("firstName", Problem::TooLong { max: NAME_LENGTH_MAX }),
        finding("lastName", Problem::Nul),
        finding("timeZone", Problem::UnknownTimeZone),
    ]));
}

#[test]
fn enabling_archiving_and_joining_need_an_existing_user() {
    for command in [UserCommand::Enable, UserCommand::Archive, UserCommand::Join(organization(1))] {
        given([]).when(command).then_expect_error(UserError::NotFound);
    }
}

#[test]
fn enabling_a_disabled_user_restores_the_former_state() {
    let disable = || UserCommand::Disable { by: user(2) };
    for (before, disabled) in [
        (UserState::Init, UserState::RegisteredDisabled),
        (UserState::Registered, UserState::RegisteredDisabled),
        (UserState::Confirmed, UserState::Disabled),
        (UserState::ForceResetPassword, UserState::Disabled),
    ] {
        let event = || UserEvent::Disabled { state: disabled };
        given([in_state(before)]).when(disable()).then_expect_events(vec![event()]);
        given([in_state(before), event()]).when(disable()).then_expect_events(vec![]);
        given([in_state(before), event()])
            .when(UserCommand::Enable)
            .then_expect_events(vec![UserEvent::Enabled { state: before }]);
        given([in_state(before)]).when(UserCommand::Enable).then_expect_events(vec![]);
        assert!(!profile([in_state(before), event()]).state.is_enabled());
    }
    given([created()]).when(UserCommand::Disable { by: user(1) }).then_expect_error(UserError::Oneself);
}

#[test]
fn a_changed_password_ends_the_sessions_unless_they_are_kept() {
    let change = |former: &str, keep_sessions| UserCommand::ChangePassword {
        former: former.into(),
        hash: "other".into(),
        keep_sessions,
    };
    given([created()]).when(change("hash", false)).then_expect_events(vec![changed(
        "other",
        UserState::Confirmed,
        true,
    )]);
    given([created()]).when(change("hash", true)).then_expect_events(vec![changed(
        "other",
        UserState::Confirmed,
        false,
    )]);
    given([created()]).when(change("stale", true)).then_expect_error(UserError::OtherPassword);
    given([in_state(UserState::ForceResetPassword)]).when(change("hash", false)).then_expect_events(vec![changed(
        "other",
        UserState::Confirmed,
        true,
    )]);
}

#[test]
fn a_password_set_for_a_confirmed_user_has_to_be_changed() {
    let set = UserCommand::SetPassword { hash: "other".into(), keep_sessions: false };
    for (before, after) in [
        (UserState::Confirmed, UserState::ForceResetPassword),
        (UserState::ForceResetPassword, UserState::ForceResetPassword),
        (UserState::Registered, UserState::Registered),
    ] {
        given([in_state(before)]).when(set.clone()).then_expect_events(vec![changed("other", after, true)]);
    }
}

#[test]
fn a_reset_password_ends_the_sessions_and_need_not_be_changed() {
    let reset = || UserCommand::ResetPassword { hash: "other".into() };
    for (before, after) in [
        (UserState::Confirmed, UserState::Confirmed),
        (UserState::ForceResetPassword, UserState::Confirmed),
        // The sign-up is confirmed by an event of its own.
        (UserState::Registered, UserState::Registered),
    ] {
        given([in_state(before)]).when(reset()).then_expect_events(vec![changed("other", after, true)]);
    }
    given([created(), archived()]).when(reset()).then_expect_error(UserError::Archived);
}

#[test]
fn only_events_that_end_sessions_begin_a_new_epoch() {
    let epoch = |event: UserEvent| profile([created(), event]).epoch;
    assert_eq!(epoch(UserEvent::Disabled { state: UserState::Disabled }), 1);
    assert_eq!(epoch(archived()), 1);
    assert_eq!(epoch(changed("h", UserState::Confirmed, true)), 1);
    assert_eq!(epoch(changed("h", UserState::Confirmed, false)), 0);
    assert_eq!(epoch(UserEvent::Enabled { state: UserState::Confirmed }), 0);
    assert_eq!(epoch(UserEvent::OrganizationJoined { organization_id: organization(1), number: 1 }), 0);
}

#[test]
fn an_archived_user_frees_its_contacts_and_is_no_longer_changed() {
    let both = || created_with(|creation| creation.contacts.phone = Some(phone("+12025550123")));
    let archived = || UserEvent::Archived {
        email: Some(email("ada@example.com")),
        phone: Some(phone("+12025550123")),
        kept_email: None,
        kept_phone: None,
    };
    given([both()]).when(UserCommand::Archive).then_expect_events(vec![archived()]);
    given([both(), archived()]).when(UserCommand::Archive).then_expect_events(vec![]);
    for command in [
        UserCommand::Enable,
        UserCommand::Disable { by: user(2) },
        UserCommand::Amend(Box::default()),
        UserCommand::Join(organization(1)),
        UserCommand::GrantSystem(SystemRole::Support),
    ] {
        given([both(), archived()]).when(command).then_expect_error(UserError::Archived);
    }
    given([both(), archived()]).when(UserCommand::Leave(organization(1))).then_expect_events(vec![]);
    assert_eq!(profile([both(), archived()]).contacts, Contacts::default());
    let keys = || [ClaimKey::account_email(&email("ada@example.com")), ClaimKey::user_phone(&phone("+12025550123"))];
    assert_eq!(both().claims(), keys().map(Claim::Take));
    assert_eq!(archived().claims(), keys().map(Claim::Release));
}

#[test]
fn agreements_are_recorded_once_until_they_are_deleted() {
    let documents = |numbers: &[u128]| numbers.iter().map(|number| Uuid::from_u128(*number)).collect();
    let agreed = |numbers: &[u128]| UserEvent::DocumentsAgreed { documents: documents(numbers) };
    let agree = |numbers: &[u128]| UserCommand::Agree(documents(numbers));
    given([created()]).when(agree(&[1, 2])).then_expect_events(vec![agreed(&[1, 2])]);
    given([created(), agreed(&[1])]).when(agree(&[1, 2])).then_expect_events(vec![agreed(&[2])]);
    given([created(), agreed(&[1])]).when(agree(&[1])).then_expect_events(vec![]);
    given([created(), agreed(&[1])])
        .when(UserCommand::ForgetAgreements)
        .then_expect_events(vec![UserEvent::AgreementsDeleted {}]);
    given([created()]).when(UserCommand::ForgetAgreements).then_expect_events(vec![]);
    assert!(profile([created(), agreed(&[1]), UserEvent::AgreementsDeleted {}]).agreements.is_empty());
}
