//! Short links: a code stands for an address at a listed host. Addresses are checked in [`target`], visits are recorded
//! in [`visits`].

pub mod target;
#[cfg(test)]
mod tests;
pub mod visits;

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{Finding, OrganizationId, Problem, UrlShortenerId};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use target::{LinkHosts, Target};

/// Code of a short link: eight letters and digits. Letter case matters; `0`, `O`, `I` and `l` are left out, since they
/// are mistaken for others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ShortCode(String);

impl ShortCode {
    /// Length, in characters.
    pub const LENGTH: usize = 8;
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

    /// The code of a number: its last digits to the base 58. There are 58^8 codes; the range of the numbers is 144,000
    /// times as large, so that no code is noticeably likelier than others.
    #[must_use]
    pub fn of(number: u64) -> Self {
        let base = Self::ALPHABET.len() as u64;
        let digits = std::iter::successors(Some(number), |rest| Some(rest / base)).take(Self::LENGTH);
        ShortCode(digits.map(|rest| char::from(Self::ALPHABET[(rest % base) as usize])).collect())
    }

    /// Reads a code; `None` for a text that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == Self::LENGTH && text.bytes().all(|byte| Self::ALPHABET.contains(&byte));
        fits.then(|| ShortCode(text.to_owned()))
    }

    /// The code as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Life cycle of a short link. Its code stays with it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UrlShortener {
    /// Never created.
    #[default]
    Absent,
    /// Created.
    Present(Link),
}

/// Content of a short link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "ShortLink"))]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// Owner of the link.
    pub organization_id: OrganizationId,
    /// Code that stands for the target.
    pub code: ShortCode,
    /// Address that the link leads to.
    pub target: Target,
    /// Time from which the link leads nowhere; absent for a link without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

impl Link {
    /// Whether the link has expired.
    #[must_use]
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// A new link, without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Identifier of the link.
    pub id: UrlShortenerId,
    /// Owner of the link.
    pub organization_id: OrganizationId,
    /// Host of the target, as entered.
    pub netloc: String,
    /// Path of the target, as entered.
    pub full_path: String,
    /// End of the link, if it has one.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Changes of a link. Absent members stay as they are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The new host, as entered.
    pub netloc: Option<String>,
    /// The new path, as entered.
    pub full_path: Option<String>,
    /// The new end; `Some(None)` clears it.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// Facts that new targets and ends are checked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Hosts that links may lead to.
    pub hosts: LinkHosts,
    /// The current time.
    pub now: DateTime<Utc>,
}

impl Limits {
    fn check_end(&self, end: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, Finding> {
        match end {
            Some(end) if end <= self.now => Err(Problem::Past.of("expiresAt")),
            end => Ok(end),
        }
    }
}

/// Commands of a short link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlShortenerCommand {
    /// Creates the link.
    Create {
        /// The link.
        new: NewLink,
        /// Code of the link.
        code: ShortCode,
        /// Facts to check it by.
        limits: Limits,
    },
    /// Changes the given members, all of them or none.
    Amend {
        /// The changes.
        amendment: Amendment,
        /// Facts to check them by.
        limits: Limits,
    },
}

/// Events of a short link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum UrlShortenerEvent {
    /// A short link was created.
    #[serde(rename = "url-shortener.created")]
    Created {
        /// The link.
        id: UrlShortenerId,
        /// Content of the link.
        link: Link,
    },
    /// The target or the end of a short link changed. The code stays.
    #[serde(rename = "url-shortener.amended")]
    Amended {
        /// Address that the link leads to from now on.
        target: Target,
        /// Time from which the link leads nowhere; absent for a link without end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
    },
}

event_names!(UrlShortenerEvent {
    Created => "url-shortener.created" @ "1.0" Insert, clear [
        "/id", "/link/organizationId", "/link/code", "/link/target/netloc", "/link/target/fullPath", "/link/expiresAt",
    ];
    Amended => "url-shortener.amended" @ "1.0" Update, clear ["/target/netloc", "/target/fullPath", "/expiresAt"];
});

