//! Versions of parts: each ends where the next one starts, and a stale read is refused.

use super::*;

fn seen(at: Option<DateTime<Utc>>) -> Content {
    Content { name: "Seen".into(), seen: at, ..content() }
}

#[test]
fn versions_start_in_whole_milliseconds_and_in_the_order_of_events() {
    let fine = second(2) + TimeDelta::microseconds(1_999);
    let (_, renamed) =
        after(organization([registered()]), OrganizationCommand::Rename { name: "A".into(), stamp: Stamp::at(fine) });
    let start = |organization: &Organization| organization.profile().map(|profile| profile.edition.start);
    assert_eq!(start(&renamed), Some(second(2) + TimeDelta::milliseconds(1)));
    // Another node, with a clock that is behind.
    let (_, again) = after(renamed, rename(2, "B"));
    assert_eq!(start(&again), Some(second(2) + TimeDelta::milliseconds(2)));
}

#[test]
fn a_replacement_based_on_superseded_master_data_is_refused() {
    let events = || [registered(), OrganizationEvent::Renamed { name: "B".into(), edition: edition(2) }];
    given(events())
        .when(replace(3, seen(Some(second(1)))))
        .then_expect_error(OrganizationError::Superseded(vec!["organization.versionStart".into()]));
    for unobjectionable in [None, Some(second(2)), Some(second(9)), Some(second(1) + TimeDelta::microseconds(1))] {
        assert!(organization(events()).decide(replace(3, seen(unobjectionable))).is_ok(), "{unobjectionable:?}");
    }
}

#[test]
fn a_replacement_based_on_superseded_master_data_is_refused_even_without_a_change() {
    let events = [registered(), OrganizationEvent::Renamed { name: "Seen".into(), edition: edition(2) }];
    let refusal = OrganizationError::Superseded(vec!["organization.versionStart".into()]);
    given(events).when(replace(3, seen(Some(second(1))))).then_expect_error(refusal);
}

#[test]
fn modes_and_addresses_have_versions_of_their_own() {
    let events = [
        registered_with(|profile| {
            profile.modes = vec![mode(1, "Testing", 1)];
            profile.addresses = vec![address(1, "80202", 1)];
        }),
        OrganizationEvent::ModeAmended { mode: mode(1, "Training", 2) },
        OrganizationEvent::AddressAmended { address: address(1, "80203", 3) },
    ];
    let content = |mode_seen, address_seen| Content {
        modes: vec![ModeContent { seen: Some(second(mode_seen)), ..known_mode(1, None) }],
        addresses: vec![AddressContent { seen: Some(second(address_seen)), ..known_address(1, "80203") }],
        // The present version, not superseded.
        seen: Some(second(1)),
        ..content()
    };
    given(events.clone()).when(replace(4, content(1, 1))).then_expect_error(OrganizationError::Superseded(vec![
        "modes[0].versionStart".into(),
        "orgAddressesDetails[0].versionStart".into(),
    ]));
    given(events).when(replace(4, content(2, 3))).then_expect_events(vec![]);
}

#[test]
fn several_changes_of_the_master_data_at_once_are_one_version() {
    let content = Content { name: "B".into(), status: Some(Status::Retired), ..content() };
    let (events, organization) = after(organization([registered()]), replace(2, content));
    assert_eq!(events.len(), 2);
    let Organization::Present(record) = organization else { panic!("gone") };
    assert_eq!(record.superseded, BTreeMap::from([(ID.0, vec![second(1)])]));
    assert_eq!(record.latest, second(2));
}

#[test]
fn an_ended_part_leaves_no_superseded_versions() {
    let events = [
        registered_with(|profile| profile.modes = vec![mode(1, "Testing", 1)]),
        OrganizationEvent::ModeAmended { mode: mode(1, "Training", 2) },
        OrganizationEvent::ModeEnded { mode_id: mode(1, "Training", 1).id, edition: edition(3) },
    ];
    let Organization::Present(record) = organization(events) else { panic!("gone") };
    assert_eq!((record.superseded, record.latest), (BTreeMap::new(), second(3)));
}
