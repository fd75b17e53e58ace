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
    for text in
        ["", "ada", "@x.org", "ada@", "a b@x.org", "a..b@x.org", "ada@x..org", "ada@x org", "a@b@c d", "a\n@x.org"]
    {
        assert_eq!(EmailAddress::parse(text), Err(Problem::NotAnEmail), "{text:?}");
    }
}

#[test]
fn an_address_that_looks_like_another_one_is_refused() {
    for text in ["a\u{200b}da@x.org", "ada\u{202e}@x.org", "ada@x\u{ad}y.org", "ad\u{180e}a@x.org", "a\u{feff}da@x.org"]
    {
        assert_eq!(EmailAddress::parse(text), Err(Problem::Invisible), "{text:?}");
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

fn parsed(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap_or_else(|problem| panic!("{text:?} {problem}"))
}

fn is_no_email(text: &str) {
    assert_eq!(EmailAddress::parse(text), Err(Problem::NotAnEmail), "{text:?}");
}

/// A domain of `length` characters in labels of at most 63.
fn domain(length: usize) -> String {
    (1..=length).map(|at| if at % 64 == 0 { '.' } else { 'd' }).collect()
}

#[test]
fn an_address_is_as_long_as_254_characters_and_no_longer() {
    let longest = format!("{}@{}", "l".repeat(64), domain(189));
    assert_eq!(longest.len(), EmailAddress::LENGTH_MAX);
    assert_eq!(parsed(&longest).as_str(), longest);
    assert_eq!(EmailAddress::parse(&format!("{longest}d")), Err(Problem::TooLong { max: 254 }));
}

#[test]
fn the_space_around_an_address_does_not_count() {
    let longest = format!("{}@{}", "l".repeat(64), domain(189));
    assert_eq!(parsed(&format!("\t\u{a0}{longest} \r\n")).as_str(), longest);
}

#[test]
fn the_length_of_an_address_is_counted_in_characters() {
    let text = format!("{}@{}", "ü".repeat(32), domain(189));
    assert!(text.chars().count() < EmailAddress::LENGTH_MAX && text.len() == 254);
    assert_eq!(parsed(&text).as_str(), text);
    assert_eq!(EmailAddress::parse(&"ü".repeat(255)), Err(Problem::TooLong { max: 254 }));
}

#[test]
fn the_length_of_an_address_is_checked_before_its_form() {
    assert_eq!(EmailAddress::parse(&"@".repeat(1 << 20)), Err(Problem::TooLong { max: 254 }));
}

#[test]
fn a_local_part_is_as_long_as_64_octets_and_no_longer() {
    parsed(&format!("{}@x.org", "l".repeat(64)));
    is_no_email(&format!("{}@x.org", "l".repeat(65)));
    parsed(&format!("{}@x.org", "ü".repeat(32)));
    is_no_email(&format!("{}l@x.org", "ü".repeat(32)));
}

#[test]
fn a_label_of_the_domain_is_as_long_as_63_octets_in_its_ascii_form() {
    parsed(&format!("ada@{}.org", "d".repeat(63)));
    is_no_email(&format!("ada@{}.org", "d".repeat(64)));
    is_no_email(&format!("ada@{}.org", "ü例".repeat(30)));
}

#[test]
fn a_local_part_is_a_dot_string() {
    for local in ["a", "a.b.c", "!#$%&'*+-/=?^_`{|}~", "ada+tag", "0", "-", "jörg", "用户", "δοκιμή", "उपयोगकर्ता"]
    {
        parsed(&format!("{local}@x.org"));
    }
    for local in [
        ".a",
        "a.",
        "a..b",
        "\"quoted\"",
        "a,b",
        "a;b",
        "a(b)",
        "a<b>",
        "[a]",
        "a\\b",
        "a:b",
        "a@b",
        "a\0",
        "a\u{7f}",
        "a\u{85}b",
        "a\u{9b}b",
    ] {
        is_no_email(&format!("{local}@x.org"));
    }
}

#[test]
fn white_space_of_any_script_is_refused_within_an_address() {
    for space in [' ', '\t', '\n', '\r', '\u{a0}', '\u{2003}', '\u{2028}', '\u{3000}'] {
        is_no_email(&format!("a{space}da@x.org"));
        is_no_email(&format!("ada{space}@x.org"));
    }
    is_no_email("ada@ x.org");
    is_no_email("ada@x .org");
}

#[test]
fn the_domain_of_an_address_is_a_host_name() {
    for domain in [
        "x.org",
        "X.ORG",
        "localhost",
        "a-b.x.org",
        "1.x.org",
        "xn--bcher-kva.example",
        "bücher.example",
        "例え.テスト",
        "مثال.إختبار",
    ] {
        parsed(&format!("ada@{domain}"));
    }
    for domain in [
        ".org",
        "x.org.",
        "x..org",
        "-x.org",
        "x-.org",
        "x_y.org",
        "[127.0.0.1]",
        "[IPv6:::1]",
        "x/y",
        "x:25",
        "xn--a",
        "x\0.org",
        "\u{ad}",
    ] {
        is_no_email(&format!("ada@{domain}"));
    }
}

#[test]
fn an_address_is_kept_as_it_was_given() {
    for text in ["Ada.LOVELACE@X.org", "ada@BÜCHER.example", "a\u{308}da@x.org"] {
        assert_eq!(parsed(text).as_str(), text);
        assert_eq!(parsed(text).to_string(), text);
    }
}

#[test]
fn letter_case_does_not_tell_addresses_apart() {
    assert_eq!(parsed("ADA@X.ORG").comparable(), "ada@x.org");
    assert_eq!(parsed("JÖRG@x.org").comparable(), parsed("jörg@X.org").comparable());
}

#[test]
fn composition_does_not_tell_addresses_apart() {
    assert_eq!(parsed("jo\u{308}rg@x.org").comparable(), parsed("jörg@x.org").comparable());
    assert_eq!(parsed("JO\u{308}RG@x.org").comparable(), parsed("jörg@x.org").comparable());
    assert_eq!(parsed("ada@bu\u{308}cher.example").comparable(), parsed("ada@bücher.example").comparable());
}

#[test]
fn spellings_of_an_international_domain_compare_equal() {
    let ascii = "ada@xn--r8jz45g.xn--zckzah";
    for text in [ascii, "ada@例え.テスト", "ada@例え。テスト", "ADA@XN--R8JZ45G.xn--zckzah"] {
        assert_eq!(parsed(text).comparable(), ascii, "{text}");
    }
}

#[test]
fn different_mailboxes_stay_different() {
    let mailboxes = ["ada@x.org", "ada+tag@x.org", "a.da@x.org", "äda@x.org", "ada@y.org", "ada@sub.x.org", "ada@xorg"];
    let comparable: std::collections::BTreeSet<_> = mailboxes.iter().map(|text| parsed(text).comparable()).collect();
    assert_eq!(comparable.len(), mailboxes.len());
}

#[test]
fn the_comparable_form_is_an_address_that_compares_to_itself() {
    for text in ["Ada@BÜCHER.example", "JO\u{308}RG@x.org", "用户@例え。テスト", "a+b@LOCALHOST"] {
        let comparable = parsed(text).comparable();
        assert_eq!(parsed(&comparable).comparable(), comparable);
    }
}

#[test]
fn a_placeholder_for_an_address_is_read_and_compared_without_fail() {
    let sealed: EmailAddress = serde_json::from_str(r#""[sealed]""#).expect("any text");
    assert_eq!(sealed.as_str(), "[sealed]");
    assert_eq!(sealed.comparable(), "[sealed]@");
}

#[test]
fn values_are_plain_texts_in_json() {
    let json = |value: serde_json::Result<String>| value.expect("JSON");
    assert_eq!(json(serde_json::to_string(&parsed("ada@x.org"))), r#""ada@x.org""#);
    assert_eq!(json(serde_json::to_string(&CountryCode::parse("DE").expect("known"))), r#""DE""#);
    assert_eq!(json(serde_json::to_string(&RegionCode::Eu)), r#""EU""#);
    assert_eq!(json(serde_json::to_string(&AdminId(Uuid::from_u128(1)))), r#""00000000-0000-0000-0000-000000000001""#);
    assert_eq!(AdminId(Uuid::from_u128(1)).to_string(), "00000000-0000-0000-0000-000000000001");
}

#[test]
fn regions_are_us_and_eu_in_capitals() {
    for region in [RegionCode::Us, RegionCode::Eu] {
        assert_eq!(RegionCode::parse(region.code()), Ok(region));
        assert_eq!(serde_json::to_value(region).expect("JSON"), region.code());
    }
    assert_eq!([RegionCode::Us.name(), RegionCode::Eu.name()], ["United States", "European Union"]);
    for text in ["us", "Eu", "", "UK", " US"] {
        assert_eq!(RegionCode::parse(text), Err(Problem::UnknownRegion), "{text:?}");
    }
}

#[test]
fn countries_are_alpha_2_codes_in_capitals() {
    for code in ["US", "DE", "GB", "AX", "ZW"] {
        assert_eq!(CountryCode::parse(code).as_ref().map(CountryCode::as_str), Ok(code));
    }
    for text in ["", "U", "USA", "840", "de", "dE", " DE", "DE ", "EU", "UK", "Ü", "\0\0"] {
        assert_eq!(CountryCode::parse(text), Err(Problem::UnknownCountry), "{text:?}");
    }
}

#[test]
fn the_united_kingdom_and_states_go_by_their_usual_names() {
    let name = |code| CountryCode::parse(code).expect("known").name();
    assert_eq!([name("US"), name("GB"), name("DE")], ["United States", "United Kingdom", "Germany"]);
}

#[test]
fn states_of_the_united_states_are_the_fifty_the_district_and_the_territories() {
    let us = CountryCode::parse("US").expect("known");
    let codes = "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI \
                 SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR UM VI";
    assert_eq!(codes.split_whitespace().count(), 57);
    for code in codes.split_whitespace() {
        assert!(us.state_name(code).is_ok_and(|name| name.len() > code.len()), "{code}");
    }
    for code in ["", "al", "A", "ALA", "US-AL", " AL", "BY", "Ü"] {
        assert_eq!(us.state_name(code), Err(Problem::UnknownState), "{code:?}");
    }
}

#[test]
fn names_are_neither_blank_nor_unstorable() {
    for name in ["", " ", "\t\n", "\u{a0}\u{3000}"] {
        assert_eq!(check_name(name), Err(Problem::Blank), "{name:?}");
    }
    assert_eq!(check_name("A\0da"), Err(Problem::Nul));
    assert_eq!(check_name("\0"), Err(Problem::Nul));
    for name in ["A", " Ada ", "李", "O'Neill-Ødegård"] {
        assert_eq!(check_name(name), Ok(()), "{name:?}");
    }
    for name in ["A\u{200b}da", "Ada\u{202e}", "\u{feff}Ada", "A\u{ad}da", "\u{200d}"] {
        assert_eq!(check_name(name), Err(Problem::Invisible), "{name:?}");
    }
}

#[test]
fn texts_may_be_empty_but_not_unstorable() {
    assert_eq!(check_text(""), Ok(()));
    assert_eq!(check_text("any\u{1}\u{7f}\u{10ffff}"), Ok(()));
    assert_eq!(check_text("\0"), Err(Problem::Nul));
    assert_eq!(check_text("read \u{202e}backwards"), Err(Problem::Override));
    assert_eq!(check_text("isolated \u{2066}text\u{2069}"), Err(Problem::Override));
    // Joiners and marks belong to scripts and emoji.
    assert_eq!(check_text("می\u{200c}خواهم 👩\u{200d}👧 \u{200e}"), Ok(()));
}

#[test]
fn free_texts_are_limited_in_characters() {
    assert_eq!(check_free_text("", 0), Ok(()));
    assert_eq!(check_free_text("äß李", 3), Ok(()));
    assert_eq!(check_free_text("äß李!", 3), Err(Problem::TooLong { max: 3 }));
    assert_eq!(check_free_text("a\0b", 1), Err(Problem::Nul), "the first of two problems");
    assert_eq!(check_free_text("a\u{202e}b", 3), Err(Problem::Override));
}

#[test]
fn required_texts_have_something_to_read() {
    for blank in ["", " ", "\r\n\t", "\u{a0}\u{3000}", "\u{200b}\u{feff}", "\u{7}"] {
        assert_eq!(check_required_text(blank, 3), Err(Problem::Blank), "{blank:?}");
    }
    for text in [".", " a\n", "👩\u{200d}🔬"] {
        assert_eq!(check_required_text(text, 3), Ok(()), "{text:?}");
    }
    assert_eq!(check_required_text("\0", 3), Err(Problem::Nul));
    assert_eq!(check_required_text("    ", 3), Err(Problem::TooLong { max: 3 }));
}

#[test]
fn a_trimmed_name_is_measured_without_its_surrounding_space() {
    assert_eq!(trimmed_name(" \tÅda ", 3), Ok("Åda".to_owned()));
    assert_eq!(trimmed_name("Ådas", 3), Err(Problem::TooLong { max: 3 }));
    assert_eq!(trimmed_name(" \t", 3), Err(Problem::Blank));
    assert_eq!(trimmed_name("A\u{200b}das", 3), Err(Problem::Invisible));
}

#[test]
fn a_finding_reads_as_a_sentence() {
    let sentence = |field: &str, problem| Finding { field: field.to_owned(), problem }.to_string();
    assert_eq!(sentence("person.firstName", Problem::Blank), "person.firstName should not be empty");
    assert_eq!(sentence("account.email", Problem::NotAnEmail), "account.email must be an email");
    assert_eq!(
        sentence("account.email", Problem::TooLong { max: EmailAddress::LENGTH_MAX }),
        "account.email must not be longer than 254 characters"
    );
}
