//! Problems of a content that need no organization: all reported at once.

use super::*;

#[track_caller]
fn refused<const N: usize>(content: Content, findings: [(&str, Problem); N]) {
    let error = invalid(findings);
    assert_eq!(organization([]).decide(register(content.clone())), Err(error.clone()));
    assert_eq!(organization([registered()]).decide(replace(2, content.clone())), Err(error.clone()));
    // An invalid request is refused as such before the organization is looked up.
    assert_eq!(organization([]).decide(replace(2, content)), Err(error));
}

#[track_caller]
fn accepted(content: Content) {
    assert!(organization([]).decide(register(content)).is_ok());
}

fn details(edit: impl FnOnce(&mut Details)) -> Content {
    let mut content = content();
    edit(&mut content.details);
    content
}

fn long(max: usize) -> Option<String> {
    Some("ä".repeat(max))
}

#[test]
fn a_name_is_not_blank_and_not_endless() {
    refused(Content::named(" \t"), [("organization.name", Problem::Blank)]);
    refused(Content::named("a\0b"), [("organization.name", Problem::Nul)]);
    refused(Content::named("ä".repeat(501)), [("organization.name", Problem::TooLong { max: 500 })]);
    accepted(Content::named("ä".repeat(500)));
}

#[test]
fn texts_of_the_master_data_have_their_limits() {
    let content = details(|details| {
        details.number = long(51);
        details.tax_id = long(51);
        details.vat_id = long(51);
    });
    let long = |field| (field, Problem::TooLong { max: 50 });
    refused(content, [long("organization.orgId"), long("organization.taxId"), long("organization.vatId")]);
    accepted(details(|details| {
        details.number = self::long(50);
        details.tax_id = self::long(50);
        details.vat_id = self::long(50);
    }));
}

#[test]
fn a_web_address_has_the_published_pattern_somewhere_in_it() {
    let url = |text: &str| details(|details| details.web_url = some(text));
    for text in ["https://acme.example.com", "acme-lab.example.org/a?b=c", "((http.com", "see acme.com now"] {
        accepted(url(text));
    }
    for text in ["", "acme", "acme.", "acme.c", "ACME.COM", "http://"] {
        refused(url(text), [("organization.webUrl", Problem::NotAWebAddress)]);
    }
    let long = format!("{}.com", "a".repeat(252));
    refused(url(&long), [("organization.webUrl", Problem::TooLong { max: 255 })]);
}

#[test]
fn a_time_zone_is_one_of_the_database() {
    let zone = |text: &str| details(|details| details.time_zone = some(text));
    for text in ["America/New_York", "UTC", "Europe/Vienna"] {
        accepted(zone(text));
    }
    for text in ["", "Mars/Olympus", "+02:00"] {
        refused(zone(text), [("organization.timezone", Problem::UnknownTimeZone)]);
    }
}

#[test]
fn an_agreement_does_not_end_before_it_starts() {
    let agreement = |start, end| details(|details| (details.msa_start, details.msa_end) = (start, end));
    accepted(agreement(Some(second(1)), Some(second(1))));
    accepted(agreement(None, Some(second(1))));
    accepted(agreement(Some(second(2)), None));
    let before = Problem::BeforeStart { start: "msaStart" };
    refused(agreement(Some(second(2)), Some(second(1))), [("organization.msaEnd", before)]);
}

#[test]
fn a_new_mode_names_which_and_none_stands_twice() {
    let modes = |modes| Content { modes, ..content() };
    let nameless = ModeContent { code: None, ..new_mode(1, "Testing") };
    refused(modes(vec![nameless]), [("modes[0].mode", Problem::Blank)]);
    let twice = vec![new_mode(1, "Testing"), new_mode(2, "TESTING")];
    refused(modes(twice), [("modes[1].mode", Problem::Repeated)]);
}

#[test]
fn there_is_one_main_address_at_most() {
    let main = |number| {
        let mut address = new_address(number, "80202");
        address.details.main_primary = true;
        address
    };
    accepted(Content { addresses: vec![new_address(2, "1"), main(1)], ..content() });
    let addresses = vec![main(1), new_address(2, "1"), main(3)];
    // The second occurrence is reported, in any order.
    let refusal = organization([]).decide(register(Content { addresses, ..content() }));
    assert_eq!(refusal, Err(invalid([("orgAddressesDetails[2].mainPrimary", Problem::Repeated)])));
}

