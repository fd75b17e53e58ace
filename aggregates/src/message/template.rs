//! Templates of messages. One that an organization stores is used in place of that of its theme, and this in place of
//! the built-in one.
//!
//! Bounds of the texts and the uniqueness of a template are decided here. The language of templates is not part of the
//! domain: the check of it is an argument of the processes in [`crate::processes::templates`].

use super::{Channel, Format, Kind};
use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::user::Locale;
use crate::values::{
    EmailAddress, Finding, MessageTemplateId, OrganizationId, Problem, ThemeId, check_line, check_required_text,
};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use serde::{Deserialize, Serialize};

/// Longest subject and longest title, in characters.
pub const LINE_LENGTH_MAX: usize = 255;
/// Largest text of a template, in bytes. With its quotes escaped it fits into an event.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Owner of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageTemplateOwner"))]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// An organization.
    Organization(OrganizationId),
    /// A theme, which organizations share.
    Theme(ThemeId),
}

impl Owner {
    /// A text that is unique to the owner.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Owner::Organization(organization) => format!("organization/{organization}"),
            Owner::Theme(theme) => format!("theme/{theme}"),
        }
    }
}

/// Purpose of a template; an owner has one template for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageTemplatePurpose"))]
#[serde(rename_all = "camelCase")]
pub struct Purpose {
    /// Kind of the message.
    pub kind: Kind,
    /// Language and country.
    pub locale: Locale,
    /// Format of the text.
    pub format: Format,
}

impl Purpose {
    /// A text that is unique to the purpose.
    #[must_use]
    pub fn text(self) -> String {
        format!("{}/{}/{}", self.kind.name(), self.locale.name(), self.format.name())
    }
}

/// Content of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageTemplate"))]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Owner of the template.
    pub owner: Owner,
    /// Purpose of the template.
    pub purpose: Purpose,
    /// Template of the subject; absent for text messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Template of the text.
    pub text: String,
    /// Address for questions of those who get the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_email: Option<EmailAddress>,
    /// Display name of that address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_email_title: Option<String>,
}

/// Changes of a template. Absent members stay as they are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The new kind of message.
    pub kind: Option<Kind>,
    /// The new language and country.
    pub locale: Option<Locale>,
    /// The new format, of the same channel.
    pub format: Option<Format>,
    /// The new template of the subject.
    pub subject: Option<String>,
    /// The new template of the text.
    pub text: Option<String>,
    /// The new support address; `Some(None)` clears it.
    pub support_email: Option<Option<EmailAddress>>,
    /// The new display name of the support address; `Some(None)` clears it.
    pub support_email_title: Option<Option<String>>,
}

impl Template {
    fn check(&self) -> Result<(), Finding> {
        let Purpose { kind, format, .. } = self.purpose;
        if !kind.has_templates(format.channel()) {
            return Err(Problem::UnknownCode.of("type"));
        }
        if format.channel() == Channel::Email {
            let subject = self.subject.as_deref().unwrap_or_default();
            let line =
                check_required_text(subject, LINE_LENGTH_MAX).and_then(|()| check_line(subject, LINE_LENGTH_MAX));
            line.map_err(|problem| problem.of("subject"))?;
        }
        check_body(&self.text).map_err(|problem| problem.of("template"))?;
        let title = self.support_email_title.as_deref().unwrap_or_default();
        check_line(title, LINE_LENGTH_MAX).map_err(|problem| problem.of("supportEmailTitle"))
    }

    fn amended(&self, amendment: Amendment) -> Result<Template, Finding> {
        let Amendment { kind, locale, format, subject, text, support_email, support_email_title } = amendment;
        let former = self.purpose;
        let format = format.unwrap_or(former.format);
        if format.channel() != former.format.channel() {
            return Err(Problem::UnknownCode.of("format"));
        }
        let (kind, locale) = (kind.unwrap_or(former.kind), locale.unwrap_or(former.locale));
        let template = Template {
            owner: self.owner,
            purpose: Purpose { kind, locale, format },
            subject: subject.or_else(|| self.subject.clone()),
            text: text.unwrap_or_else(|| self.text.clone()),
            support_email: support_email.unwrap_or_else(|| self.support_email.clone()),
            support_email_title: support_email_title.unwrap_or_else(|| self.support_email_title.clone()),
        };
        template.check()?;
        Ok(template)
    }

    fn claim(&self, purpose: Purpose) -> ClaimKey {
        ClaimKey::message_template(self.owner, purpose)
    }
}

