//! Random values: a small range, so that steps collide, with an occasional refused one.

use super::*;
use crate::values::RegionCode;
use proptest::sample::select;

fn word() -> impl Strategy<Value = String> {
    prop_oneof![30 => select(&["x", "y", "ÅÄÖ", " "][..]), 3 => Just(""), 1 => Just("\0")].prop_map(str::to_owned)
}

pub(super) fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::weighted(0.7, word())
}

/// A text in the form after validation.
fn kept_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(select(&["x", "y", "ÅÄÖ"][..]).prop_map(str::to_owned))
}

fn code() -> impl Strategy<Value = u32> {
    prop_oneof![20 => 1..4_u32, 1 => Just(0)]
}

pub(super) fn grants(most: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(select(&["a", "b", "c", "d"][..]).prop_map(str::to_owned), 0..=most)
}

fn distinct_grants() -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4)
        .prop_shuffle()
        .prop_map(|entries| entries.into_iter().map(str::to_owned).collect())
}

fn name() -> impl Strategy<Value = String> {
    select(&["Ada", "Grace"][..]).prop_map(str::to_owned)
}

fn person() -> impl Strategy<Value = Person> {
    (proptest::option::of(1..4_u32), name(), name(), kept_text(), kept_text()).prop_map(
        |(salutation, first_name, last_name, suffix, email_address)| Person {
            salutation,
            first_name,
            last_name,
            suffix,
            email_address,
        },
    )
}

fn country_and_state() -> impl Strategy<Value = (Option<CountryCode>, Option<String>)> {
    select(
        &[(None, None), (None, Some("XX")), (Some("DE"), Some("XX")), (Some("US"), None), (Some("US"), Some("CA"))][..],
    )
    .prop_map(|(code, state)| (code.and_then(country), state.map(str::to_owned)))
}

fn region() -> impl Strategy<Value = Option<RegionCode>> {
    select(vec![None, Some(RegionCode::Us), Some(RegionCode::Eu)])
}

fn address_details() -> impl Strategy<Value = AddressDetails> {
    (1..4_u32, kept_text(), kept_text(), kept_text(), kept_text(), country_and_state(), region()).prop_map(
        |(
            address_type,
            address_line1,
            address_line2,
            city,
            postal_code,
            (country_code, state_province_code),
            region_code,
        )| {
            AddressDetails {
                address_type,
                address_line1,
                address_line2,
                city,
                postal_code,
                state_province_code,
                country_code,
                region_code,
            }
        },
    )
}

fn phone_number_details() -> impl Strategy<Value = PhoneNumberDetails> {
    (1..4_u32, kept_text(), kept_text()).prop_map(|(phone_type, phone_number, extension)| PhoneNumberDetails {
        phone_type,
        phone_number,
        extension,
    })
}

pub(super) fn profile() -> impl Strategy<Value = Profile> {
    let addresses = proptest::collection::vec(address_details(), 0..5);
    let phone_numbers = proptest::collection::vec(phone_number_details(), 0..5);
    (distinct_grants(), distinct_grants(), person(), kept_text(), addresses, phone_numbers).prop_map(
        |(policies, custom_permissions, person, legacy_identifier, addresses, phone_numbers)| Profile {
            policies,
            custom_permissions,
            person,
            legacy_identifier,
            addresses: (1..)
                .zip(addresses)
                .map(|(number, details)| Address { id: address(number).id, details })
                .collect(),
            phone_numbers: (1..)
                .zip(phone_numbers)
                .map(|(number, details)| PhoneNumber { id: phone_number(number).id, details })
                .collect(),
            ..Profile::from(registration())
        },
    )
}

fn place() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..2_usize, 1 => 2..5_usize]
}

fn place_or_end() -> impl Strategy<Value = Option<usize>> {
    proptest::option::of(place())
}

fn list_edit() -> impl Strategy<Value = ListEdit> {
    prop_oneof![
        grants(5).prop_map(ListEdit::Set),
        proptest::collection::vec(word(), 0..3).prop_map(ListEdit::Set),
        (place_or_end(), word()).prop_map(|(at, entry)| ListEdit::Insert { at, entry }),
        (place(), word()).prop_map(|(at, entry)| ListEdit::Replace { at, entry }),
        place().prop_map(|at| ListEdit::Remove { at }),
    ]
}

fn person_text() -> impl Strategy<Value = AdminChange> {
    let names = (select(&[PersonText::FirstName, PersonText::LastName][..]), name().prop_map(Some));
    let texts = (select(&[PersonText::Suffix, PersonText::EmailAddress][..]), text());
    let any = (select(&[PersonText::FirstName, PersonText::LastName][..]), text());
    prop_oneof![4 => names, 4 => texts, 1 => any].prop_map(|(text, value)| AdminChange::PersonText(text, value))
}

