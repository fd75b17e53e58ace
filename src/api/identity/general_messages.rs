//! General messages: free texts of an organization, read by its people and written by its admins.

use super::call::{Attributes, Call, HandlerResult, Parameters};
use super::documents::{Reply, Resource};
use super::times;
use crate::access::resource::OrganizationAct;
use crate::api::common::error::Source;
use crate::processes::{DirectoryError, general_messages};
use registrar_aggregates::general_message::Message;
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{GeneralMessageId, OrganizationId};
use registrar_projections::general_messages::{BY_CREATION, GeneralMessageDocument, ORGANIZATION_ID};
use registrar_projections::{Direction, OrganizationDocument, Query};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MessageFilters {
    organization_id: OrganizationId,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewMessage {
    organization_id: OrganizationId,
    name: String,
    locale: Locale,
    message: String,
}

#[derive(Deserialize)]
pub(super) struct Change {
    message: String,
}

/// Messages of one organization in all locales; none of an organization that the caller does not see.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<MessageFilters>) -> HandlerResult {
    let organization = call.seen::<OrganizationDocument>(filters.organization_id).await?;
    let Some(organization) = organization else { return call.nothing() };
    let query = Query::sorted(&BY_CREATION, Direction::Ascending);
    call.list(query.equal(&ORGANIZATION_ID, organization.id.to_string()), resource).await
}

pub(super) async fn create(call: Call, Attributes(new): Attributes<NewMessage>) -> HandlerResult {
    let NewMessage { organization_id, name, locale, message } = new;
    let (at, act) = (Source::attribute("organization-id"), OrganizationAct::Administer);
    call.named::<OrganizationDocument>(at, organization_id, act).await?;
    let new = Message { id: GeneralMessageId(Uuid::now_v7()), organization_id, name, locale, message };
    call.commit_document::<GeneralMessageDocument, DirectoryError, _>(
        new.id.to_string(),
        Reply::created,
        resource,
        |node, context| general_messages::create(node, context, &new),
    )
    .await
}

pub(super) async fn get(call: Call) -> HandlerResult {
    Ok(Reply::found(resource(&*call.load::<GeneralMessageDocument>(OrganizationAct::See).await?)))
}

pub(super) async fn update(call: Call, Attributes(change): Attributes<Change>) -> HandlerResult {
    let present = call.load::<GeneralMessageDocument>(OrganizationAct::Administer).await?;
    let expected = call.expected(&*present)?;
    call.commit_document::<GeneralMessageDocument, DirectoryError, _>(
        present.id.to_string(),
        Reply::found,
        resource,
        |node, context| general_messages::amend(node, context, &present, &change.message, expected),
    )
    .await
}

fn resource(document: &GeneralMessageDocument) -> Resource {
    let attributes = json!({
        "created-time": times::write(document.created_at),
        "last-modified-time": times::write(document.updated_at),
        "locale": document.locale,
        "message": document.message,
        "name": document.name,
        "organization-id": document.organization_id,
    });
    Resource::new("organization-general-messages", document.id, attributes).at(document)
}
