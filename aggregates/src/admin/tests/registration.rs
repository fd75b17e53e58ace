use super::*;
use crate::{Claim, ClaimKey, facts::EventFacts, values::Finding};

fn refuses(edit: impl FnOnce(&mut Registration), field: &str, problem: Problem) {
    given([])
        .when(register(registration_with(edit)))
        .then_expect_error(AdminError::Invalid(vec![Finding { field: field.into(), problem }]));
}

fn accepts(edit: impl FnOnce(&mut Registration)) {
    let registration = registration_with(edit);
    given([])
        .when(register(registration.clone()))
        .then_expect_events(vec![AdminEvent::Registered(Box::new(registration))]);
}

#[test]
fn a_registration_with_only_required_fields_is_recorded() {
    accepts(|_| {});
}

#[test]
fn a_registration_records_everything_that_it_brings() {
    accepts(|r| {
        r.policies = texts(&["p1", "p2"]);
        r.custom_permissions = texts(&["c1"]);
        r.person.salutation = Some(1);
        r.person.suffix = some("Jr.");
        r.person.email_address = some("string");
        r.legacy_identifier = some("L-1");
        r.addresses = vec![address(1), address_with(2, |a| a.city = some("London"))];
        r.phone_numbers = vec![phone_number(1), phone_number_with(2, |n| n.extension = some("7"))];
        r.account = Some(account());
    });
}

#[test]
fn a_registered_admin_is_in_force_at_once() {
    assert_eq!(admin([registered()]), Admin::Active(Box::new(registration().into())));
}

#[test]
fn an_admin_without_a_registration_is_absent_and_has_no_profile() {
    assert_eq!(Admin::default(), Admin::Absent);
    assert_eq!(Admin::Absent.profile(), None);
    assert_eq!(admin([registered()]).profile(), Some(&registration().into()));
    assert_eq!(admin([registered(), AdminEvent::Deactivated {}]).profile(), Some(&registration().into()));
}

#[test]
fn an_admin_is_registered_once() {
    given([registered()]).when(register(registration())).then_expect_error(AdminError::AlreadyRegistered);
}

#[test]
fn an_inactive_admin_is_registered_all_the_same() {
    given([registered(), AdminEvent::Deactivated {}])
        .when(register(registration()))
        .then_expect_error(AdminError::AlreadyRegistered);
}

#[test]
fn a_second_registration_is_refused_as_such_even_if_its_fields_are_wrong() {
    given([registered()])
        .when(register(registration_with(|r| r.person.first_name = String::new())))
        .then_expect_error(AdminError::AlreadyRegistered);
}

#[test]
fn a_repeated_policy_or_permission_is_recorded_once_at_its_first_place() {
    let brought = registration_with(|r| {
        r.policies = texts(&["p2", "p1", "p2", "p1"]);
        r.custom_permissions = texts(&["c1", "c1"]);
    });
    given([]).when(register(brought)).then_expect_events(vec![registered_with(|r| {
        r.policies = texts(&["p2", "p1"]);
        r.custom_permissions = texts(&["c1"]);
    })]);
}

#[test]
fn a_policy_and_a_permission_of_one_name_are_different_grants() {
    accepts(|r| {
        r.policies = texts(&["same"]);
        r.custom_permissions = texts(&["same"]);
    });
}

#[test]
fn empty_texts_of_person_party_and_phone_numbers_are_recorded_as_absent() {
    let brought = registration_with(|r| {
        r.person.suffix = some("");
        r.person.email_address = some("");
        r.legacy_identifier = some("");
        r.phone_numbers = vec![phone_number_with(1, |n| {
            n.phone_number = some("");
            n.extension = some("");
        })];
    });
    given([])
        .when(register(brought))
        .then_expect_events(vec![registered_with(|r| r.phone_numbers = vec![phone_number(1)])]);
}

