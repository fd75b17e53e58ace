//! Hosts of the setting, and properties of targets.

use super::super::target::PATH_LENGTH_MAX;
use super::*;
use proptest::prelude::*;

/// Texts by which a target could leave its host or its path.
const TRICKS: &[&str] = &[
    "/",
    "//",
    "\\",
    "@",
    ":",
    "?",
    "#",
    ".",
    "..",
    ";",
    "%",
    "%2e",
    "%2F",
    "%5c",
    "%25",
    "%00",
    "%0a",
    "%c0%af",
    "\u{202e}",
    "\u{3002}",
    "\u{ff0f}",
    " ",
    "\t",
    "\n",
    "\0",
    "evil.example",
    "https:",
];
/// Characters that no path has as they are.
const FORBIDDEN: &[char] = &['\\', '@', ' ', '"', '<', '>', '\u{7f}', '\u{e9}', '\u{200f}', '\n'];

#[test]
fn hosts_of_the_setting_are_names_with_ports() {
    for list in ["", " ", ",", "a", "a.b-c.d1", "xn--bcher-kva.example", "A.example:1, b.example:65535"] {
        assert!(LinkHosts::parse(list).is_ok(), "{list}");
    }
    let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    assert!(LinkHosts::parse(&longest).is_ok() && LinkHosts::parse(&format!("{longest}d")).is_err());
    for wrong in [
        "https://a.example",
        "a.example/",
        "a.example.",
        ".example",
        "a..example",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a.example:",
        "a.example:0",
        "a.example:443",
        "a.example:080",
        "a.example:+80",
        "a.example:65536",
        "user@a.example",
        "*.example",
        "bücher.example",
        "a.example\\b",
        "192.0.2.1",
        "a.0x7f",
        "[::1]",
        "a b",
    ] {
        assert_eq!(LinkHosts::parse(&format!("links.example.org,{wrong}")), Err(wrong.to_owned()));
    }
}

#[test]
fn a_target_is_at_a_listed_host_and_at_no_other() {
    for (netloc, stored) in [
        ("links.example.org", "links.example.org"),
        ("Links.Example.ORG", "links.example.org"),
        ("app.example.org:8443", "app.example.org:8443"),
    ] {
        assert_eq!(Target::within(&hosts(), netloc, "/a"), Ok(target(stored, "/a")));
    }
    for netloc in [
        "",
        "evil.example",
        "app.example.org",
        "app.example.org:443",
        "links.example.org:443",
        "links.example.org:8443",
        "links.example.org.",
        "links.example.org.evil.example",
        "evil-links.example.org",
        "sub.links.example.org",
        "links.example.org@evil.example",
        "evil.example@links.example.org",
        "user:secret@links.example.org",
        "links.example.org/",
        "links.example.org\\@evil.example",
        "links.example.org#@evil.example",
        "links.example.org?",
        "https://links.example.org",
        "//links.example.org",
        " links.example.org",
        "links.example.org\n",
        "links.example.org\0",
        "links\u{3002}example\u{3002}org",
        "links.example\u{ff0e}org",
        "lin\u{212a}s.example.org",
        "l\u{456}nks.example.org",
        "links.example\u{200b}.org",
        "links%2eexample.org",
        "links.example.org%00.evil.example",
        "links.example.org,app.example.org",
    ] {
        let refusal = vec![Problem::UnlistedHost.of("netloc")];
        assert_eq!(Target::within(&hosts(), netloc, "/a"), Err(refusal), "{netloc:?}");
        assert!(Target::within(&LinkHosts::default(), netloc, "/a").is_err(), "{netloc:?}");
    }
}

