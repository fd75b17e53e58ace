use super::*;
use crate::values::RegionCode;

/// Addresses 1, 2 and 3.
fn housed() -> AdminEvent {
    registered_with(|r| r.addresses = vec![address(1), address(2), address(3)])
}

fn change(edits: impl IntoIterator<Item = AddressEdit>) -> AdminCommand {
    AdminCommand::Amend(edits.into_iter().map(AdminChange::Addresses).collect(), Granter::System)
}

fn insert(at: impl Into<Option<usize>>, address: Address) -> AddressEdit {
    AddressEdit::Insert { at: at.into(), address: Box::new(address) }
}

fn replace(at: usize, address: Address) -> AddressEdit {
    AddressEdit::Replace { at, address: Box::new(address) }
}

fn remove(at: usize) -> AddressEdit {
    AddressEdit::Remove { at }
}

fn set(at: usize, text: AddressText, value: &str) -> AddressEdit {
    AddressEdit::Text { at, text, value: some(value) }
}

fn clear(at: usize, text: AddressText) -> AddressEdit {
    AddressEdit::Text { at, text, value: None }
}

fn kind(at: usize, address_type: u32) -> AddressEdit {
    AddressEdit::Kind { at, address_type }
}

fn added(address: Address, index: usize) -> AdminEvent {
    AdminEvent::AddressAdded { address, index }
}

fn amended(number: u128, edit: impl FnOnce(&mut AddressDetails)) -> AdminEvent {
    AdminEvent::AddressAmended { address: address_with(number, edit) }
}

fn removed(number: u128) -> AdminEvent {
    AdminEvent::AddressRemoved { address_id: address(number).id }
}

#[test]
fn an_address_without_a_place_is_appended() {
    given([housed()]).when(change([insert(None, address(4))])).then_expect_events(vec![added(address(4), 3)]);
}

#[test]
fn an_address_is_inserted_before_a_place() {
    given([housed()]).when(change([insert(1, address(4))])).then_expect_events(vec![added(address(4), 1)]);
    let state = admin([housed(), added(address(4), 1)]);
    let order: Vec<_> = state.profile().expect("registered").addresses.iter().map(|a| a.id).collect();
    assert_eq!(order, [1, 4, 2, 3].map(|number| address(number).id));
}

#[test]
fn an_address_is_inserted_at_the_place_behind_the_last() {
    given([housed()]).when(change([insert(3, address(4))])).then_expect_events(vec![added(address(4), 3)]);
}

#[test]
fn a_replaced_address_is_gone_and_another_stands_in_its_place() {
    given([housed()]).when(change([replace(1, address(4))])).then_expect_events(vec![removed(2), added(address(4), 1)]);
}

#[test]
fn an_address_that_says_the_same_under_another_identity_replaces_all_the_same() {
    let same = Address { id: address(4).id, details: address(1).details };
    given([housed()]).when(change([replace(0, same.clone())])).then_expect_events(vec![removed(1), added(same, 0)]);
}

#[test]
fn an_address_is_removed() {
    given([housed()]).when(change([remove(1)])).then_expect_events(vec![removed(2)]);
}

#[test]
fn all_addresses_are_removed_one_event_each() {
    given([housed()]).when(change([AddressEdit::Clear])).then_expect_events(vec![removed(1), removed(2), removed(3)]);
}

#[test]
fn clearing_no_addresses_records_nothing() {
    given([registered()]).when(change([AddressEdit::Clear])).then_expect_events(vec![]);
}

#[test]
fn each_text_of_an_address_is_set() {
    type Set = fn(&mut AddressDetails);
    let texts: [(AddressText, &str, Set); 7] = [
        (AddressText::AddressLine1, "1 High St", |a| a.address_line1 = some("1 High St")),
        (AddressText::AddressLine2, "Flat 2", |a| a.address_line2 = some("Flat 2")),
        (AddressText::City, "London", |a| a.city = some("London")),
        (AddressText::PostalCode, "N1", |a| a.postal_code = some("N1")),
        (AddressText::StateProvinceCode, "LND", |a| a.state_province_code = some("LND")),
        (AddressText::CountryCode, "GB", |a| a.country_code = country("GB")),
        (AddressText::RegionCode, "EU", |a| a.region_code = Some(RegionCode::Eu)),
    ];
    for (text, value, effect) in texts {
        given([housed()]).when(change([set(1, text, value)])).then_expect_events(vec![amended(2, effect)]);
    }
}

