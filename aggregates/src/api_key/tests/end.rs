use super::*;

#[test]
fn a_key_is_deleted() {
    given([created()]).when(delete_by("somebody")).then_expect_events(vec![deleted()]);
    assert_eq!(state([created(), deleted()]), ApiKey::Deleted);
}

#[test]
fn a_key_out_of_use_is_deleted_too() {
    given([created(), ApiKeyEvent::Disabled {}]).when(delete_by("somebody")).then_expect_events(vec![deleted()]);
}

#[test]
fn a_key_cannot_delete_itself() {
    given([created()]).when(delete_by(&creation().id.to_string())).then_expect_error(ApiKeyError::OwnDeletion);
}

#[test]
fn absent_and_deleted_keys_are_neither_rolled_amended_nor_deleted() {
    for events in [vec![], vec![created(), deleted()]] {
        for command in [roll("other"), amend(|amendment| amendment.enabled = Some(true)), delete_by("somebody")] {
            given(events.clone()).when(command).then_expect_error(ApiKeyError::NotFound);
        }
    }
}

#[test]
fn later_events_revive_neither_a_deleted_nor_an_absent_key() {
    assert_eq!(state([created(), deleted(), created(), ApiKeyEvent::Enabled {}]), ApiKey::Deleted);
    assert_eq!(state([ApiKeyEvent::Enabled {}]), ApiKey::Absent);
}

#[test]
fn a_key_is_active_while_it_is_enabled_and_has_not_ended() {
    let ending = key([created_with(|creation| creation.expires_at = Some(at(1)))]);
    assert!(ending.is_active(at(0)) && !ending.is_active(at(1)) && !ending.is_active(at(2)));
    let endless = key([created()]);
    assert!(endless.is_active(DateTime::<Utc>::MAX_UTC));
    let disabled = key([created(), ApiKeyEvent::Disabled {}]);
    assert!(!disabled.is_active(at(0)));
}