fn address_text() -> impl Strategy<Value = (AddressText, Option<String>)> {
    use AddressText::{AddressLine1, AddressLine2, City, CountryCode, PostalCode, RegionCode, StateProvinceCode};
    let one_of = |values: &'static [&'static str]| proptest::option::of(select(values).prop_map(str::to_owned));
    prop_oneof![
        (select(&[AddressLine1, AddressLine2, City, PostalCode][..]), text()),
        (Just(StateProvinceCode), one_of(&["CA", "NY", "XX", ""])),
        (Just(CountryCode), one_of(&["US", "US", "DE", "DE", "DE", "ZZ"])),
        (Just(RegionCode), one_of(&["US", "EU", "EU", "EU", "eu"])),
    ]
}

/// An address without final identifiers; they follow in [`changes`].
fn brought_address() -> impl Strategy<Value = Box<Address>> {
    let wrong = (address_details(), code(), word()).prop_map(|(details, address_type, city)| AddressDetails {
        address_type,
        city: Some(city),
        ..details
    });
    prop_oneof![3 => address_details().boxed(), 1 => wrong.boxed()]
        .prop_map(|details| Box::new(Address { id: address(0).id, details }))
}

fn address_edit() -> impl Strategy<Value = AddressEdit> {
    prop_oneof![
        2 => (place_or_end(), brought_address()).prop_map(|(at, address)| AddressEdit::Insert { at, address }),
        1 => (place(), brought_address()).prop_map(|(at, address)| AddressEdit::Replace { at, address }),
        1 => place().prop_map(|at| AddressEdit::Remove { at }),
        1 => Just(AddressEdit::Clear),
        4 => (place(), address_text()).prop_map(|(at, (text, value))| AddressEdit::Text { at, text, value }),
        1 => (place(), code()).prop_map(|(at, address_type)| AddressEdit::Kind { at, address_type }),
    ]
}

fn brought_phone_number() -> impl Strategy<Value = PhoneNumber> {
    (code(), text(), text()).prop_map(|(phone_type, number, extension)| PhoneNumber {
        id: phone_number(0).id,
        details: PhoneNumberDetails { phone_type, phone_number: number, extension },
    })
}

fn phone_number_edit() -> impl Strategy<Value = PhoneNumberEdit> {
    let text_kind = select(&[PhoneNumberText::PhoneNumber, PhoneNumberText::Extension][..]);
    prop_oneof![
        2 => (place_or_end(), brought_phone_number()).prop_map(|(at, phone_number)| PhoneNumberEdit::Insert { at, phone_number }),
        1 => (place(), brought_phone_number()).prop_map(|(at, phone_number)| PhoneNumberEdit::Replace { at, phone_number }),
        1 => place().prop_map(|at| PhoneNumberEdit::Remove { at }),
        1 => Just(PhoneNumberEdit::Clear),
        2 => (place(), text_kind, text()).prop_map(|(at, text, value)| PhoneNumberEdit::Text { at, text, value }),
        1 => (place(), code()).prop_map(|(at, phone_type)| PhoneNumberEdit::Kind { at, phone_type }),
    ]
}

/// Some steps; their new records have unique identifiers.
pub(super) fn changes() -> impl Strategy<Value = Vec<AdminChange>> {
    let change = prop_oneof![
        2 => list_edit().prop_map(AdminChange::Policies),
        1 => list_edit().prop_map(AdminChange::CustomPermissions),
        1 => proptest::option::of(code()).prop_map(AdminChange::Salutation),
        2 => person_text(),
        1 => text().prop_map(AdminChange::LegacyIdentifier),
        4 => address_edit().prop_map(AdminChange::Addresses),
        3 => phone_number_edit().prop_map(AdminChange::PhoneNumbers),
    ];
    proptest::collection::vec(change, 0..7).prop_map(|mut changes| {
        for (number, change) in (50..).zip(&mut changes) {
            match change {
                AdminChange::Addresses(
                    AddressEdit::Insert { address: brought, .. } | AddressEdit::Replace { address: brought, .. },
                ) => {
                    brought.id = address(number).id;
                }
                AdminChange::PhoneNumbers(
                    PhoneNumberEdit::Insert { phone_number: brought, .. }
                    | PhoneNumberEdit::Replace { phone_number: brought, .. },
                ) => brought.id = phone_number(number).id,
                _ => {}
            }
        }
        changes
    })
}
