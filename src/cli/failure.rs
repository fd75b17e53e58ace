//! Error reports of commands, in a few lines for the operator.

use std::fmt::Write as _;
use std::io::Write as _;

/// Placeholder for credentials in messages about the form of a URL.
const EXAMPLE: &str = "user:password";

/// Writes the error to standard error.
pub(super) fn report(error: &anyhow::Error) {
    // Without standard error the report has no reader.
    let _ = writeln!(std::io::stderr().lock(), "registrar: {}", describe(error));
}

/// The error with the causes that its first line does not contain, followed by a remedy.
fn describe(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let (first, advice) = text.split_once('\n').unwrap_or((&text, ""));
    let mut told = first.to_owned();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            let _ = write!(told, ": {cause}");
        }
    }
    if !advice.is_empty() {
        let _ = write!(told, "\n{advice}");
    }
    without_passwords(&told)
}

/// Removes passwords: drivers may repeat the URL that they were given.
fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("://");
        let authority_end = part.find(|c: char| c == '/' || c == '?' || c.is_whitespace()).unwrap_or(part.len());
        let (authority, rest) = part.split_at(authority_end);
        match authority.rsplit_once('@') {
            Some((credentials, host)) if credentials != EXAMPLE => {
                let _ = write!(clean, "***@{host}{rest}");
            }
            _ => clean.push_str(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct OuterError(#[source] std::io::Error);

    #[test]
    fn a_cause_is_told_once() {
        let outer = OuterError(std::io::Error::other("inner"));
        assert_eq!(describe(&anyhow::Error::new(outer)), "outer: inner");
        let told = anyhow::Error::new(std::io::Error::other("inner")).context("outer because of inner");
        assert_eq!(describe(&told), "outer because of inner");
    }

    #[test]
    fn advice_comes_last() {
        let told = anyhow::Error::new(std::io::Error::other("inner")).context("outer\nDo this.");
        assert_eq!(describe(&told), "outer: inner\nDo this.");
    }

    #[test]
    fn no_password_of_a_url_is_told() {
        assert_eq!(without_passwords("no postgres://a:se:cr@t@host:5/db here"), "no postgres://***@host:5/db here");
        assert_eq!(without_passwords("nats://token@host"), "nats://***@host");
        assert_eq!(without_passwords("as postgres://user:password@host"), "as postgres://user:password@host");
        assert_eq!(without_passwords("see https://host/docs and a@b"), "see https://host/docs and a@b");
    }
}
