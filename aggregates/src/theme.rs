//! Themes: brands that organizations point at. A theme is never removed, so that an organization's theme exists as long
//! as the organization names it.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::text::{domain_in_ascii, fold};
use crate::values::{EmailAddress, Problem, ThemeId, check_length, check_visible, trimmed_name};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use serde::{Deserialize, Serialize};

/// Longest name beside the support address, in characters.
pub const SUPPORT_NAME_LENGTH_MAX: usize = 255;

/// A domain name of at least two labels, as entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct DomainName(String);

impl DomainName {
    /// Longest domain name, in characters (RFC 1035 2.3.4, without the length octets at both ends).
    pub const LENGTH_MAX: usize = 253;

    /// Checks the form; surrounding space is dropped. Single labels and IP addresses are refused: they name no brand.
    ///
    /// # Errors
    /// `NotADomain`, `TooLong`, `Invisible`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        check_length(text, Self::LENGTH_MAX)?;
        let ascii = domain_in_ascii(text).ok_or(Problem::NotADomain)?;
        let (_, top) = ascii.rsplit_once('.').ok_or(Problem::NotADomain)?;
        // No top-level domain is a number (RFC 3696 2); the last part of an IPv4 address is one.
        if top.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Problem::NotADomain);
        }
        check_visible(text)?;
        Ok(DomainName(text.to_owned()))
    }

    /// The form that is equal for spellings of the same domain: ASCII, lower case.
    #[must_use]
    pub fn comparable(&self) -> String {
        domain_in_ascii(&self.0).unwrap_or_else(|| fold(&self.0))
    }
}

/// Content of a theme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "ThemeBrand"))]
#[serde(rename_all = "camelCase")]
pub struct Brand {
    /// Domain of the brand, unique among themes in any spelling.
    pub domain: DomainName,
    /// Support address of the brand, which its customers are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_email: Option<EmailAddress>,
    /// Display name of the support address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_email_name: Option<String>,
}

/// Life cycle of a theme.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Theme {
    /// Never created.
    #[default]
    Absent,
    /// Organizations may point at it.
    Present(Brand),
}

/// Commands of a theme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThemeCommand {
    /// Creates the theme.
    Create {
        /// The theme.
        id: ThemeId,
        /// Content of the theme.
        brand: Brand,
    },
    /// Changes the given members, all of them or none.
    Amend(Amendment),
}

/// Changes of a theme. Absent members stay as they are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The new domain.
    pub domain: Option<DomainName>,
    /// The new support address.
    pub support_email: Option<EmailAddress>,
    /// The new display name of the support address; a blank one clears it.
    pub support_email_name: Option<String>,
}

/// Events of a theme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum ThemeEvent {
    /// A theme was created.
    #[serde(rename = "organization-theme.created")]
    Created {
        /// The theme.
        id: ThemeId,
        /// Content of the theme.
        brand: Brand,
    },
    /// The domain or the support contact of a theme changed.
    #[serde(rename = "organization-theme.amended")]
    Amended {
        /// The former domain; absent where the domain is the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former_domain: Option<DomainName>,
        /// The new content.
        brand: Brand,
    },
}

// The contact is that of a brand, which publishes it, and not that of a person.
event_names!(ThemeEvent {
    Created => "organization-theme.created" @ "1.0" Insert, clear [
        "/id", "/brand/domain", "/brand/supportEmail", "/brand/supportEmailName",
    ];
    Amended => "organization-theme.amended" @ "1.0" Update, clear [
        "/formerDomain", "/brand/domain", "/brand/supportEmail", "/brand/supportEmailName",
    ];
});

impl EventFacts for ThemeEvent {
    fn claims(&self) -> Vec<Claim> {
        let key = ClaimKey::theme_domain;
        match self {
            ThemeEvent::Created { brand, .. } => vec![Claim::Take(key(&brand.domain))],
            // Another spelling is the same domain.
            ThemeEvent::Amended { former_domain: Some(former), brand } if key(former) != key(&brand.domain) => {
                vec![Claim::Release(key(former)), Claim::Take(key(&brand.domain))]
            }
            ThemeEvent::Amended { .. } => vec![],
        }
    }
}

/// Refusals of a theme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// Theme not found.
    #[error("theme not found")]
    NotFound,
    /// The identifier is taken.
    #[error("theme already exists")]
    AlreadyExists,
    /// The display name of the support address is invalid.
    #[error("support address name {0}")]
    UnfitSupportName(Problem),
}

