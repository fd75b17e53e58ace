//! Organizations, and what belongs to them alone.

use super::{Access, Guarded, Holder, Operation, Right, document};
use crate::journal::JournalResult;
use crate::read_store::Documents;
use registrar_aggregates::message::template::Owner;
use registrar_aggregates::organization_code::OrganizationCodeId;
use registrar_aggregates::values::OrganizationId;
use registrar_projections::OrganizationDocument;
use registrar_projections::general_messages::GeneralMessageDocument;
use registrar_projections::message_templates::MessageTemplateDocument;
use registrar_projections::organization_codes::OrganizationCodeDocument;
use registrar_projections::url_shorteners::UrlShortenerDocument;
use std::sync::Arc;

/// Acts on an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationAct {
    /// Read the organization.
    See,
    /// Acts of its admins.
    Administer,
    /// Create, read and change its short links: by its admins, and by programs.
    KeepLinks,
    /// Acts of system admins.
    Govern,
}

impl Guarded for OrganizationDocument {
    type Act = OrganizationAct;
    const SEE: OrganizationAct = OrganizationAct::See;
    document_told_as!("Organization not found", "names no organization");

    async fn right(&self, _: &Access, holder: &Holder, act: OrganizationAct) -> JournalResult<Right> {
        let id = self.id;
        let allowed = match act {
            OrganizationAct::See => true,
            OrganizationAct::Administer => holder.is_admin(id),
            OrganizationAct::KeepLinks => holder.is_admin(id) || holder.is_service(),
            OrganizationAct::Govern => holder.holds_everything(),
        };
        Ok(Right::of(holder.sees_organization(id), allowed))
    }
}

/// The right to a part of an organization, which is that to the organization itself; unseen once that was deleted.
async fn right_in(
    organization: OrganizationId,
    access: &Access,
    holder: &Holder,
    act: OrganizationAct,
) -> JournalResult<Right> {
    match document::<OrganizationDocument>(&access.documents, &organization.to_string()).await? {
        Some(found) => found.right(access, holder, act).await,
        None => Ok(Right::Unseen),
    }
}

impl Guarded for GeneralMessageDocument {
    type Act = OrganizationAct;
    const SEE: OrganizationAct = OrganizationAct::See;
    document_told_as!("Message not found", "names no message");

    async fn right(&self, access: &Access, holder: &Holder, act: OrganizationAct) -> JournalResult<Right> {
        right_in(self.organization_id, access, holder, act).await
    }
}

impl Guarded for UrlShortenerDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Short link not found", "names no short link");

    /// Callers who keep the links of the organization see them; with a deleted organization they are unknown.
    async fn right(&self, access: &Access, holder: &Holder, (): ()) -> JournalResult<Right> {
        let right = right_in(self.link.organization_id, access, holder, OrganizationAct::KeepLinks).await?;
        Ok(Right::of(right == Right::Allowed, true))
    }
}

impl Guarded for OrganizationCodeDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Code not found", "names no code");

    /// Letter case does not matter in a code.
    fn key(text: &str) -> Option<String> {
        OrganizationCodeId::parse(text).ok().map(|id| id.to_string())
    }

    /// Admins of the organization see its codes; with a deleted organization they are unknown.
    async fn right(&self, access: &Access, holder: &Holder, (): ()) -> JournalResult<Right> {
        let right = right_in(self.terms.organization_id, access, holder, OrganizationAct::Administer).await?;
        Ok(Right::of(right == Right::Allowed, true))
    }
}

impl Guarded for MessageTemplateDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Template not found", "names no template");

    async fn right(&self, access: &Access, holder: &Holder, (): ()) -> JournalResult<Right> {
        let administers = match self.template.owner {
            Owner::Organization(organization) => access.organization(holder, organization, Operation::Write).await?,
            Owner::Theme(_) => holder.holds_everything(),
        };
        Ok(Right::of(administers, true))
    }
}
