//! Previews of messages: their texts with sample values, of a template before it is stored and of what is sent.

use super::compose::{ChosenContent, Sender, built_in, choose, email, text_message};
use super::templates::{self, Variables};
use crate::journal::JournalResult;
use crate::node::Node;
use registrar_aggregates::Decide;
use registrar_aggregates::message::delivery::Content;
use registrar_aggregates::message::template::{MessageTemplate, Template, TemplateCommand, TemplateError};
use registrar_aggregates::message::{Channel, Format, Kind};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::MessageTemplateId;
use uuid::Uuid;

/// Reason why a template has no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The template breaks a rule, and would not be stored.
    #[error(transparent)]
    Unfit(#[from] TemplateError),
    /// The message would not be sent: the next template in the order of choice would take its place.
    #[error("the message would be empty or too large, so that it would not be sent")]
    Unsendable,
}

/// Renders a template in the name of an organization, after every check that a template passes when it is stored.
///
/// # Errors
/// [`PreviewError`].
pub fn of_template(template: &Template, sender: Option<&Sender>) -> Result<Content, PreviewError> {
    let create = TemplateCommand::Create { id: MessageTemplateId(Uuid::nil()), template: template.clone() };
    MessageTemplate::default().decide(create)?;
    templates::check(template).map_err(TemplateError::from)?;
    let purpose = template.purpose;
    let samples = samples(purpose.kind, sender);
    // A template may break a rule with the name of one organization alone.
    templates::check_with(template, &samples).map_err(TemplateError::from)?;
    let [full, _] = &samples;
    let content = match purpose.format {
        Format::Html => email(purpose.locale, Some(template), None, full),
        Format::Txt => email(purpose.locale, None, Some(template), full),
        Format::Sms => text_message(template, full),
    };
    content.ok_or(PreviewError::Unsendable)
}

/// The texts that are sent in the name of an organization: of its template, of that of its theme, or built in.
///
/// # Errors
/// `Unavailable`; `Corrupt`, also for a kind of message that the channel does not have.
pub async fn of_organization(
    node: &Node,
    sender: &Sender,
    kind: Kind,
    channel: Channel,
    locale: Locale,
) -> JournalResult<ChosenContent> {
    let [full, _] = samples(kind, Some(sender));
    choose(node, Some(sender), kind, channel, locale, &full).await
}

/// The built-in texts.
///
/// # Errors
/// `Corrupt` for a kind of message that the channel does not have.
pub fn of_built_in(kind: Kind, channel: Channel, locale: Locale) -> JournalResult<ChosenContent> {
    let [full, _] = samples(kind, None);
    built_in(kind, channel, locale, &full)
}

/// The sample values of a kind, with the name and the support address of an organization in place of those of the
/// samples.
fn samples(kind: Kind, sender: Option<&Sender>) -> [Variables; 2] {
    Variables::samples(kind).map(|mut variables| {
        if let Some(sender) = sender {
            (variables.organization, variables.support_email) = (None, None);
            sender.fill(&mut variables);
        }
        variables
    })
}