#[test]
fn a_path_is_taken_as_written() {
    let longest = format!("/{}", "a".repeat(PATH_LENGTH_MAX - 1));
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b.html",
        "/...",
        "/a;v=1/b",
        "/~ada/x_y-z!$&'()*+,;=:",
        "/B%C3%BCcher",
        "/a%20b",
        "/a%40b",
        "/?",
        "/?q=a/b//c?d@e&f=%25",
        "/#",
        "/#/section?x@y",
        "/a?b#c",
        &longest,
    ] {
        let taken = Target::within(&hosts(), "links.example.org", path);
        assert_eq!(taken.map(|target| target.url()), Ok(format!("https://links.example.org{path}")));
    }
}

#[test]
fn a_path_that_leads_elsewhere_or_is_read_in_two_ways_is_refused() {
    let refused = |path: &str, problem: Problem| {
        let refusal = vec![problem.of("fullPath")];
        assert_eq!(Target::within(&hosts(), "links.example.org", path), Err(refusal), "{path:?}");
    };
    refused(&format!("/{}", "a".repeat(PATH_LENGTH_MAX)), Problem::TooLong { max: PATH_LENGTH_MAX });
    for path in [
        "",
        "a",
        "a/b",
        "?a",
        "#a",
        ".evil.example/",
        "@evil.example/",
        ":80/",
        "https://evil.example/",
        "javascript:alert(1)",
        "//evil.example",
        "//",
        "/a//b",
        "/a//",
        "/\\evil.example",
        "\\/evil.example",
        "/a\\b",
        "/@evil.example",
        "/a@b",
        "/..",
        "/../a",
        "/a/../b",
        "/a/./b",
        "/a/..",
        "/%2e%2e/a",
        "/.%2E/a",
        "/a/%2e",
        "/..;/a",
        "/..;x/a",
        "/;/a",
        "/a%2fb",
        "/a%2F%2Fb",
        "/a%5cb",
        "/%252e%252e/",
        "/a%25",
        "/a%c0%afb",
        "/a%ff",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%+1",
        "/a%00",
        "/a%0d%0aSet-Cookie:x",
        "/a%7f",
        "/a%C2%85",
        "/a?b=%0d%0a",
        "/a#%00",
        "/a?b=%zz",
        "/a%E2%80%AE",
        "/a%E2%80%8B",
        "/a b",
        "/a\tb",
        "/a\r\nb",
        "/a\0",
        "/b\u{fc}cher",
        "/a\u{202e}",
        "/a?b=\u{fc}",
        "/a\"b",
        "/a<b>",
        "/a?b=<c>",
        "/a|b",
        "/a^b",
        "/a`b",
        "/a{b}",
        "/a[b]",
        "/a?b[c]=d",
        "/a#b#c",
        "/a?b=\\",
        "/a#b\nc",
    ] {
        refused(path, Problem::NotAPath);
    }
}

/// Texts of the characters that attackers use, and of any others.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z0-9]{1,3}",
        3 => proptest::sample::select(TRICKS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_target_that_is_taken_begins_with_its_listed_host(netloc in text(), path in text()) {
        if let Ok(target) = Target::within(&hosts(), &netloc, &path) {
            prop_assert!(hosts().contains(&target.netloc));
        }
        if let Ok(target) = Target::within(&hosts(), "links.example.org", &format!("/{path}")) {
            let url = target.url();
            let rest = url.strip_prefix("https://links.example.org/").expect("its host and a slash");
            prop_assert!(rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{}", url);
            let end = rest.find(['?', '#']).unwrap_or(rest.len());
            let path = &rest[..end];
            prop_assert!(!path.contains("//") && !path.starts_with('/') && !path.contains('@'), "{}", url);
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{}", url);
        }
    }

    #[test]
    fn a_path_with_one_forbidden_character_is_refused(
        before in "(/[a-z]{1,4}){1,3}",
        forbidden in proptest::sample::select(FORBIDDEN),
        after in "[a-z]{0,4}",
    ) {
        let path = format!("{before}{forbidden}{after}");
        prop_assert!(Target::within(&hosts(), "links.example.org", &path).is_err(), "{:?}", path);
    }
}
