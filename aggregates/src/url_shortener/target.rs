//! Targets of short links: addresses at the hosts that the operator has listed.
//!
//! An address is `https://`, a host exactly as listed, and a path with its query and fragment (RFC 3986). A list of
//! allowed hosts leaves nothing to parse in a host. A path is refused where browsers, proxies and servers read it in
//! different ways: `//` and `\` begin a host for some, `..` and encoded slashes leave a folder for others.

use crate::text::is_invisible;
use crate::values::{Finding, Problem, check_length};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longest path with query and fragment, in characters.
pub const PATH_LENGTH_MAX: usize = 2_048;

/// Characters of a path, beside letters and digits, that need no encoding. `@` is one in RFC 3986 and is left out: some
/// readers take what is before it for a user name.
const PATH_CHARACTERS: &[u8] = b"-._~!$&'()*+,;=:";
/// Further characters of a query and of a fragment.
const TAIL_CHARACTERS: &[u8] = b"/?@";

/// Hosts that links may lead to. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkHosts(Arc<BTreeSet<String>>);

impl LinkHosts {
    /// Hosts of a list with commas: names in their ASCII form, each with its port unless that is 443. Letter case does
    /// not matter. IP addresses are no names.
    ///
    /// # Errors
    /// The entry that is no host.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let hosts = entries.map(|entry| {
            let host = entry.to_ascii_lowercase();
            if is_host(&host) { Ok(host) } else { Err(entry.to_owned()) }
        });
        Ok(LinkHosts(Arc::new(hosts.collect::<Result<BTreeSet<_>, String>>()?)))
    }

    /// Whether links may lead to this host, written in lower case.
    #[must_use]
    pub fn contains(&self, netloc: &str) -> bool {
        self.0.contains(netloc)
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Browsers take a name whose last label is a number for an IPv4 address, in many forms.
    let is_address = name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    let is_port =
        |port: &str| port.parse::<u16>().is_ok_and(|number| !matches!(number, 0 | 443) && number.to_string() == port);
    name.len() <= 253 && name.split('.').all(is_label) && !is_address && port.is_none_or(is_port)
}

/// Address that a link leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "ShortLinkTarget"))]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Host, with its port unless that is 443.
    pub netloc: String,
    /// Path, with query and fragment if there are any.
    pub full_path: String,
}

impl Target {
    /// An address at one of the hosts.
    ///
    /// # Errors
    /// Each problem: `UnlistedHost` of `netloc`; `TooLong`, `NotAPath` of `fullPath`.
    pub fn within(hosts: &LinkHosts, netloc: &str, full_path: &str) -> Result<Self, Vec<Finding>> {
        let netloc = netloc.to_ascii_lowercase();
        let host = if hosts.contains(&netloc) { Ok(()) } else { Err(Problem::UnlistedHost.of("netloc")) };
        let path = check_path(full_path).map_err(|problem| problem.of("fullPath"));
        let findings: Vec<_> = [host, path].into_iter().filter_map(Result::err).collect();
        if findings.is_empty() { Ok(Target { netloc, full_path: full_path.to_owned() }) } else { Err(findings) }
    }

    /// The whole address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}{}", self.netloc, self.full_path)
    }
}

fn check_path(text: &str) -> Result<(), Problem> {
    check_length(text, PATH_LENGTH_MAX)?;
    let (text, fragment) = split_at(text, '#');
    let (path, query) = split_at(text, '?');
    let is_tail = |tail: &str| decoded(tail, TAIL_CHARACTERS).is_some();
    let fits = is_path(path) && query.is_none_or(is_tail) && fragment.is_none_or(is_tail);
    if fits { Ok(()) } else { Err(Problem::NotAPath) }
}

/// The text before a mark, and the text after it if the mark is there.
fn split_at(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn is_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    // Only the last segment may be empty, for a path that ends in a slash.
    rest.is_empty() || rest.strip_suffix('/').unwrap_or(rest).split('/').all(is_segment)
}

/// Whether a segment stays where it is, also for a server that decodes it once more, or that cuts off what is behind a
/// semicolon.
fn is_segment(segment: &str) -> bool {
    decoded(segment, &[]).is_some_and(|text| {
        let name = text.split(';').next().unwrap_or_default();
        !matches!(name, "" | "." | "..") && !text.contains(['/', '\\', '%'])
    })
}

/// The text without its encodings; `None` if a character must be encoded, an encoding is malformed, or the text is not
/// UTF-8 or has control or invisible characters.
fn decoded(text: &str, further: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => (hexadecimal(bytes.next()?)? << 4) | hexadecimal(bytes.next()?)?,
            _ if byte.is_ascii_alphanumeric() || PATH_CHARACTERS.contains(&byte) || further.contains(&byte) => byte,
            _ => return None,
        });
    }
    let text = String::from_utf8(decoded).ok()?;
    let is_hidden = text.chars().any(|c| c.is_control() || is_invisible(c));
    (!is_hidden).then_some(text)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}