impl Refuse for ThemeError {
    fn kind(&self) -> RefusalKind {
        match self {
            ThemeError::NotFound => RefusalKind::NotFound,
            ThemeError::AlreadyExists => RefusalKind::Taken { field: "id" },
            ThemeError::UnfitSupportName(problem) => RefusalKind::invalid("supportEmailName", problem),
        }
    }
}

impl Decide for Theme {
    fn creates(command: &ThemeCommand) -> bool {
        matches!(command, ThemeCommand::Create { .. })
    }

    fn decide(&self, command: ThemeCommand) -> Result<Vec<ThemeEvent>, ThemeError> {
        match (self, command) {
            (Theme::Absent, ThemeCommand::Create { id, brand }) => {
                let brand = fit(brand)?;
                Ok(vec![ThemeEvent::Created { id, brand }])
            }
            (Theme::Present(_), ThemeCommand::Create { .. }) => Err(ThemeError::AlreadyExists),
            (Theme::Absent, ThemeCommand::Amend(_)) => Err(ThemeError::NotFound),
            (Theme::Present(present), ThemeCommand::Amend(amendment)) => {
                let brand = fit(Brand {
                    domain: amendment.domain.unwrap_or_else(|| present.domain.clone()),
                    support_email: amendment.support_email.or_else(|| present.support_email.clone()),
                    support_email_name: amendment.support_email_name.or_else(|| present.support_email_name.clone()),
                })?;
                if brand == *present {
                    return Ok(vec![]);
                }
                let former_domain = (brand.domain != present.domain).then(|| present.domain.clone());
                Ok(vec![ThemeEvent::Amended { former_domain, brand }])
            }
        }
    }
}

fn fit(brand: Brand) -> Result<Brand, ThemeError> {
    let name = brand.support_email_name.as_deref().map(support_name).transpose();
    let support_email_name = name.map_err(ThemeError::UnfitSupportName)?.flatten();
    Ok(Brand { support_email_name, ..brand })
}

/// The name without surrounding space; a blank one is none. Messages have it in a header, so a line break in it would
/// begin another one.
fn support_name(name: &str) -> Result<Option<String>, Problem> {
    if name.trim().is_empty() {
        return Ok(None);
    }
    let name = trimmed_name(name, SUPPORT_NAME_LENGTH_MAX)?;
    if name.chars().any(char::is_control) { Err(Problem::Control) } else { Ok(Some(name)) }
}

impl Theme {
    fn evolve(&mut self, event: ThemeEvent) {
        let (ThemeEvent::Created { brand, .. } | ThemeEvent::Amended { brand, .. }) = event;
        *self = Theme::Present(brand);
    }
}

