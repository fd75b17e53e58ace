//! The table of the matrix, and its parser.
//!
//! A line has the name of an operation and the statuses of a valid request, each followed by the callers who get it:
//! `get-session  200 administrator service system, 404 others`. `others` are the callers with a session or token who are not named;
//! `anonymous` and API keys get 401 unless they are named. Blank lines and lines that begin with `#` are comments.
//!
//! 404 hides a resource that the caller does not see, 403 forbids one that it sees. An operation for administrators or
//! programs is 403 for all others, whatever its subject. Where an operation has several requests, the name of the
//! request follows after a colon: about the caller itself, about a person or resource that an admin of A does not see,
//! or about a role that opens the records of a person of B.

use super::world::CALLERS;
use crate::SUITES;
use std::collections::BTreeMap;

const KEYS: &[&str] = &["key-admin", "key-developer", "key-query"];

/// Words for several callers.
const GROUPS: [(&str, &[&str]); 3] = [
    ("managers", &["admin", "system", "administrator", "narrowed"]),
    ("ecg-admins", &["administrator", "operator", "auditor", "narrowed"]),
    ("keys", KEYS),
];

/// The expected answers to one request, by caller.
pub struct Line {
    /// Name of the operation; where it has several requests, the name of the request follows after a colon.
    pub variant: String,
    /// The status for each caller, in the order of `CALLERS`.
    pub expected: Vec<u16>,
}

impl Line {
    fn parse(line: &str) -> Line {
        let (variant, answers) = line.split_once(' ').unwrap();
        let mut statuses = BTreeMap::new();
        for answer in answers.split(',') {
            let mut words = answer.split_whitespace();
            let status: u16 = words.next().unwrap().parse().unwrap();
            for caller in words.flat_map(callers) {
                assert!(statuses.insert(caller, status).is_none(), "{variant} has two statuses for {caller}");
            }
        }
        let status = |caller: &&str| {
            let unauthorized = *caller == "anonymous" || KEYS.contains(caller);
            let default = if unauthorized { Some(401) } else { statuses.get("others").copied() };
            let status = statuses.get(*caller).copied().or(default);
            status.unwrap_or_else(|| panic!("{variant} has no status for {caller}"))
        };
        Line { variant: variant.to_owned(), expected: CALLERS.iter().map(status).collect() }
    }

    pub fn operation(&self) -> &str {
        self.variant.split(':').next().unwrap_or_default()
    }

    /// The status for a caller.
    pub fn status(&self, caller: &str) -> u16 {
        let column = CALLERS.iter().position(|name| *name == caller).unwrap();
        self.expected[column]
    }
}

/// The callers of a word, which may be `others`.
fn callers(word: &str) -> Vec<&str> {
    match GROUPS.iter().find(|(name, _)| *name == word) {
        Some((_, callers)) => callers.to_vec(),
        None => {
            assert!(word == "others" || CALLERS.contains(&word), "{word} is no caller");
            vec![word]
        }
    }
}

/// All lines, suite by suite.
pub fn lines() -> Vec<Line> {
    let lines = SUITES.iter().flat_map(|suite| suite.table.lines()).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Line::parse).collect()
}

#[test]
fn a_line_gives_every_caller_a_status() {
    let line = Line::parse("get-user:oneself  200 managers key-query, 404 stranger, 403 others");
    assert_eq!((line.operation(), line.expected.len()), ("get-user", CALLERS.len()));
    let expected = [("admin", 200), ("narrowed", 200), ("key-query", 200), ("stranger", 404), ("service", 403)];
    for (caller, status) in expected.into_iter().chain([("anonymous", 401), ("key-admin", 401)]) {
        assert_eq!(line.status(caller), status, "{caller}");
    }
}

#[test]
#[should_panic(expected = "two statuses for admin")]
fn a_caller_is_not_named_twice() {
    Line::parse("get-user  200 admin, 404 managers, 403 others");
}

#[test]
#[should_panic(expected = "administrators is no caller")]
fn an_unknown_caller_is_not_named() {
    Line::parse("get-user  200 administrators, 403 others");
}

#[test]
#[should_panic(expected = "no status for provider")]
fn no_caller_is_left_without_a_status() {
    Line::parse("get-user  200 stranger participant, 404 leader managers");
}