/// Refuses a text that is blank or too large, or that has control characters beside line breaks and tabs: JSON writes
/// each of them with six bytes, so that an event could not hold the largest text.
fn check_body(text: &str) -> Result<(), Problem> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Problem::TooManyBytes { max: TEXT_BYTES_MAX });
    }
    check_required_text(text, TEXT_BYTES_MAX)?;
    let unfit = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t');
    if text.chars().any(unfit) { Err(Problem::Control) } else { Ok(()) }
}

/// Life cycle of a template.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageTemplate {
    /// Never created.
    #[default]
    Absent,
    /// Present.
    Present(Template),
}

/// Commands of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateCommand {
    /// Creates the template.
    Create {
        /// The template.
        id: MessageTemplateId,
        /// Content of the template.
        template: Template,
    },
    /// Changes the given members, all of them or none.
    Amend(Amendment),
}

/// Events of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum TemplateEvent {
    /// A template of messages was stored for an organization or a theme.
    #[serde(rename = "message-template.created")]
    Created {
        /// The template.
        id: MessageTemplateId,
        /// Content of the template.
        template: Template,
    },
    /// A template of messages changed.
    #[serde(rename = "message-template.amended")]
    Amended {
        /// The new content.
        template: Template,
        /// The purpose before the change, if the template has another one now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<Purpose>,
    },
}

event_names!(TemplateEvent {
    Created => "message-template.created" @ "1.0" Insert, clear [
        "/id", "/template/owner/organization", "/template/owner/theme", "/template/purpose/kind",
        "/template/purpose/locale", "/template/purpose/format", "/template/subject", "/template/text",
        "/template/supportEmail", "/template/supportEmailTitle",
    ];
    Amended => "message-template.amended" @ "1.0" Update, clear [
        "/template/owner/organization", "/template/owner/theme", "/template/purpose/kind",
        "/template/purpose/locale", "/template/purpose/format", "/template/subject", "/template/text",
        "/template/supportEmail", "/template/supportEmailTitle", "/former/kind", "/former/locale", "/former/format",
    ];
});

impl EventFacts for TemplateEvent {
    fn claims(&self) -> Vec<Claim> {
        match self {
            TemplateEvent::Created { template, .. } => vec![Claim::Take(template.claim(template.purpose))],
            TemplateEvent::Amended { template, former: Some(former) } => {
                vec![Claim::Release(template.claim(*former)), Claim::Take(template.claim(template.purpose))]
            }
            TemplateEvent::Amended { former: None, .. } => vec![],
        }
    }
}

/// Refusals of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Template not found.
    #[error("template not found")]
    NotFound,
    /// The identifier is taken.
    #[error("template already exists")]
    AlreadyExists,
    /// A member is invalid.
    #[error(transparent)]
    Unfit(#[from] Finding),
}

impl Refuse for TemplateError {
    fn kind(&self) -> RefusalKind {
        match self {
            TemplateError::NotFound => RefusalKind::NotFound,
            TemplateError::AlreadyExists => RefusalKind::Taken { field: "type" },
            TemplateError::Unfit(finding) => finding.kind(),
        }
    }
}

impl Decide for MessageTemplate {
    fn creates(command: &TemplateCommand) -> bool {
        matches!(command, TemplateCommand::Create { .. })
    }

    fn decide(&self, command: TemplateCommand) -> Result<Vec<TemplateEvent>, TemplateError> {
        match (self, command) {
            (MessageTemplate::Absent, TemplateCommand::Create { id, template }) => {
                template.check()?;
                Ok(vec![TemplateEvent::Created { id, template }])
            }
            (MessageTemplate::Present(_), TemplateCommand::Create { .. }) => Err(TemplateError::AlreadyExists),
            (MessageTemplate::Absent, TemplateCommand::Amend(_)) => Err(TemplateError::NotFound),
            (MessageTemplate::Present(present), TemplateCommand::Amend(amendment)) => {
                let template = present.amended(amendment)?;
                let former = (template.purpose != present.purpose).then_some(present.purpose);
                Ok(if template == *present { vec![] } else { vec![TemplateEvent::Amended { template, former }] })
            }
        }
    }
}

impl MessageTemplate {
    fn evolve(&mut self, event: TemplateEvent) {
        let (TemplateEvent::Created { template, .. } | TemplateEvent::Amended { template, .. }) = event;
        *self = MessageTemplate::Present(template);
    }
}

aggregate!(MessageTemplate, "message-template", TemplateCommand, TemplateEvent, TemplateError);
