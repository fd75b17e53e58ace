use super::*;

#[test]
fn spellings_of_one_address_compare_equal() {
    let a = EmailAddress::parse(" Ada@BÜCHER.example ").expect("well formed");
    let b = EmailAddress::parse("ada@xn--bcher-kva.example").expect("well formed");
    assert_eq!(a.comparable(), b.comparable());
    assert_eq!(a.as_str(), "Ada@BÜCHER.example");
}

#[test]
fn malformed_addresses_are_refused() {
    for text in ["", "ada", "@x.org", "ada@", "a b@x.org", "a..b@x.org", "ada@x..org", "ada@x org", "a@b@c d", "a\n@x.org"] {
        assert_eq!(EmailAddress::parse(text), Err(Problem::NotAnEmail), "{text:?}");
    }
}

#[test]
fn the_sample_address_of_the_contract_is_accepted() {
    assert!(EmailAddress::parse("string@gmail.com").is_ok());
}

#[test]
fn countries_and_states_have_their_names() {
    let us = CountryCode::parse("US").expect("known");
    assert_eq!(us.name(), "United States");
    assert_eq!(us.state_name("AL").as_deref(), Ok("Alabama"));
    assert_eq!(us.state_name("XX"), Err(Problem::UnknownState));
    assert_eq!(CountryCode::parse("DE").expect("known").state_name("BY").as_deref(), Ok("BY"));
    assert_eq!(CountryCode::parse("XX"), Err(Problem::UnknownCountry));
    assert_eq!(CountryCode::parse("us"), Err(Problem::UnknownCountry));
}
