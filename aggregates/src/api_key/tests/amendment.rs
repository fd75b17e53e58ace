use super::*;

#[test]
fn a_key_gets_another_name() {
    given([created()])
        .when(amend(|amendment| amendment.name = Some(" Weekly ".into())))
        .then_expect_events(vec![ApiKeyEvent::Renamed { name: "Weekly".into() }]);
}

#[test]
fn a_key_gets_other_roles() {
    let others = roles(&[Role::Developer, Role::QueryEndpoints]);
    given([created()])
        .when(amend(|amendment| amendment.roles = Some(others.clone())))
        .then_expect_events(vec![ApiKeyEvent::RolesChanged { roles: others.clone() }]);
}

#[test]
fn a_key_gets_an_end_another_and_none() {
    for (before, after) in [(None, Some(at(1))), (Some(at(1)), Some(at(2))), (Some(at(-1)), None)] {
        given([created_with(|creation| creation.expires_at = before)])
            .when(amend(|amendment| amendment.expires_at = Some(after)))
            .then_expect_events(vec![ApiKeyEvent::ExpiryChanged { expires_at: after }]);
    }
}

#[test]
fn a_key_is_disabled_and_enabled_again() {
    let enabled = |enabled| amend(|amendment| amendment.enabled = Some(enabled));
    given([created()]).when(enabled(false)).then_expect_events(vec![ApiKeyEvent::Disabled {}]);
    given([created(), ApiKeyEvent::Disabled {}]).when(enabled(true)).then_expect_events(vec![ApiKeyEvent::Enabled {}]);
}

#[test]
fn everything_at_once_is_one_event_a_kind() {
    let command = amend(|amendment| {
        amendment.name = Some("Weekly".into());
        amendment.roles = Some(roles(&[Role::Developer]));
        amendment.expires_at = Some(Some(at(1)));
        amendment.enabled = Some(false);
    });
    given([created()]).when(command).then_expect_events(vec![
        ApiKeyEvent::Renamed { name: "Weekly".into() },
        ApiKeyEvent::RolesChanged { roles: roles(&[Role::Developer]) },
        ApiKeyEvent::ExpiryChanged { expires_at: Some(at(1)) },
        ApiKeyEvent::Disabled {},
    ]);
}

#[test]
fn amending_a_key_to_its_present_values_records_nothing_new() {
    // The key has expired; an amendment that repeats the same expiry changes nothing.
    let ended = created_with(|creation| creation.expires_at = Some(at(-1)));
    let command = amend(|amendment| {
        amendment.name = Some(" Nightly".into());
        amendment.roles = Some(roles(&[Role::Admin]));
        amendment.expires_at = Some(Some(at(-1)));
        amendment.enabled = Some(true);
    });
    given([ended]).when(command).then_expect_events(vec![]);
    given([created()]).when(amend(|_| {})).then_expect_events(vec![]);
}

#[test]
fn one_unfit_value_refuses_the_whole_amendment() {
    type Edit = fn(&mut Amendment);
    let unfit: [(Edit, ApiKeyError); 4] = [
        (|amendment| amendment.name = Some(" ".into()), ApiKeyError::UnfitName(Problem::Blank)),
        (|amendment| amendment.roles = Some(BTreeSet::new()), ApiKeyError::NoRole),
        (|amendment| amendment.expires_at = Some(Some(at(0))), ApiKeyError::PastExpiry),
        (|amendment| amendment.expires_at = Some(Some(at(-1))), ApiKeyError::PastExpiry),
    ];
    for (edit, refusal) in unfit {
        let command = amend(|amendment| {
            amendment.enabled = Some(false);
            edit(amendment);
        });
        given([created()]).when(command).then_expect_error(refusal);
    }
}

#[test]
fn rolling_the_secret_changes_only_the_digest() {
    let rolled = ApiKeyEvent::SecretRolled { secret_digest: "other".into() };
    given([created()]).when(roll("other")).then_expect_events(vec![rolled.clone()]);
    assert_eq!(key([created(), rolled]), Key { secret_digest: "other".into(), ..key([created()]) });
}

#[test]
fn rolling_to_the_same_secret_records_nothing_new() {
    given([created()]).when(roll("digest")).then_expect_events(vec![]);
}

#[test]
fn an_amended_key_equals_one_created_with_the_same_values() {
    let amended = key([
        created(),
        ApiKeyEvent::Renamed { name: "Weekly".into() },
        ApiKeyEvent::RolesChanged { roles: roles(&[Role::Developer]) },
        ApiKeyEvent::ExpiryChanged { expires_at: Some(at(1)) },
        ApiKeyEvent::Disabled {},
    ]);
    let expected = creation_with(|creation| {
        creation.name = "Weekly".into();
        creation.roles = roles(&[Role::Developer]);
        creation.expires_at = Some(at(1));
        creation.enabled = false;
    });
    assert_eq!(amended, Key::from(expected));
}