#[test]
fn an_empty_text_of_an_address_is_kept() {
    accepts(|r| r.addresses = vec![address_with(1, |a| a.city = some(""))]);
}

#[test]
fn a_blank_first_name_is_refused() {
    refuses(|r| r.person.first_name = " \t".into(), "person.firstName", Problem::Blank);
}

#[test]
fn a_blank_last_name_is_refused() {
    refuses(|r| r.person.last_name = String::new(), "person.lastName", Problem::Blank);
}

#[test]
fn a_first_name_that_no_store_keeps_is_refused() {
    refuses(|r| r.person.first_name = "A\0".into(), "person.firstName", Problem::Nul);
}

#[test]
fn a_last_name_that_no_store_keeps_is_refused() {
    refuses(|r| r.person.last_name = "\0".into(), "person.lastName", Problem::Nul);
}

#[test]
fn a_suffix_that_no_store_keeps_is_refused() {
    refuses(|r| r.person.suffix = some("\0"), "person.suffix", Problem::Nul);
}

#[test]
fn a_contact_address_that_no_store_keeps_is_refused() {
    refuses(|r| r.person.email_address = some("\0"), "person.contactEmailAddress", Problem::Nul);
}

#[test]
fn a_contact_address_need_not_be_an_address() {
    accepts(|r| r.person.email_address = some("string"));
}

#[test]
fn a_salutation_of_zero_is_refused() {
    refuses(|r| r.person.salutation = Some(0), "person.salutation", Problem::NotACode);
}

#[test]
fn a_legacy_identifier_that_no_store_keeps_is_refused() {
    refuses(|r| r.legacy_identifier = some("\0"), "legacyIdentifier", Problem::Nul);
}

#[test]
fn a_policy_that_no_store_keeps_is_refused_by_its_place() {
    refuses(|r| r.policies = texts(&["p1", "\0"]), "policies[1]", Problem::Nul);
}

#[test]
fn a_permission_that_no_store_keeps_is_refused_by_its_place() {
    refuses(|r| r.custom_permissions = texts(&["c1", "c2", "\0"]), "customPermissions[2]", Problem::Nul);
}

#[test]
fn the_place_of_a_refused_policy_counts_repeated_ones() {
    refuses(|r| r.policies = texts(&["p1", "p1", "\0"]), "policies[2]", Problem::Nul);
}

#[test]
fn a_text_of_an_address_that_no_store_keeps_is_refused_by_its_name() {
    type Set = fn(&mut AddressDetails);
    let members: [(&str, Set); 5] = [
        ("addressLine1", |a| a.address_line1 = some("\0")),
        ("addressLine2", |a| a.address_line2 = some("\0")),
        ("city", |a| a.city = some("\0")),
        ("postalCode", |a| a.postal_code = some("\0")),
        ("stateProvinceCode", |a| a.state_province_code = some("\0")),
    ];
    for (member, set) in members {
        refuses(
            |r| r.addresses = vec![address(1), address_with(2, set)],
            &format!("addresses[1].{member}"),
            Problem::Nul,
        );
    }
}

#[test]
fn an_address_type_of_zero_is_refused() {
    refuses(
        |r| r.addresses = vec![address_with(1, |a| a.address_type = 0)],
        "addresses[0].addressType",
        Problem::NotACode,
    );
}

fn in_state(country_code: Option<CountryCode>, state: &str) -> Address {
    address_with(1, |a| {
        a.country_code = country_code;
        a.state_province_code = some(state);
    })
}

#[test]
fn an_unknown_state_of_the_united_states_is_refused() {
    refuses(
        |r| r.addresses = vec![in_state(country("US"), "XX")],
        "addresses[0].stateProvinceCode",
        Problem::UnknownState,
    );
}

#[test]
fn a_state_of_the_united_states_is_accepted() {
    accepts(|r| r.addresses = vec![in_state(country("US"), "CA")]);
}

