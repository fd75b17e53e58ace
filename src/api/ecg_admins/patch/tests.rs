use super::*;
use crate::api::common::ApiError;
use crate::api::common::json::read;
use serde_json::json;

fn changes(steps: Value) -> Result<Vec<AdminChange>, Vec<String>> {
    match read::<PatchEcgAdmin>(steps.to_string().as_bytes()) {
        Ok(PatchEcgAdmin(changes)) => Ok(changes),
        Err(ApiError::Invalid(findings)) => Err(findings),
        Err(other) => panic!("{other:?}"),
    }
}

fn change(step: Value) -> AdminChange {
    changes(json!([step.clone()])).unwrap_or_else(|findings| panic!("{step}: {findings:?}")).remove(0)
}

fn finding(step: Value) -> String {
    let findings = changes(json!([step.clone()])).expect_err(&step.to_string());
    assert_eq!(findings.len(), 1, "{step}: {findings:?}");
    findings[0].clone()
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn lists_of_text_are_set_and_emptied() {
    for op in ["add", "replace"] {
        let set = change(json!({"op": op, "path": "/policies", "value": ["a", "b"]}));
        assert_eq!(set, AdminChange::Policies(ListEdit::Set(vec![text("a"), text("b")])));
    }
    let emptied = change(json!({"op": "remove", "path": "/customPermissions"}));
    assert_eq!(emptied, AdminChange::CustomPermissions(ListEdit::Set(vec![])));
}

#[test]
fn entries_of_lists_are_inserted_replaced_and_removed() {
    let insert = |at| AdminChange::Policies(ListEdit::Insert { at, entry: text("a") });
    assert_eq!(change(json!({"op": "add", "path": "/policies/-", "value": "a"})), insert(None));
    assert_eq!(change(json!({"op": "add", "path": "/policies/0", "value": "a"})), insert(Some(0)));
    let replaced = change(json!({"op": "replace", "path": "/customPermissions/12", "value": "a"}));
    assert_eq!(replaced, AdminChange::CustomPermissions(ListEdit::Replace { at: 12, entry: text("a") }));
    let removed = change(json!({"op": "remove", "path": "/policies/3"}));
    assert_eq!(removed, AdminChange::Policies(ListEdit::Remove { at: 3 }));
}

#[test]
fn names_are_set_and_never_removed() {
    for op in ["add", "replace"] {
        let set = change(json!({"op": op, "path": "/person/firstName", "value": "Ada"}));
        assert_eq!(set, AdminChange::PersonText(PersonText::FirstName, Some(text("Ada"))));
    }
    for path in ["/person/firstName", "/person/lastName"] {
        assert_eq!(finding(json!({"op": "remove", "path": path})), "operations[0].path: cannot be removed");
        let set = |value| json!({"op": "replace", "path": path, "value": value});
        assert_eq!(finding(set(json!(" "))), "operations[0].value: should not be empty");
        assert_eq!(finding(set(json!(null))), "operations[0].value: must be a string");
        assert_eq!(finding(set(json!(1))), "operations[0].value: must be a string");
    }
}

#[test]
fn a_salutation_is_a_code_and_can_be_taken_away() {
    let set = |value| change(json!({"op": "replace", "path": "/person/salutation", "value": value}));
    assert_eq!(set(json!(2)), AdminChange::Salutation(Some(2)));
    assert_eq!(set(json!(2.0)), AdminChange::Salutation(Some(2)));
    assert_eq!(set(json!(null)), AdminChange::Salutation(None));
    assert_eq!(change(json!({"op": "remove", "path": "/person/salutation"})), AdminChange::Salutation(None));
    for (value, problem) in [
        (json!("1"), "must be a number"),
        (json!(true), "must be a number"),
        (json!(1.5), "must be an integer number"),
        (json!(0), "must not be less than 1"),
        (json!(-1), "must not be less than 1"),
        (json!(1e10), "must not be greater than 4294967295"),
    ] {
        let found = finding(json!({"op": "add", "path": "/person/salutation", "value": value}));
        assert_eq!(found, format!("operations[0].value: {problem}"));
    }
}

#[test]
fn optional_texts_are_set_and_taken_away() {
    let email = |value: Option<&str>| AdminChange::PersonText(PersonText::EmailAddress, value.map(text));
    let legacy = |value: Option<&str>| AdminChange::LegacyIdentifier(value.map(text));
    let suffix = |value: Option<&str>| AdminChange::PersonText(PersonText::Suffix, value.map(text));
    type Expected<'a> = &'a dyn Fn(Option<&str>) -> AdminChange;
    let table: [(&str, Expected<'_>); 4] = [
        ("/person/emailAddress", &email),
        ("/person/contactEmailAddress", &email),
        ("/person/party/legacyIdentifier", &legacy),
        ("/person/suffix", &suffix),
    ];
    for (path, expected) in table {
        assert_eq!(change(json!({"op": "add", "path": path, "value": "x"})), expected(Some("x")));
        assert_eq!(change(json!({"op": "replace", "path": path, "value": null})), expected(None));
        assert_eq!(change(json!({"op": "remove", "path": path, "value": [{}]})), expected(None));
        assert_eq!(finding(json!({"op": "add", "path": path, "value": true})), "operations[0].value: must be a string");
        assert_eq!(finding(json!({"op": "add", "path": path})), "operations[0].value: must be given");
    }
}

#[test]
fn addresses_come_whole_with_identities_of_their_own() {
    let value = json!({"addressType": 1, "countryCode": "US", "stateProvinceCode": "AL"});
    let added = change(json!({"op": "add", "path": "/person/party/addresses/-", "value": value}));
    let AdminChange::Addresses(AddressEdit::Insert { at: None, address: first }) = added else { panic!("{added:?}") };
    let replaced = change(json!({"op": "replace", "path": "/person/party/addresses/0", "value": value}));
    let AdminChange::Addresses(AddressEdit::Replace { at: 0, address: second }) = replaced else {
        panic!("{replaced:?}")
    };
    assert_eq!(first.details, second.details);
    assert_ne!(first.id, second.id);
}

#[test]
fn objects_are_checked_like_those_of_a_registration() {
    let add = |value| json!({"op": "add", "path": "/person/party/addresses/0", "value": value});
    let table = [
        (json!({}), "operations[0].value.addressType: should not be null or undefined"),
        (json!({"addressType": 1, "id": "x"}), "property operations[0].value.id should not exist"),
        (json!({"addressType": "1"}), "operations[0].value.addressType: must be a number"),
        (json!({"addressType": 1, "city": null}), "operations[0].value.city: must be a string"),
        (
            json!({"addressType": 1, "countryCode": "XX"}),
            "operations[0].value.countryCode: must be an ISO 3166-1 alpha-2 country code",
        ),
        (
            json!({"addressType": 1, "regionCode": "us"}),
            "operations[0].value.regionCode: must be one of the following values: US, EU",
        ),
        (
            json!({"addressType": 1, "countryCode": "US", "stateProvinceCode": "ZZ"}),
            "operations[0].value.stateProvinceCode: must be a state or territory code of the United States",
        ),
        (json!("x"), "operations[0].value: must be an object"),
        (json!([]), "operations[0].value: must be an object"),
    ];
    for (value, expected) in table {
        assert_eq!(finding(add(value)), expected);
    }
}

#[test]
fn texts_of_addresses_are_set_and_taken_away() {
    let members = [
        ("addressLine1", AddressText::AddressLine1, "x"),
        ("addressLine2", AddressText::AddressLine2, "x"),
        ("city", AddressText::City, "x"),
        ("postalCode", AddressText::PostalCode, "x"),
        ("stateProvinceCode", AddressText::StateProvinceCode, "x"),
        ("countryCode", AddressText::CountryCode, "DE"),
        ("regionCode", AddressText::RegionCode, "EU"),
    ];
    for (member, which, value) in members {
        let path = format!("/person/party/addresses/1/{member}");
        let edit = |value: Option<&str>| {
            AdminChange::Addresses(AddressEdit::Text { at: 1, text: which, value: value.map(text) })
        };
        assert_eq!(change(json!({"op": "replace", "path": path, "value": value})), edit(Some(value)));
        assert_eq!(change(json!({"op": "add", "path": path, "value": null})), edit(None));
        assert_eq!(change(json!({"op": "remove", "path": path})), edit(None));
        assert_eq!(finding(json!({"op": "add", "path": path, "value": 1})), "operations[0].value: must be a string");
    }
    let country = json!({"op": "add", "path": "/person/party/addresses/0/countryCode", "value": "Germany"});
    assert_eq!(finding(country), "operations[0].value: must be an ISO 3166-1 alpha-2 country code");
}

#[test]
fn kinds_are_set_and_never_removed() {
    let kind = change(json!({"op": "replace", "path": "/person/party/addresses/0/addressType", "value": 3}));
    assert_eq!(kind, AdminChange::Addresses(AddressEdit::Kind { at: 0, address_type: 3 }));
    let kind = change(json!({"op": "add", "path": "/person/party/phoneNumbers/0/phoneType", "value": 3}));
    assert_eq!(kind, AdminChange::PhoneNumbers(PhoneNumberEdit::Kind { at: 0, phone_type: 3 }));
    for path in ["/person/party/addresses/0/addressType", "/person/party/phoneNumbers/0/phoneType"] {
        assert_eq!(finding(json!({"op": "remove", "path": path})), "operations[0].path: cannot be removed");
        assert_eq!(finding(json!({"op": "add", "path": path, "value": null})), "operations[0].value: must be a number");
    }
}

#[test]
fn telephone_numbers_are_added_amended_and_removed() {
    let added = change(
        json!({"op": "add", "path": "/person/party/phoneNumbers/-", "value": {"phoneType": 1, "extension": "7"}}),
    );
    assert!(matches!(added, AdminChange::PhoneNumbers(PhoneNumberEdit::Insert { at: None, .. })));
    let edit = |text, value: Option<&str>| {
        AdminChange::PhoneNumbers(PhoneNumberEdit::Text { at: 0, text, value: value.map(str::to_owned) })
    };
    let number = change(json!({"op": "replace", "path": "/person/party/phoneNumbers/0/phoneNumber", "value": "1"}));
    assert_eq!(number, edit(PhoneNumberText::PhoneNumber, Some("1")));
    let extension = change(json!({"op": "remove", "path": "/person/party/phoneNumbers/0/extension"}));
    assert_eq!(extension, edit(PhoneNumberText::Extension, None));
    let removed = change(json!({"op": "remove", "path": "/person/party/phoneNumbers/0"}));
    assert_eq!(removed, AdminChange::PhoneNumbers(PhoneNumberEdit::Remove { at: 0 }));
    let missing = json!({"op": "add", "path": "/person/party/phoneNumbers/-", "value": {"phoneNumber": "1"}});
    assert_eq!(finding(missing), "operations[0].value.phoneType: should not be null or undefined");
}

#[test]
fn lists_of_objects_can_only_be_emptied() {
    let emptied = change(json!({"op": "remove", "path": "/person/party/addresses"}));
    assert_eq!(emptied, AdminChange::Addresses(AddressEdit::Clear));
    let emptied = change(json!({"op": "remove", "path": "/person/party/phoneNumbers"}));
    assert_eq!(emptied, AdminChange::PhoneNumbers(PhoneNumberEdit::Clear));
    for op in ["add", "replace"] {
        for path in ["/person/party/addresses", "/person/party/phoneNumbers"] {
            let found = finding(json!({"op": op, "path": path, "value": []}));
            assert_eq!(found, "operations[0].path: can only be changed entry by entry");
        }
    }
}

#[test]
fn read_only_paths_are_refused_for_every_operation() {
    let paths = [
        "",
        "/id",
        "/activeInfo",
        "/activeInfo/active",
        "/activeInfo/activeStatusChangedAt",
        "/person",
        "/person/id",
        "/person/party",
        "/person/party/id",
        "/person/party/activeInfo/active",
        "/person/party/archiveInfo",
        "/person/party/archiveInfo/archived",
        "/person/party/auditInfo/createdBy",
        "/person/party/addresses/0/id",
        "/person/party/addresses/0/countryName",
        "/person/party/addresses/0/stateProvinceName",
        "/person/party/addresses/0/regionName",
        "/person/party/addresses/0/auditInfo",
        "/person/party/addresses/0/auditInfo/updatedAt",
        "/person/party/phoneNumbers/0/id",
    ];
    for path in paths {
        for op in ["add", "replace", "remove"] {
            let found = finding(json!({"op": op, "path": path, "value": "x"}));
            assert_eq!(found, "operations[0].path: is read only", "{op} {path}");
        }
    }
}

#[test]
fn unknown_paths_are_refused_for_every_operation() {
    let paths = [
        "/",
        "/path",
        "/isProvider",
        "/account",
        "/account/email",
        "/person/",
        "/person/firstName/x",
        "/person/middleName",
        "/person/party/x",
        "/person/party/legacyIdentifier/0",
        "/person/party/addresses/0/street",
        "/person/party/addresses/0/city/0",
        "/person/party/phoneNumbers/0/id/0",
        "/policies/0/x",
        "/POLICIES",
        "/person/first~1Name",
    ];
    for path in paths {
        for op in ["add", "replace", "remove"] {
            let found = finding(json!({"op": op, "path": path, "value": "x"}));
            assert_eq!(found, "operations[0].path: names nothing that an ECG Admin has", "{op} {path}");
        }
    }
}

#[test]
fn malformed_json_pointers_are_refused() {
    for path in ["policies", "policies/0", "/person~2", "/person~", "/~"] {
        let found = finding(json!({"op": "remove", "path": path}));
        assert_eq!(found, "operations[0].path: must be a JSON Pointer", "{path}");
    }
}

#[test]
fn positions_are_plain_digits() {
    for position in ["01", "00", "+1", "-1", "1.0", "1e0", " 1", "x", ""] {
        let found = finding(json!({"op": "replace", "path": format!("/policies/{position}"), "value": "x"}));
        assert_eq!(found, "operations[0].path: must name a position in the list", "{position:?}");
    }
    for op in ["replace", "remove"] {
        let found = finding(json!({"op": op, "path": "/person/party/addresses/-", "value": {"addressType": 1}}));
        assert_eq!(found, "operations[0].path: may end in - only for add");
    }
    let found = finding(json!({"op": "add", "path": "/person/party/addresses/-/city", "value": "x"}));
    assert_eq!(found, "operations[0].path: may end in - only for add");
    let far = change(json!({"op": "remove", "path": "/policies/99999999999999999999"}));
    assert_eq!(far, AdminChange::Policies(ListEdit::Remove { at: usize::MAX }));
}

#[test]
fn lists_hold_text_only() {
    let set = |value| json!({"op": "add", "path": "/policies", "value": value});
    assert_eq!(finding(set(json!("a"))), "operations[0].value: must be an array");
    assert_eq!(finding(set(json!(null))), "operations[0].value: must be an array");
    assert_eq!(finding(set(json!(["a", 1]))), "operations[0].value[1]: must be a string");
    let entry = json!({"op": "add", "path": "/policies/-", "value": ["a"]});
    assert_eq!(finding(entry), "operations[0].value: must be a string");
}

#[test]
fn malformed_patch_operations_are_refused() {
    let operation = "operations[0].op: must be one of the following values: add, replace, remove";
    for op in [json!("test"), json!("move"), json!("copy"), json!("Add"), json!(1), json!(null)] {
        assert_eq!(finding(json!({"op": op, "path": "/policies", "value": []})), operation);
    }
    assert_eq!(finding(json!({"path": "/policies"})), "operations[0].op: should not be null or undefined");
    assert_eq!(finding(json!({"op": "remove"})), "operations[0].path: should not be null or undefined");
    assert_eq!(finding(json!({"op": "remove", "path": 1})), "operations[0].path: must be a string");
    assert_eq!(finding(json!("remove")), "operations[0]: must be an object");
    assert_eq!(changes(json!({"op": "remove"})), Err(vec![text("body: must be an array")]));
}

#[test]
fn members_that_patches_do_not_define_are_ignored() {
    let removed = change(json!({"op": "remove", "path": "/policies/0", "from": "/policies/1", "comment": 1}));
    assert_eq!(removed, AdminChange::Policies(ListEdit::Remove { at: 0 }));
}

#[test]
fn every_finding_names_its_step() {
    let found = changes(json!([
        {"op": "remove", "path": "/policies/0"},
        {"op": "remove", "path": "/person/lastName"},
        {"op": "add", "path": "/person/salutation", "value": "1"},
    ]));
    let expected = ["operations[1].path: cannot be removed", "operations[2].value: must be a number"];
    assert_eq!(found, Err(expected.map(text).to_vec()));
}

#[test]
fn no_steps_are_no_changes() {
    assert_eq!(changes(json!([])), Ok(vec![]));
}
