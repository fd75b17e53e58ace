//! Comparison of two states of an admin, record by record.

use super::event::AdminEvent;
use super::profile::Profile;

/// The events that lead from `before` to `after`, one for each changed record.
pub(super) fn differences(before: &Profile, after: Profile) -> Vec<AdminEvent> {
    let mut events = Vec::new();
    if before.policies != after.policies || before.custom_permissions != after.custom_permissions {
        events
            .push(AdminEvent::GrantsAmended { policies: after.policies, custom_permissions: after.custom_permissions });
    }
    if before.person != after.person {
        events.push(AdminEvent::PersonAmended { person: after.person });
    }
    if before.legacy_identifier != after.legacy_identifier {
        events.push(AdminEvent::PartyAmended { legacy_identifier: after.legacy_identifier });
    }
    list_differences(
        &before.addresses,
        after.addresses,
        |address| address.id,
        |change| match change {
            ListDifference::Removed(address_id) => AdminEvent::AddressRemoved { address_id },
            ListDifference::Added(address, index) => AdminEvent::AddressAdded { address, index },
            ListDifference::Amended(address) => AdminEvent::AddressAmended { address },
        },
        &mut events,
    );
    list_differences(
        &before.phone_numbers,
        after.phone_numbers,
        |phone_number| phone_number.id,
        |change| match change {
            ListDifference::Removed(phone_number_id) => AdminEvent::PhoneNumberRemoved { phone_number_id },
            ListDifference::Added(phone_number, index) => AdminEvent::PhoneNumberAdded { phone_number, index },
            ListDifference::Amended(phone_number) => AdminEvent::PhoneNumberAmended { phone_number },
        },
        &mut events,
    );
    events
}

enum ListDifference<T, K> {
    Removed(K),
    Added(T, usize),
    Amended(T),
}

/// Removals first, then additions and changes in list order: on replay, every `index` is right. Remaining entries keep
/// their relative order, since no step moves one.
fn list_differences<T: PartialEq, K: PartialEq + Copy>(
    before: &[T],
    after: Vec<T>,
    key: impl Fn(&T) -> K,
    event: impl Fn(ListDifference<T, K>) -> AdminEvent,
    events: &mut Vec<AdminEvent>,
) {
    for gone in before.iter().filter(|entry| after.iter().all(|kept| key(kept) != key(entry))) {
        events.push(event(ListDifference::Removed(key(gone))));
    }
    for (index, entry) in after.into_iter().enumerate() {
        match before.iter().find(|former| key(former) == key(&entry)) {
            None => events.push(event(ListDifference::Added(entry, index))),
            Some(former) if *former != entry => events.push(event(ListDifference::Amended(entry))),
            Some(_) => {}
        }
    }
}
