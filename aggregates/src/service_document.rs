//! Documents that people agree to before they go on, such as terms of use. Each version of a document is a stream of
//! one event, so that no version loads the texts of another. It is never changed: people have agreed to its text.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::user::Locale;
use crate::values::{
    Finding, OrganizationId, Problem, ServiceDocumentId, check_required_text, check_text, trimmed_name,
};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use serde::{Deserialize, Serialize};

/// Longest name, in characters.
pub const NAME_LENGTH_MAX: usize = 255;
/// Longest title of a text, in characters.
pub const TITLE_LENGTH_MAX: usize = 255;
/// Most bytes of all texts of a version as JSON. An event has 256 KiB at most, and its other members take less than the
/// difference.
pub const TEXTS_BYTES_MAX: usize = 250 * 1024;

/// The text of a document in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "ServiceDocumentTranslation"))]
#[serde(rename_all = "camelCase")]
pub struct Translation {
    /// Language of the text.
    pub locale: Locale,
    /// Title of the text.
    pub title: String,
    /// The text as sanitised HTML: elements of a page's body, without script, style or anything from elsewhere.
    pub html: String,
}

/// A version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Publication {
    /// Identifier of the version, by which people agree to it.
    pub id: ServiceDocumentId,
    /// The organization whose people the document is for; absent for all people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Name of the document, the same in all its versions.
    pub name: String,
    /// Number of the version; the highest one counts.
    pub version: u32,
    /// Whether agreement is required to go on.
    pub binding: bool,
    /// The text in each language, the main language first; empty for a document whose text is kept elsewhere.
    pub translations: Vec<Translation>,
}

impl Publication {
    /// The claim of this version. Names differ by letter case, not by surrounding space.
    #[must_use]
    pub fn claim(&self) -> ClaimKey {
        ClaimKey::service_document(self.organization_id, self.name.trim(), self.version)
    }

    /// The publication as it is stored: its name without surrounding space, its languages in their order.
    fn fit(mut self) -> Result<Self, Finding> {
        self.name = trimmed_name(&self.name, NAME_LENGTH_MAX).map_err(|problem| problem.of("name"))?;
        self.translations.sort_by_key(|translation| translation.locale);
        for (index, translation) in self.translations.iter().enumerate() {
            let field = |member: &str| format!("translations[{index}].{member}");
            let Translation { locale, title, html } = translation;
            if self.translations[..index].iter().any(|earlier| earlier.locale == *locale) {
                return Err(Problem::Repeated.of(&field("locale")));
            }
            check_required_text(title, TITLE_LENGTH_MAX).map_err(|problem| problem.of(&field("title")))?;
            check_text(html).map_err(|problem| problem.of(&field("html")))?;
            if html.trim().is_empty() {
                return Err(Problem::Blank.of(&field("html")));
            }
        }
        let bytes = serde_json::to_string(&self.translations).map_or(usize::MAX, |texts| texts.len());
        if bytes > TEXTS_BYTES_MAX {
            return Err(Problem::TooLarge { max: TEXTS_BYTES_MAX }.of("translations"));
        }
        Ok(self)
    }
}

/// Life cycle of a version.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceDocument {
    /// Never published.
    #[default]
    Absent,
    /// Published, for good.
    Published,
}

/// Events of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub enum ServiceDocumentEvent {
    /// A version of a document was published.
    #[serde(rename = "service-document.published")]
    Published(Box<Publication>),
}

event_names!(ServiceDocumentEvent {
    Published => "service-document.published" @ "1.0" Insert, clear [
        "/id", "/organizationId", "/name", "/translations/*/locale", "/translations/*/title", "/translations/*/html",
    ];
});

impl EventFacts for ServiceDocumentEvent {
    fn claims(&self) -> Vec<Claim> {
        let ServiceDocumentEvent::Published(publication) = self;
        vec![Claim::Take(publication.claim())]
    }
}

/// Refusals of a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceDocumentError {
    /// The version was published before, with this text or another one.
    #[error("this version is published already")]
    AlreadyPublished,
    /// A member is invalid.
    #[error(transparent)]
    Unfit(#[from] Finding),
}

impl Refuse for ServiceDocumentError {
    fn kind(&self) -> RefusalKind {
        match self {
            ServiceDocumentError::AlreadyPublished => RefusalKind::Taken { field: "version" },
            ServiceDocumentError::Unfit(finding) => finding.kind(),
        }
    }
}

impl Decide for ServiceDocument {
    fn creates(_command: &Publication) -> bool {
        true
    }

    fn decide(&self, command: Publication) -> Result<Vec<ServiceDocumentEvent>, ServiceDocumentError> {
        match self {
            ServiceDocument::Absent => Ok(vec![ServiceDocumentEvent::Published(Box::new(command.fit()?))]),
            ServiceDocument::Published => Err(ServiceDocumentError::AlreadyPublished),
        }
    }
}

impl ServiceDocument {
    fn evolve(&mut self, _event: ServiceDocumentEvent) {
        *self = ServiceDocument::Published;
    }
}