aggregate!(Theme, "organization-theme", ThemeCommand, ThemeEvent, ThemeError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use uuid::Uuid;

    const ID: ThemeId = ThemeId(Uuid::from_u128(1));

    fn given(events: impl IntoIterator<Item = ThemeEvent>) -> AggregateTestExecutor<Theme> {
        TestFramework::with(()).given(events.into_iter().collect())
    }

    fn domain(text: &str) -> DomainName {
        DomainName::parse(text).unwrap_or_else(|problem| panic!("{text:?} {problem}"))
    }

    fn brand() -> Brand {
        Brand {
            domain: domain("Care.Example.com"),
            support_email: EmailAddress::parse("Help@Example.com").ok(),
            support_email_name: Some("Example Care".into()),
        }
    }

    fn create(brand: Brand) -> ThemeCommand {
        ThemeCommand::Create { id: ID, brand }
    }

    fn created() -> ThemeEvent {
        ThemeEvent::Created { id: ID, brand: brand() }
    }

    /// A theme that had another domain before.
    fn moved(from: &str) -> ThemeEvent {
        ThemeEvent::Amended { former_domain: Some(domain(from)), brand: brand() }
    }

    impl Samples for ThemeEvent {
        fn samples() -> Vec<Self> {
            vec![created(), moved("example.com")]
        }
    }

    #[test]
    fn a_domain_is_kept_as_it_was_entered() {
        for text in ["example.com", "Care.EXAMPLE.com", "a-b.c-d.org", "1.example", "bücher.example", "例え.テスト"]
        {
            assert_eq!(domain(&format!(" {text}\n")), DomainName(text.to_owned()));
        }
    }

    #[test]
    fn malformed_domains_are_refused() {
        for text in [
            "",
            " ",
            "localhost",
            ".example",
            "example.",
            "example.com.",
            "a..b",
            "-a.example",
            "a-.example",
            "a_b.example",
            "a b.example",
            "*.example.com",
            "https://example.com",
            "example.com/",
            "example.com:443",
            "ada@example.com",
            "127.0.0.1",
            "[::1]",
            "xn--a.example",
            "a\0b.example",
        ] {
            assert_eq!(DomainName::parse(text), Err(Problem::NotADomain), "{text:?}");
        }
        assert_eq!(DomainName::parse(&format!("{}.example", "a".repeat(64))), Err(Problem::NotADomain));
        let longest = format!("{}example", "a.".repeat(123));
        assert_eq!(longest.len(), DomainName::LENGTH_MAX);
        domain(&longest);
        assert_eq!(DomainName::parse(&format!("{longest}s")), Err(Problem::TooLong { max: 253 }));
        assert_eq!(DomainName::parse("ex\u{ad}ample.com"), Err(Problem::Invisible));
    }

    #[test]
    fn spellings_of_one_domain_compare_equal() {
        let ascii = "xn--bcher-kva.example";
        for text in [ascii, "bücher.example", "BÜCHER.Example", "bu\u{308}cher。example"] {
            assert_eq!(domain(text).comparable(), ascii, "{text}");
        }
        assert_ne!(domain("a.example").comparable(), domain("b.example").comparable());
    }

    #[test]
    fn a_theme_is_created_once() {
        given([]).when(create(brand())).then_expect_events(vec![created()]);
        given([created()]).when(create(brand())).then_expect_error(ThemeError::AlreadyExists);
    }

    #[test]
    fn the_name_of_the_support_is_one_line_that_can_be_read() {
        let named = |name: &str| Brand { support_email_name: Some(name.into()), ..brand() };
        let longest = "ä".repeat(SUPPORT_NAME_LENGTH_MAX);
        for (name, kept) in
            [(" Example Care ", Some("Example Care")), ("", None), (" \n", None), (&*longest, Some(&*longest))]
        {
            let brand = Brand { support_email_name: kept.map(str::to_owned), ..brand() };
            given([]).when(create(named(name))).then_expect_events(vec![ThemeEvent::Created { id: ID, brand }]);
        }
        let longer = format!("{longest}ä");
        for (name, problem) in [
            ("a\0b", Problem::Nul),
            ("Care\r\nBcc: ada@example.com", Problem::Control),
            ("a\u{9b}b", Problem::Control),
            ("a\u{202e}b", Problem::Invisible),
            (&*longer, Problem::TooLong { max: SUPPORT_NAME_LENGTH_MAX }),
        ] {
            let refusal = || ThemeError::UnfitSupportName(problem.clone());
            given([]).when(create(named(name))).then_expect_error(refusal());
            let renamed = Amendment { support_email_name: Some(name.into()), ..Amendment::default() };
            given([created()]).when(ThemeCommand::Amend(renamed)).then_expect_error(refusal());
        }
    }

    #[test]
    fn only_changed_values_are_recorded() {
        let amend = ThemeCommand::Amend;
        given([created()]).when(amend(Amendment::default())).then_expect_events(vec![]);
        let same =
            Amendment { domain: Some(brand().domain), support_email: brand().support_email, ..Amendment::default() };
        given([created()]).when(amend(same)).then_expect_events(vec![]);
        let other = Amendment {
            domain: Some(domain("example.org")),
            support_email_name: Some(" ".into()),
            ..Amendment::default()
        };
        let changed = Brand { domain: domain("example.org"), support_email_name: None, ..brand() };
        let amended = ThemeEvent::Amended { former_domain: Some(brand().domain), brand: changed };
        given([created()]).when(amend(other.clone())).then_expect_events(vec![amended]);
        let contact = Amendment { support_email: EmailAddress::parse("desk@example.com").ok(), ..Amendment::default() };
        let changed = Brand { support_email: contact.support_email.clone(), ..brand() };
        let amended = ThemeEvent::Amended { former_domain: None, brand: changed };
        given([created()]).when(amend(contact)).then_expect_events(vec![amended]);
        given([]).when(amend(other)).then_expect_error(ThemeError::NotFound);
    }

    #[test]
    fn a_theme_holds_its_domain_in_every_spelling() {
        let key = |text: &str| ClaimKey::theme_domain(&domain(text));
        assert_eq!(created().claims(), [Claim::Take(key("care.example.com"))]);
        let moved_claims = [Claim::Release(key("example.com")), Claim::Take(key("CARE.example.com"))];
        assert_eq!(moved("Example.com").claims(), moved_claims);
        assert!(moved("care.example.COM").claims().is_empty());
        assert!(ThemeEvent::Amended { former_domain: None, brand: brand() }.claims().is_empty());
    }
}