#[test]
fn each_text_of_an_address_is_taken_away() {
    type Clear = fn(&mut AddressDetails);
    let full: Clear = |a| {
        a.address_line1 = some("1 High St");
        a.address_line2 = some("Flat 2");
        a.city = some("London");
        a.postal_code = some("N1");
        a.state_province_code = some("CA");
        a.country_code = country("US");
        a.region_code = Some(RegionCode::Us);
    };
    let texts: [(AddressText, Clear); 7] = [
        (AddressText::AddressLine1, |a| a.address_line1 = None),
        (AddressText::AddressLine2, |a| a.address_line2 = None),
        (AddressText::City, |a| a.city = None),
        (AddressText::PostalCode, |a| a.postal_code = None),
        (AddressText::StateProvinceCode, |a| a.state_province_code = None),
        (AddressText::CountryCode, |a| a.country_code = None),
        (AddressText::RegionCode, |a| a.region_code = None),
    ];
    for (text, effect) in texts {
        given([registered_with(|r| r.addresses = vec![address_with(1, full)])])
            .when(change([clear(0, text)]))
            .then_expect_events(vec![amended(1, |a| {
                full(a);
                effect(a);
            })]);
    }
}

#[test]
fn the_kind_of_an_address_is_set() {
    given([housed()]).when(change([kind(2, 4)])).then_expect_events(vec![amended(3, |a| a.address_type = 4)]);
}

#[test]
fn setting_present_values_again_records_nothing() {
    given([housed()]).when(change([kind(0, 1), clear(0, AddressText::City)])).then_expect_events(vec![]);
}

#[test]
fn places_behind_the_last_address_are_misplaced() {
    for edit in [
        replace(3, address(4)),
        remove(3),
        set(3, AddressText::City, "London"),
        clear(3, AddressText::City),
        kind(3, 1),
    ] {
        given([housed()]).when(change([edit])).then_expect_error(misplaced(0, none_there(3)));
    }
    given([housed()]).when(change([insert(4, address(4))])).then_expect_error(misplaced(0, none_there(3)));
}

#[test]
fn an_address_type_of_zero_is_refused() {
    let wrong = || address_with(4, |a| a.address_type = 0);
    for edit in [kind(0, 0), insert(None, wrong()), replace(0, wrong())] {
        given([housed()]).when(change([edit])).then_expect_error(unfit(0, Problem::NotACode));
    }
}

#[test]
fn texts_that_no_store_keeps_are_refused() {
    use AddressText::{AddressLine1, AddressLine2, City, PostalCode, StateProvinceCode};
    for text in [AddressLine1, AddressLine2, City, PostalCode, StateProvinceCode] {
        given([housed()]).when(change([set(0, text, "\0")])).then_expect_error(unfit(0, Problem::Nul));
    }
    let wrong = || address_with(4, |a| a.city = some("\0"));
    for edit in [insert(None, wrong()), replace(0, wrong())] {
        given([housed()]).when(change([edit])).then_expect_error(unfit(0, Problem::Nul));
    }
}

#[test]
fn an_unknown_country_is_refused() {
    for code in ["XX", "us", "", "USA"] {
        given([housed()])
            .when(change([set(0, AddressText::CountryCode, code)]))
            .then_expect_error(unfit(0, Problem::UnknownCountry));
    }
}

#[test]
fn an_unknown_region_is_refused() {
    given([housed()])
        .when(change([set(0, AddressText::RegionCode, "AP")]))
        .then_expect_error(unfit(0, Problem::UnknownRegion));
}

#[test]
fn places_count_the_list_as_earlier_steps_left_it() {
    given([housed()])
        .when(change([remove(0), set(0, AddressText::City, "London"), insert(0, address(4)), remove(2)]))
        .then_expect_events(vec![
            removed(1),
            removed(3),
            added(address(4), 0),
            amended(2, |a| a.city = some("London")),
        ]);
}

#[test]
fn a_place_that_a_step_before_has_emptied_is_misplaced() {
    given([housed()]).when(change([remove(0), remove(2)])).then_expect_error(misplaced(1, none_there(2)));
    given([housed()]).when(change([AddressEdit::Clear, kind(0, 1)])).then_expect_error(misplaced(1, none_there(0)));
}

#[test]
fn an_address_that_is_added_and_removed_again_leaves_no_trace() {
    given([housed()])
        .when(change([insert(1, address(4)), set(1, AddressText::City, "London"), remove(1)]))
        .then_expect_events(vec![]);
}

#[test]
fn an_added_address_is_recorded_as_the_last_step_leaves_it() {
    given([housed()])
        .when(change([insert(None, address(4)), set(3, AddressText::City, "London"), kind(3, 2)]))
        .then_expect_events(vec![added(
            address_with(4, |a| {
                a.city = some("London");
                a.address_type = 2;
            }),
            3,
        )]);
}