impl EventFacts for UrlShortenerEvent {
    fn claims(&self) -> Vec<Claim> {
        match self {
            UrlShortenerEvent::Created { link, .. } => vec![Claim::Take(ClaimKey::short_code(&link.code))],
            UrlShortenerEvent::Amended { .. } => vec![],
        }
    }
}

/// Refusals of a short link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlShortenerError {
    /// Link not found.
    #[error("short link not found")]
    NotFound,
    /// The identifier is taken.
    #[error("short link already exists")]
    AlreadyExists,
    /// Some fields are invalid; all of them are named.
    #[error("{} field(s) refused", .0.len())]
    Invalid(Vec<Finding>),
}

impl Refuse for UrlShortenerError {
    fn kind(&self) -> RefusalKind {
        match self {
            UrlShortenerError::NotFound => RefusalKind::NotFound,
            UrlShortenerError::AlreadyExists => RefusalKind::Taken { field: "id" },
            UrlShortenerError::Invalid(findings) => RefusalKind::found(findings),
        }
    }
}

impl Decide for UrlShortener {
    fn creates(command: &UrlShortenerCommand) -> bool {
        matches!(command, UrlShortenerCommand::Create { .. })
    }

    fn decide(&self, command: UrlShortenerCommand) -> Result<Vec<UrlShortenerEvent>, UrlShortenerError> {
        match (self, command) {
            (UrlShortener::Absent, UrlShortenerCommand::Create { new, code, limits }) => {
                let NewLink { id, organization_id, netloc, full_path, expires_at } = new;
                let target = Target::within(&limits.hosts, &netloc, &full_path);
                let (target, expires_at) = fit(target, limits.check_end(expires_at))?;
                Ok(vec![UrlShortenerEvent::Created { id, link: Link { organization_id, code, target, expires_at } }])
            }
            (UrlShortener::Present(_), UrlShortenerCommand::Create { .. }) => Err(UrlShortenerError::AlreadyExists),
            (UrlShortener::Absent, UrlShortenerCommand::Amend { .. }) => Err(UrlShortenerError::NotFound),
            (UrlShortener::Present(link), UrlShortenerCommand::Amend { amendment, limits }) => {
                link.amend(amendment, &limits)
            }
        }
    }
}

impl Link {
    fn amend(&self, amendment: Amendment, limits: &Limits) -> Result<Vec<UrlShortenerEvent>, UrlShortenerError> {
        let Amendment { netloc, full_path, expires_at } = amendment;
        let target = match (netloc, full_path) {
            (None, None) => Ok(self.target.clone()),
            (netloc, full_path) => Target::within(
                &limits.hosts,
                netloc.as_deref().unwrap_or(&self.target.netloc),
                full_path.as_deref().unwrap_or(&self.target.full_path),
            ),
        };
        let end = match expires_at {
            None => Ok(self.expires_at),
            Some(end) => limits.check_end(end),
        };
        let (target, expires_at) = fit(target, end)?;
        let is_unchanged = (&target, expires_at) == (&self.target, self.expires_at);
        Ok(if is_unchanged { vec![] } else { vec![UrlShortenerEvent::Amended { target, expires_at }] })
    }
}

/// Target and end of a link, or everything that is wrong with them.
fn fit(
    target: Result<Target, Vec<Finding>>,
    end: Result<Option<DateTime<Utc>>, Finding>,
) -> Result<(Target, Option<DateTime<Utc>>), UrlShortenerError> {
    match (target, end) {
        (Ok(target), Ok(end)) => Ok((target, end)),
        (target, end) => {
            let findings = target.err().into_iter().flatten().chain(end.err());
            Err(UrlShortenerError::Invalid(findings.collect()))
        }
    }
}

impl UrlShortener {
    fn evolve(&mut self, event: UrlShortenerEvent) {
        match (&mut *self, event) {
            (UrlShortener::Absent, UrlShortenerEvent::Created { link, .. }) => *self = UrlShortener::Present(link),
            (UrlShortener::Present(link), UrlShortenerEvent::Amended { target, expires_at }) => {
                link.target = target;
                link.expires_at = expires_at;
            }
            // Recorded events are never refused.
            _ => {}
        }
    }
}

aggregate!(UrlShortener, "url-shortener", UrlShortenerCommand, UrlShortenerEvent, UrlShortenerError);