aggregate!(ServiceDocument, "service-document", Publication, ServiceDocumentEvent, ServiceDocumentError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use uuid::Uuid;

    fn text(locale: Locale, title: &str, html: &str) -> Translation {
        Translation { locale, title: title.into(), html: html.into() }
    }

    fn terms() -> Publication {
        Publication {
            id: ServiceDocumentId(Uuid::from_u128(1)),
            organization_id: Some(OrganizationId(Uuid::from_u128(10))),
            name: "terms".into(),
            version: 3,
            binding: true,
            translations: vec![
                text(Locale::EnUs, "Terms of use", "<p>Be kind.</p>"),
                text(Locale::EsUs, "Condiciones de uso", "<p>Sé amable.</p>"),
            ],
        }
    }

    fn published(publication: Publication) -> ServiceDocumentEvent {
        ServiceDocumentEvent::Published(Box::new(publication))
    }

    impl Samples for ServiceDocumentEvent {
        fn samples() -> Vec<Self> {
            vec![published(terms())]
        }
    }

    fn given(events: impl IntoIterator<Item = ServiceDocumentEvent>) -> AggregateTestExecutor<ServiceDocument> {
        TestFramework::with(()).given(events.into_iter().collect())
    }

    fn refused(publication: Publication, finding: Finding) {
        given([]).when(publication).then_expect_error(finding.into());
    }

    #[test]
    fn a_version_is_published_once() {
        given([]).when(terms()).then_expect_events(vec![published(terms())]);
        let other_text = Publication { translations: vec![], ..terms() };
        for again in [terms(), other_text] {
            given([published(terms())]).when(again).then_expect_error(ServiceDocumentError::AlreadyPublished);
        }
    }

    #[test]
    fn a_version_is_claimed_by_its_owner_its_name_and_its_number() {
        let Publication { organization_id, .. } = terms();
        let key = ClaimKey::service_document(organization_id, "terms", 3);
        assert_eq!(published(terms()).claims(), [Claim::Take(key.clone())]);
        let same = Publication { name: " terms ".into(), id: ServiceDocumentId(Uuid::nil()), ..terms() };
        assert_eq!(same.claim(), key);
        for other in [
            Publication { organization_id: None, ..terms() },
            Publication { name: "Terms".into(), ..terms() },
            Publication { version: 4, ..terms() },
            // The parts of the key are told apart.
            Publication { name: "0/terms".into(), version: 3, ..terms() },
        ] {
            assert_ne!(other.claim(), key, "{other:?}");
        }
    }

    #[test]
    fn a_name_loses_its_surrounding_space_and_languages_come_in_their_order() {
        let mut untidy = Publication { name: " terms\n".into(), ..terms() };
        untidy.translations.reverse();
        given([]).when(untidy).then_expect_events(vec![published(terms())]);
    }

    #[test]
    fn a_document_without_a_text_is_published() {
        let bare = Publication { organization_id: None, binding: false, translations: vec![], ..terms() };
        given([]).when(bare.clone()).then_expect_events(vec![published(bare)]);
    }

    #[test]
    fn unfit_names_are_refused() {
        let named = |name: &str| Publication { name: name.into(), ..terms() };
        refused(named(" "), Problem::Blank.of("name"));
        refused(named("te\0rms"), Problem::Nul.of("name"));
        refused(named("te\u{200b}rms"), Problem::Invisible.of("name"));
        refused(named("te\u{202e}rms"), Problem::Invisible.of("name"));
        refused(named(&"x".repeat(256)), Problem::TooLong { max: NAME_LENGTH_MAX }.of("name"));
    }

    #[test]
    fn unfit_texts_are_refused() {
        let (long, of_title) = ("x".repeat(256), "translations[0].title");
        for (title, html, finding) in [
            ("\u{200b} ", "<p>", Problem::Blank.of(of_title)),
            ("a\u{202e}b", "<p>", Problem::Override.of(of_title)),
            (long.as_str(), "<p>", Problem::TooLong { max: TITLE_LENGTH_MAX }.of(of_title)),
            ("Terms", " \n", Problem::Blank.of("translations[0].html")),
            ("Terms", "<p>\0", Problem::Nul.of("translations[0].html")),
            ("Terms", "<p>\u{2066}", Problem::Override.of("translations[0].html")),
        ] {
            refused(Publication { translations: vec![text(Locale::EnUs, title, html)], ..terms() }, finding);
        }
        let twice = vec![text(Locale::EsUs, "Uno", "<p>"), text(Locale::EsUs, "Dos", "<p>")];
        refused(Publication { translations: twice, ..terms() }, Problem::Repeated.of("translations[1].locale"));
    }

    #[test]
    fn texts_have_250_kibibytes_in_all() {
        let sized = |bytes: usize| {
            let mut translations = terms().translations;
            let missing = bytes - serde_json::to_string(&translations).expect("JSON").len();
            translations[1].html.push_str(&"x".repeat(missing));
            Publication { translations, ..terms() }
        };
        let largest = sized(TEXTS_BYTES_MAX);
        given([]).when(largest.clone()).then_expect_events(vec![published(largest.clone())]);
        let event = Publication { name: "\u{10000}".repeat(NAME_LENGTH_MAX), version: u32::MAX, ..largest };
        let event = serde_json::to_string(&published(event)).expect("JSON");
        assert!(event.len() < 256 * 1024, "{} bytes", event.len());
        refused(sized(TEXTS_BYTES_MAX + 1), Problem::TooLarge { max: TEXTS_BYTES_MAX }.of("translations"));
    }
}