#[test]
fn addresses_have_their_limits_and_their_region_in_their_country() {
    let mut address = new_address(1, &"9".repeat(21));
    address.details.region = Some(code(CodeList::Region, "Colorado"));
    address.details.country = Some(code(CodeList::Country, "AUT"));
    address.details.city = some("De\0nver");
    address.details.entity_type = long(51);
    refused(
        Content { addresses: vec![address], ..content() },
        [
            ("orgAddressesDetails[0].addressPostalcode", Problem::TooLong { max: 20 }),
            ("orgAddressesDetails[0].addressCity", Problem::Nul),
            ("orgAddressesDetails[0].addressStateOrProvOrCounty", Problem::CodeMismatch),
            ("orgAddressesDetails[0].entityType", Problem::TooLong { max: 50 }),
        ],
    );
}

#[test]
fn extra_values_have_their_limits_and_names_of_their_own() {
    let properties = || {
        vec![
            new_property(&"n".repeat(101), &"v".repeat(501)),
            PropertyContent { entity_type: long(51), ..new_property("LabId", "1") },
            new_property("LabId", "2"),
        ]
    };
    let at = |list: &'static str| {
        [
            (format!("{list}[0].propertyName"), Problem::TooLong { max: 100 }),
            (format!("{list}[0].propertyValue"), Problem::TooLong { max: 500 }),
            (format!("{list}[1].entityType"), Problem::TooLong { max: 50 }),
            (format!("{list}[2].propertyName"), Problem::Repeated),
        ]
    };
    let own = at("properties");
    refused(
        Content { properties: Some(properties()), ..content() },
        own.each_ref().map(|(field, problem)| (field.as_str(), problem.clone())),
    );
    let of_address = at("orgAddressesDetails[0].addressProperties");
    let address = AddressContent { properties: Some(properties()), ..new_address(1, "80202") };
    refused(
        Content { addresses: vec![address], ..content() },
        of_address.each_ref().map(|(field, problem)| (field.as_str(), problem.clone())),
    );
}

#[test]
fn reasons_and_comments_have_their_limits_on_every_part() {
    let remark = Remark { reason: long(256), comment: long(2049) };
    let content = Content {
        modes: vec![ModeContent { remark: remark.clone(), ..new_mode(1, "Testing") }],
        addresses: vec![AddressContent { remark: remark.clone(), ..new_address(1, "1") }],
        properties: Some(vec![PropertyContent { remark: remark.clone(), ..new_property("a", "b") }]),
        ..content()
    };
    let command =
        OrganizationCommand::Register { id: ID, content: Box::new(content), stamp: Stamp { remark, ..stamp(1) } };
    let (reason, comment) = (Problem::TooLong { max: 255 }, Problem::TooLong { max: 2048 });
    given([]).when(command).then_expect_error(invalid([
        ("modes[0].reason", reason.clone()),
        ("modes[0].comment", comment.clone()),
        ("orgAddressesDetails[0].reason", reason.clone()),
        ("orgAddressesDetails[0].comment", comment.clone()),
        ("properties[0].reason", reason.clone()),
        ("properties[0].comment", comment.clone()),
        ("organization.reason", reason),
        ("organization.comment", comment),
    ]));
}

#[test]
fn no_part_is_named_twice() {
    let content = Content { addresses: vec![new_address(1, "1"), new_address(1, "2")], ..content() };
    refused(content, [("orgAddressesDetails[1].id", Problem::Repeated)]);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let mut content = Content { modes: vec![ModeContent { code: None, ..new_mode(1, "Testing") }], ..content() };
    content.name = String::new();
    content.details.time_zone = some("nowhere");
    refused(
        content,
        [
            ("organization.name", Problem::Blank),
            ("organization.timezone", Problem::UnknownTimeZone),
            ("modes[0].mode", Problem::Blank),
        ],
    );
}
