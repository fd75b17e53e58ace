//! Templates of messages as resources: of e-mail and of text messages. Organization admins manage those of their
//! organization, system admins those of themes as well.

use super::call::{Attributes, Call, HandlerResult, Parameters, Parse, Parsed, QueryExt};
use super::documents::{Reply, Resource};
use super::refusals::{NO_TEMPLATE, attribute};
use super::times;
use crate::access::resource::{CatalogueAct, OrganizationAct};
use crate::api::common::ApiError;
use crate::api::common::error::Source;
use crate::processes::{DirectoryError, templates};
use registrar_aggregates::message::template::{Amendment, Owner, Purpose, Template};
use registrar_aggregates::message::{Channel, Format, Kind};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{EmailAddress, MessageTemplateId, OrganizationId, ThemeId};
use registrar_projections::message_templates::{
    BY_CREATION, CHANNEL, FORMAT, KIND, LOCALE, MessageTemplateDocument, ORGANIZATION_ID, THEME_ID,
};
use registrar_projections::themes::ThemeDocument;
use registrar_projections::{Direction, OrganizationDocument, Query};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
pub(super) struct TemplateFilters {
    #[serde(rename = "filter[format]")]
    format: Option<Format>,
    #[serde(rename = "filter[locale]")]
    locale: Option<Locale>,
    #[serde(rename = "filter[type]")]
    kind: Option<Kind>,
    #[serde(rename = "organization-id")]
    organization: Option<OrganizationId>,
    #[serde(rename = "theme-id")]
    theme: Option<ThemeId>,
}

/// A new template. Text messages have neither format nor subject nor support address.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewTemplate {
    organization_id: Option<OrganizationId>,
    theme_id: Option<ThemeId>,
    #[serde(rename = "type")]
    kind: Kind,
    locale: Locale,
    format: Option<Format>,
    subject: Option<String>,
    template: String,
    support_email: Option<Parsed<SupportEmail>>,
    support_email_title: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    locale: Option<Locale>,
    format: Option<Format>,
    subject: Option<String>,
    template: Option<String>,
    support_email: Option<Parsed<SupportEmail>>,
    support_email_title: Option<String>,
}

/// A support address; none for an empty text, since the contract knows no null here.
struct SupportEmail(Option<EmailAddress>);

impl Parse for SupportEmail {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(SupportEmail(None));
        }
        <EmailAddress as Parse>::parse(text).map(|address| SupportEmail(Some(address)))
    }
}

/// The display name of a support address; none for an empty text.
fn title(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) async fn list_email(call: Call, Parameters(filters): Parameters<TemplateFilters>) -> HandlerResult {
    list(&call, filters, Channel::Email).await
}

pub(super) async fn list_sms(call: Call, Parameters(filters): Parameters<TemplateFilters>) -> HandlerResult {
    list(&call, filters, Channel::Sms).await
}

async fn list(call: &Call, filters: TemplateFilters, channel: Channel) -> HandlerResult {
    if let Some(organization) = filters.organization {
        let act = OrganizationAct::Administer;
        if call.rightful::<OrganizationDocument>(&organization.to_string(), act).await?.is_none() {
            return call.nothing();
        }
    }
    let query = Query::<MessageTemplateDocument>::sorted(&BY_CREATION, Direction::Ascending)
        .equal(&CHANNEL, channel.name())
        .when(filters.organization, |query, organization| query.equal(&ORGANIZATION_ID, organization.to_string()))
        .when(filters.theme, |query, theme| query.equal(&THEME_ID, theme.to_string()))
        .when(filters.kind, |query, kind| query.equal(&KIND, kind.name()))
        .when(filters.locale, |query, locale| query.equal(&LOCALE, locale.name()))
        .when(filters.format, |query, format| query.equal(&FORMAT, format.name()));
    call.list(call.access().only_templates(query, &call.holder).await?, resource).await
}