#[test]
fn an_empty_state_of_the_united_states_is_accepted() {
    accepts(|r| r.addresses = vec![in_state(country("US"), "")]);
}

#[test]
fn states_of_other_countries_are_not_checked() {
    accepts(|r| r.addresses = vec![in_state(country("DE"), "XX")]);
}

#[test]
fn a_state_without_a_country_is_not_checked() {
    accepts(|r| r.addresses = vec![in_state(None, "XX")]);
}

#[test]
fn a_telephone_number_that_no_store_keeps_is_refused() {
    refuses(
        |r| r.phone_numbers = vec![phone_number(1), phone_number_with(2, |n| n.phone_number = some("\0"))],
        "phoneNumbers[1].phoneNumber",
        Problem::Nul,
    );
}

#[test]
fn an_extension_that_no_store_keeps_is_refused() {
    refuses(
        |r| r.phone_numbers = vec![phone_number_with(1, |n| n.extension = some("\0"))],
        "phoneNumbers[0].extension",
        Problem::Nul,
    );
}

#[test]
fn a_phone_type_of_zero_is_refused() {
    refuses(
        |r| r.phone_numbers = vec![phone_number_with(1, |n| n.phone_type = 0)],
        "phoneNumbers[0].phoneType",
        Problem::NotACode,
    );
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let wrong = registration_with(|r| {
        r.person = Person {
            salutation: Some(0),
            first_name: " ".into(),
            last_name: "\0".into(),
            suffix: some("\0"),
            email_address: some("\0"),
        };
        r.legacy_identifier = some("\0");
        r.policies = texts(&["\0", "\0"]);
        r.custom_permissions = texts(&["\0"]);
        r.addresses = vec![
            address(1),
            address_with(2, |a| {
                a.address_type = 0;
                a.city = some("\0");
                a.country_code = country("US");
                a.state_province_code = some("XX");
            }),
        ];
        r.phone_numbers = vec![phone_number_with(1, |n| {
            n.phone_type = 0;
            n.phone_number = some("\0");
            n.extension = some("\0");
        })];
    });
    let findings = [
        ("person.firstName", Problem::Blank),
        ("person.lastName", Problem::Nul),
        ("person.suffix", Problem::Nul),
        ("person.contactEmailAddress", Problem::Nul),
        ("person.salutation", Problem::NotACode),
        ("legacyIdentifier", Problem::Nul),
        ("policies[0]", Problem::Nul),
        ("policies[1]", Problem::Nul),
        ("customPermissions[0]", Problem::Nul),
        ("addresses[1].city", Problem::Nul),
        ("addresses[1].addressType", Problem::NotACode),
        ("addresses[1].stateProvinceCode", Problem::UnknownState),
        ("phoneNumbers[0].phoneNumber", Problem::Nul),
        ("phoneNumbers[0].extension", Problem::Nul),
        ("phoneNumbers[0].phoneType", Problem::NotACode),
    ];
    given([]).when(register(wrong)).then_expect_error(AdminError::Invalid(
        findings.map(|(field, problem)| Finding { field: field.into(), problem }).into(),
    ));
}

#[test]
fn a_registration_with_an_account_claims_its_address_however_it_is_spelled() {
    let claims = registered_with(|r| r.account = Some(account())).claims();
    let key = ClaimKey { scope: "account-email", value: "ada@example.org".into(), field: "account.email" };
    assert_eq!(claims, [Claim::Take(key)]);
}

#[test]
fn a_registration_without_an_account_claims_nothing() {
    let registered = registered_with(|r| r.person.email_address = some("ada@example.org"));
    assert_eq!(registered.claims(), []);
}

#[test]
fn an_account_shows_neither_address_nor_password_hash_when_printed() {
    let printed = format!("{:?}", registered_with(|r| r.account = Some(account())));
    assert!(printed.contains("Account"), "{printed}");
    assert!(!printed.contains("argon2id") && !printed.contains("Example.org"), "{printed}");
}
