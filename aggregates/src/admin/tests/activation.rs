use super::*;

fn deactivate_by(actor: &str) -> AdminCommand {
    AdminCommand::Deactivate(granter(actor, &[]))
}

fn deactivated() -> AdminEvent {
    AdminEvent::Deactivated {}
}

fn activated() -> AdminEvent {
    AdminEvent::Activated {}
}

#[test]
fn an_active_admin_is_put_out_of_force() {
    given([registered()]).when(deactivate_by("somebody")).then_expect_events(vec![deactivated()]);
}

#[test]
fn an_inactive_admin_is_put_in_force() {
    given([registered(), deactivated()])
        .when(AdminCommand::Activate(Granter::System))
        .then_expect_events(vec![activated()]);
}

#[test]
fn deactivating_twice_records_nothing_new() {
    given([registered(), deactivated()]).when(deactivate_by("somebody")).then_expect_events(vec![]);
}

#[test]
fn activating_an_active_admin_records_nothing_new() {
    given([registered()]).when(AdminCommand::Activate(Granter::System)).then_expect_events(vec![]);
}

#[test]
fn activating_twice_records_nothing_new() {
    given([registered(), deactivated(), activated()])
        .when(AdminCommand::Activate(Granter::System))
        .then_expect_events(vec![]);
}

#[test]
fn admins_cannot_deactivate_themselves() {
    given([registered()])
        .when(deactivate_by(&registration().id.to_string()))
        .then_expect_error(AdminError::OwnDeactivation);
}

#[test]
fn the_person_behind_an_admin_is_no_actor() {
    given([registered()])
        .when(deactivate_by(&registration().person_id.to_string()))
        .then_expect_events(vec![deactivated()]);
}

#[test]
fn deactivating_oneself_again_records_nothing_new() {
    given([registered(), deactivated()]).when(deactivate_by(&registration().id.to_string())).then_expect_events(vec![]);
}

#[test]
fn an_unknown_admin_cannot_be_activated() {
    given([]).when(AdminCommand::Activate(Granter::System)).then_expect_error(AdminError::NotFound);
}

#[test]
fn an_unknown_admin_cannot_be_deactivated() {
    given([]).when(deactivate_by("somebody")).then_expect_error(AdminError::NotFound);
}

#[test]
fn an_admin_keeps_its_profile_through_deactivation_and_back() {
    let profile = Box::new(Profile::from(registration()));
    assert_eq!(admin([registered(), deactivated()]), Admin::Inactive(profile.clone()));
    assert_eq!(admin([registered(), deactivated(), activated()]), Admin::Active(profile));
}

#[test]
fn an_inactive_admin_is_amended_and_stays_inactive() {
    let amended = AdminEvent::PartyAmended { legacy_identifier: some("L-1") };
    given([registered(), deactivated()])
        .when(amend([AdminChange::LegacyIdentifier(some("L-1"))]))
        .then_expect_events(vec![amended.clone()]);
    assert_eq!(
        admin([registered(), deactivated(), amended]),
        Admin::Inactive(Box::new(registration_with(|r| r.legacy_identifier = some("L-1")).into()))
    );
}

#[test]
fn events_that_come_before_any_registration_leave_the_admin_absent() {
    assert_eq!(
        admin([activated(), deactivated(), AdminEvent::PartyAmended { legacy_identifier: None }]),
        Admin::Absent
    );
}

#[test]
fn a_snapshot_gives_back_the_state_it_was_taken_of() {
    let states =
        [admin([]), admin([registered_with(|r| r.account = Some(account()))]), admin([registered(), deactivated()])];
    for state in states {
        let snapshot = serde_json::to_value(&state).expect("JSON");
        assert_eq!(serde_json::from_value::<Admin>(snapshot).expect("its own shape"), state);
    }
}

fn with_account() -> AdminEvent {
    registered_with(|registration| registration.account = Some(account()))
}

fn change_password(former: &str) -> AdminCommand {
    AdminCommand::ChangePassword { former: former.into(), hash: "another".into(), keep_sessions: false }
}

#[test]
fn an_admin_in_force_changes_the_password_that_was_shown() {
    let hash = account().password_hash;
    let changed =
        || AdminEvent::PasswordChanged { password_hash: "another".into(), ends_sessions: true, expires_at: None };
    given([with_account()]).when(change_password(&hash)).then_expect_events(vec![changed()]);
    given([with_account(), changed()]).when(change_password(&hash)).then_expect_error(AdminError::OtherPassword);
    given([with_account(), changed()]).when(change_password("another")).then_expect_events(vec![changed()]);
    given([with_account(), deactivated()]).when(change_password(&hash)).then_expect_error(AdminError::NoAccount);
    given([registered()]).when(change_password(&hash)).then_expect_error(AdminError::NoAccount);
    given([]).when(change_password(&hash)).then_expect_error(AdminError::NotFound);
    assert!(!format!("{:?}", change_password("secret")).contains("secret"));
}

#[test]
fn a_password_set_by_another_admin_expires_unless_its_owner_changes_it() {
    let until = chrono::DateTime::UNIX_EPOCH;
    let set = || AdminCommand::SetPassword { hash: "set".into(), expires_at: until };
    let was_set =
        || AdminEvent::PasswordChanged { password_hash: "set".into(), ends_sessions: true, expires_at: Some(until) };
    given([with_account()]).when(set()).then_expect_events(vec![was_set()]);
    given([with_account(), deactivated()]).when(set()).then_expect_error(AdminError::NoAccount);
    given([registered()]).when(set()).then_expect_error(AdminError::NoAccount);
    given([]).when(set()).then_expect_error(AdminError::NotFound);
    assert!(!format!("{:?}", set()).contains("set\""));
    let expires_at = |events: Vec<AdminEvent>| {
        admin(events)
            .profile()
            .and_then(|profile| profile.account.clone())
            .and_then(|account| account.password_expires_at)
    };
    assert_eq!(expires_at(vec![with_account(), was_set()]), Some(until));
    let changed = AdminEvent::PasswordChanged { password_hash: "own".into(), ends_sessions: true, expires_at: None };
    assert_eq!(expires_at(vec![with_account(), was_set(), changed]), None);
}
