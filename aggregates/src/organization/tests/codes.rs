use super::*;
use crate::organization::codes::find_region;

const LISTS: [CodeList; 8] = [
    CodeList::Status,
    CodeList::Category,
    CodeList::Kind,
    CodeList::SubType,
    CodeList::Mode,
    CodeList::AddressKind,
    CodeList::Country,
    CodeList::Region,
];

#[test]
fn a_text_is_looked_up_letter_case_aside() {
    let active = code(CodeList::Status, "Active");
    assert_eq!(CodeList::Status.find(None, Some(" aCTIVE ")), Ok(Some(active.clone())));
    assert_eq!(active.id.simple().to_string().to_uppercase(), "B1B8327AFAA6412287106192AB5984EF");
    assert_eq!(code(CodeList::Kind, "site").id.simple().to_string().to_uppercase(), "2A5E92F1C2D54DDA9F1C0A9E7B3C2D1A");
}

#[test]
fn the_samples_of_the_published_page_are_known() {
    for (list, text) in [
        (CodeList::Status, "Active"),
        (CodeList::Category, "CATEGORY_CODE"),
        (CodeList::Kind, "ORG_TYPE_CODE"),
        (CodeList::SubType, "SUB_TYPE"),
        (CodeList::Mode, "Operational"),
        (CodeList::Mode, "test"),
        (CodeList::AddressKind, "Primary"),
        (CodeList::Country, "USA"),
    ] {
        assert!(CodeList::find(list, None, Some(text)).is_ok_and(|found| found.is_some()), "{text}");
    }
}

#[test]
fn an_absent_or_blank_text_finds_no_code() {
    for list in LISTS {
        assert_eq!(list.find(None, None), Ok(None));
        assert_eq!(list.find(None, Some(" ")), Ok(None));
    }
}

#[test]
fn unlisted_texts_and_identifiers_are_refused() {
    for list in LISTS {
        assert_eq!(list.find(None, Some("no such thing")), Err(Problem::UnknownCode));
        assert_eq!(list.find(Some(Uuid::nil()), None), Err(Problem::UnknownCode));
    }
}

#[test]
fn the_identifier_counts_and_its_text_may_not_contradict_it() {
    let austria = code(CodeList::Country, "AUT");
    assert_eq!(CodeList::Country.find(Some(austria.id), None), Ok(Some(austria.clone())));
    assert_eq!(CodeList::Country.find(Some(austria.id), Some("Austria")), Ok(Some(austria.clone())));
    assert_eq!(CodeList::Country.find(Some(austria.id), Some("")), Ok(Some(austria.clone())));
    assert_eq!(CodeList::Country.find(Some(austria.id), Some("DEU")), Err(Problem::CodeMismatch));
}

#[test]
fn no_two_lists_share_an_identifier() {
    let kinds = [CodeList::Category, CodeList::Kind, CodeList::SubType].map(|list| code(list, "SITE").id);
    assert!(kinds[0] != kinds[1] && kinds[1] != kinds[2] && kinds[0] != kinds[2]);
}

#[test]
fn every_status_is_that_of_its_code() {
    for status in Status::ALL {
        assert_eq!(Status::of(&status.code()), Some(status));
        assert_ne!(status.code().id, Uuid::nil());
    }
}

#[test]
fn a_region_is_looked_up_in_its_country() {
    let (us, at) = (code(CodeList::Country, "US"), code(CodeList::Country, "AT"));
    let california = CodeList::Region.find(None, Some("US-CA"));
    assert_eq!(find_region(None, Some("california"), Some(&us)), california);
    assert_eq!(find_region(None, Some("CA"), Some(&us)), california);
    assert_eq!(find_region(None, Some("California"), Some(&at)), Err(Problem::UnknownCode));
    let id = california.clone().ok().flatten().map(|code| code.id);
    assert_eq!(find_region(id, None, Some(&us)), california);
    assert_eq!(find_region(id, None, None), california);
    assert_eq!(find_region(id, None, Some(&at)), Err(Problem::CodeMismatch));
    assert_eq!(find_region(None, Some(" "), Some(&us)), Ok(None));
}

#[test]
fn an_ambiguous_region_name_needs_its_country() {
    assert_eq!(find_region(None, Some("CA"), None), Err(Problem::UnknownCode));
}