pub(super) async fn create(call: Call, Attributes(new): Attributes<NewTemplate>) -> HandlerResult {
    let template = Template {
        owner: owner(&call, new.organization_id, new.theme_id).await?,
        purpose: Purpose { kind: new.kind, locale: new.locale, format: new.format.unwrap_or(Format::Sms) },
        subject: new.subject,
        text: new.template,
        support_email: new.support_email.and_then(|Parsed(SupportEmail(address))| address),
        support_email_title: new.support_email_title.and_then(title),
    };
    let id = MessageTemplateId(Uuid::now_v7());
    call.commit_document::<MessageTemplateDocument, DirectoryError, _>(
        id.to_string(),
        Reply::created,
        resource,
        |node, context| templates::create(node, context, id, template),
    )
    .await
}

/// The owner of a new template: an organization of the caller, or a theme.
async fn owner(call: &Call, organization: Option<OrganizationId>, theme: Option<ThemeId>) -> Result<Owner, ApiError> {
    match (organization, theme) {
        (Some(organization), None) => {
            let at = Source::attribute("organization-id");
            call.named::<OrganizationDocument>(at, organization, OrganizationAct::Administer).await?;
            Ok(Owner::Organization(organization))
        }
        (None, Some(theme)) => {
            call.require(call.holder.holds_everything())?;
            call.named::<ThemeDocument>(Source::attribute("theme-id"), theme, CatalogueAct::Change).await?;
            Ok(Owner::Theme(theme))
        }
        (None, None) | (Some(_), Some(_)) => Err(attribute("organization-id", "or theme-id is required, and not both")),
    }
}

pub(super) async fn get_email(call: Call) -> HandlerResult {
    Ok(Reply::found(resource(&*load(&call, Channel::Email).await?)))
}

pub(super) async fn get_sms(call: Call) -> HandlerResult {
    Ok(Reply::found(resource(&*load(&call, Channel::Sms).await?)))
}

pub(super) async fn update_email(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    update(&call, changes, Channel::Email).await
}

pub(super) async fn update_sms(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    update(&call, changes, Channel::Sms).await
}

async fn update(call: &Call, changes: Changes, channel: Channel) -> HandlerResult {
    let template = load(call, channel).await?;
    let amendment = Amendment {
        kind: changes.kind,
        locale: changes.locale,
        format: changes.format,
        subject: changes.subject,
        text: changes.template,
        support_email: changes.support_email.map(|Parsed(SupportEmail(address))| address),
        support_email_title: changes.support_email_title.map(title),
    };
    let expected = call.expected(&*template)?;
    call.commit_document::<MessageTemplateDocument, DirectoryError, _>(
        template.id.to_string(),
        Reply::found,
        resource,
        |node, context| templates::amend(node, context, &template, amendment, expected),
    )
    .await
}

/// The template in the path. One of the other channel is not found.
async fn load(call: &Call, channel: Channel) -> Result<Arc<MessageTemplateDocument>, ApiError> {
    let template = call.load::<MessageTemplateDocument>(()).await?;
    if template.template.purpose.format.channel() == channel { Ok(template) } else { Err(NO_TEMPLATE) }
}

fn resource(document: &MessageTemplateDocument) -> Resource {
    let Template { owner, purpose, subject, text, support_email, support_email_title } = &document.template;
    let (organization, theme) = match owner {
        Owner::Organization(organization) => (Some(organization), None),
        Owner::Theme(theme) => (None, Some(theme)),
    };
    let mut attributes = json!({
        "created-time": times::write(document.created_at),
        "last-modified-time": times::write(document.updated_at),
        "locale": purpose.locale,
        "organization-id": organization,
        "template": text,
        "theme-id": theme,
        "type": purpose.kind,
    });
    let kind = match purpose.format.channel() {
        Channel::Email => {
            attributes["format"] = json!(purpose.format);
            attributes["subject"] = json!(subject);
            attributes["support-email"] = json!(support_email);
            attributes["support-email-title"] = json!(support_email_title);
            "organization-email-templates"
        }
        Channel::Sms => "organization-sms-templates",
    };
    Resource::new(kind, document.id, attributes).at(document)
}
