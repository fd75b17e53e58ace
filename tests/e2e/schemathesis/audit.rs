//! Refusals of the auditor's API that its schemas allow. Only examples name an existing aggregate, and organizations
//! are unknown before the run.

use super::{CASES_MIN, Dialect, Rule, SUCCESSES_MIN, serve};
use serde_json::Value;

pub(super) const AUDIT: Dialect = Dialect {
    contract: "",
    file: "",
    document: "audit",
    rules: &RULES,
    scarce: &[
        ("GET /audit/checkpoint", 5, SUCCESSES_MIN),
        ("GET /audit/checkpoint/key", 5, SUCCESSES_MIN),
        ("GET /audit/events/{position}", CASES_MIN, 1),
        ("GET /audit/{aggregateType}/{id}", CASES_MIN, 1),
        ("GET /audit/{aggregateType}/{id}/history", CASES_MIN, 1),
        ("GET /audit/{aggregateType}/{id}/diff", CASES_MIN, 1),
        ("GET /audit/organizations/{id}/snapshot", CASES_MIN, 0),
    ],
    messages,
    excused: &[],
    serve: |database| serve(database, |_, _| {}),
};

fn messages(answer: &Value) -> Option<Vec<String>> {
    answer["findings"].as_array()?.iter().map(|finding| finding.as_str().map(str::to_owned)).collect()
}

const RULES: [Rule; 8] = [
    Rule {
        name: "a period does not end before it starts",
        message: ("from must not be later than to", ""),
        deserved: |request| request.query("from").is_some() && request.query("to").is_some(),
    },
    Rule {
        name: "a tree grows",
        message: ("from must not be greater than to", ""),
        deserved: |request| request.query("from").is_some() && request.query("to").is_some(),
    },
    Rule {
        name: "a tree holds what is proved to be in it",
        message: ("position must not be greater than treeSize", ""),
        deserved: |request| request.query("position").is_some() && request.query("treeSize").is_some(),
    },
    Rule {
        name: "a moment is a position or a time",
        message: ("", " must be a position or an RFC 3339 date-time with an offset"),
        deserved: |request| {
            ["from", "to", "asOf"].iter().filter_map(|name| request.query(name)).any(|text| !is_moment(&text))
        },
    },
    Rule {
        name: "a list begins at a position or at a cursor",
        message: ("after must be a position, or the next of a page with the same filters", ""),
        deserved: |request| request.query("after").is_some_and(|after| !is_position(&after)),
    },
    Rule {
        name: "positions are written plainly",
        message: ("after must be an integer number", ""),
        deserved: |request| request.query("after").is_some_and(|after| after.is_empty() || after.starts_with('0')),
    },
    Rule {
        name: "positions have 64 bits",
        message: ("after must not be greater than 18446744073709551615", ""),
        deserved: |request| request.query("after").is_some_and(|after| after.parse::<u64>().is_err()),
    },
    Rule {
        name: "U+0000 is not stored, so it is not looked for either",
        message: ("query must be percent-encoded UTF-8 without U+0000", ""),
        deserved: |request| request.uri.contains("%00"),
    },
];

fn is_position(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_moment(text: &str) -> bool {
    is_position(text) || (!text.contains(' ') && chrono::DateTime::parse_from_rfc3339(text).is_ok())
}