#[test]
fn an_address_that_is_amended_and_removed_is_only_removed() {
    given([housed()])
        .when(change([set(1, AddressText::City, "London"), remove(1)]))
        .then_expect_events(vec![removed(2)]);
}

#[test]
fn several_additions_are_recorded_in_list_order() {
    given([housed()])
        .when(change([insert(0, address(4)), insert(0, address(5)), insert(None, address(6)), insert(3, address(7))]))
        .then_expect_events(vec![
            added(address(5), 0),
            added(address(4), 1),
            added(address(7), 3),
            added(address(6), 6),
        ]);
}

mod states {
    use super::*;
    use AddressText::{City, CountryCode, StateProvinceCode};

    /// Address 1 in California, address 2 in Bavaria, address 3 nowhere.
    fn settled() -> AdminEvent {
        registered_with(|r| {
            r.addresses = vec![
                address_with(1, |a| {
                    a.country_code = country("US");
                    a.state_province_code = some("CA");
                }),
                address_with(2, |a| {
                    a.country_code = country("DE");
                    a.state_province_code = some("BY");
                }),
                address(3),
            ];
        })
    }

    #[test]
    fn an_unknown_state_of_the_united_states_is_refused() {
        given([settled()])
            .when(change([set(0, StateProvinceCode, "XX")]))
            .then_expect_error(unfit(0, Problem::UnknownState));
    }

    #[test]
    fn a_state_of_the_united_states_is_set() {
        given([settled()]).when(change([set(0, StateProvinceCode, "NY")])).then_expect_events(vec![amended(1, |a| {
            a.country_code = country("US");
            a.state_province_code = some("NY");
        })]);
    }

    #[test]
    fn a_country_to_which_the_state_does_not_belong_is_refused() {
        given([settled()]).when(change([set(1, CountryCode, "US")])).then_expect_error(unfit(0, Problem::UnknownState));
    }

    #[test]
    fn country_and_state_are_set_in_either_order() {
        for edits in [
            [set(1, CountryCode, "US"), set(1, StateProvinceCode, "NY")],
            [set(1, StateProvinceCode, "NY"), set(1, CountryCode, "US")],
        ] {
            given([settled()]).when(change(edits)).then_expect_events(vec![amended(2, |a| {
                a.country_code = country("US");
                a.state_province_code = some("NY");
            })]);
        }
    }

    #[test]
    fn a_state_that_a_later_step_makes_right_is_accepted() {
        given([settled()])
            .when(change([set(0, StateProvinceCode, "XX"), clear(0, CountryCode)]))
            .then_expect_events(vec![amended(1, |a| a.state_province_code = some("XX"))]);
    }

    #[test]
    fn a_wrong_address_that_a_later_step_removes_is_accepted() {
        given([settled()])
            .when(change([set(0, StateProvinceCode, "XX"), remove(0)]))
            .then_expect_events(vec![removed(1)]);
    }

    #[test]
    fn the_step_that_last_set_a_text_of_the_address_answers_for_it() {
        given([settled()])
            .when(change([
                set(2, StateProvinceCode, "XX"),
                set(2, CountryCode, "US"),
                set(1, City, "Munich"),
                kind(0, 2),
            ]))
            .then_expect_error(unfit(1, Problem::UnknownState));
    }

    #[test]
    fn the_answering_step_is_found_though_the_address_has_moved() {
        given([settled()])
            .when(change([
                set(2, CountryCode, "US"),
                set(2, StateProvinceCode, "XX"),
                remove(0),
                insert(0, address(4)),
                remove(1),
            ]))
            .then_expect_error(unfit(1, Problem::UnknownState));
    }

    #[test]
    fn a_brought_address_must_be_right_in_itself() {
        let wrong = || {
            address_with(4, |a| {
                a.country_code = country("US");
                a.state_province_code = some("XX");
            })
        };
        for edit in [insert(None, wrong()), replace(0, wrong())] {
            given([settled()])
                .when(change([edit, set(0, City, "Munich")]))
                .then_expect_error(unfit(0, Problem::UnknownState));
        }
    }

    #[test]
    fn an_address_that_was_recorded_under_older_rules_hinders_no_other_change() {
        let outdated = || {
            registered_with(|r| {
                r.addresses = vec![
                    address_with(1, |a| {
                        a.country_code = country("US");
                        a.state_province_code = some("XX");
                    }),
                    address(2),
                ];
            })
        };
        given([outdated()])
            .when(change([set(1, City, "Munich")]))
            .then_expect_events(vec![amended(2, |a| a.city = some("Munich"))]);
        given([outdated()]).when(change([remove(1)])).then_expect_events(vec![removed(2)]);
        given([outdated()]).when(change([set(0, City, "Munich")])).then_expect_error(unfit(0, Problem::UnknownState));
    }
}
