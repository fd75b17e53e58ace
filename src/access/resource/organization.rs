//! Organizations, and what belongs to them alone.

use super::{Access, Guarded, Holder, Operation, Right, document};
use crate::journal::JournalResult;
use crate::read_store::Documents;
use registrar_aggregates::message::Channel;
use registrar_aggregates::message::delivery::AboutKind;
use registrar_aggregates::message::template::Owner;
use registrar_aggregates::onboarding::{OnboardKind, OnboardingStatus};
use registrar_aggregates::organization_code::OrganizationCodeId;
use registrar_aggregates::values::OrganizationId;
use registrar_projections::OrganizationDocument;
use registrar_projections::general_messages::GeneralMessageDocument;
use registrar_projections::message_templates::MessageTemplateDocument;
use registrar_projections::messages::MessageDocument;
use registrar_projections::onboarding_requests::OnboardingDocument;
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
    /// Onboard people, and see who is onboarded: by its admins and providers.
    Onboard,
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
            OrganizationAct::Onboard => holder.is_admin(id) || holder.is_provider(id),
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

/// Acts on an onboarding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnboardingAct {
    /// Read the request.
    See,
    /// Send the invitation again.
    Invite,
    /// Correct the address. While the person signs up, the address is that of their account, so only admins change it.
    Amend,
}

impl Guarded for OnboardingDocument {
    type Act = OnboardingAct;
    const SEE: OnboardingAct = OnboardingAct::See;
    document_told_as!("Onboarding request not found", "names no onboarding request");

    /// Admins act on all requests of the organization. Providers act on those of patients whose individual they see, and
    /// see those of providers and their own: an address that they could change would hand over the roles or the records
    /// behind it.
    async fn right(&self, access: &Access, holder: &Holder, act: OnboardingAct) -> JournalResult<Right> {
        let organization = self.organization_id;
        if right_in(organization, access, holder, OrganizationAct::Onboard).await? != Right::Allowed {
            return Ok(Right::Unseen);
        }
        if holder.is_admin(organization) {
            return Ok(Right::Allowed);
        }
        let individual = match self.individual_id {
            Some(individual) => access.individual(holder, individual).await?,
            None => false,
        };
        let own = holder.account_id() == Some(self.created_by);
        let seen = own || individual || self.kind == OnboardKind::Provider;
        let allowed = match act {
            OnboardingAct::See => true,
            OnboardingAct::Invite => individual,
            OnboardingAct::Amend => individual && self.status != OnboardingStatus::Registering,
        };
        Ok(Right::of(seen, allowed))
    }
}

impl Guarded for MessageDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Text not found", "names no text");

    /// Programs see the text messages of onboarding requests, whose delivery they report.
    async fn right(&self, _: &Access, holder: &Holder, (): ()) -> JournalResult<Right> {
        let invites = self.channel == Channel::Sms && self.about.kind == AboutKind::OnboardingRequest;
        Ok(Right::of(invites && holder.is_service(), true))
    }
}
