//! The right of a caller to a resource, decided once for every dialect: unseen, seen, or allowed.
//!
//! A dialect looks up a resource together with the act; it turns [`Right::Unseen`] into its "not found" and
//! [`Right::Seen`] into its "forbidden", so no handler can look a resource up without checking the right.
//!
//! The identity dialect does so. The other dialects go by the permission of the route and the organization of the
//! caller: `Principal::may` and `Principal::reaches`.

use super::{Access, Holder, Operation, find_user};
use crate::journal::JournalResult;
use crate::read_store::Documents;
use registrar_aggregates::feature::setting::Target;
use registrar_aggregates::user::{Classification, Role, SystemRole};
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::features::{FeatureDocument, FeatureSettingDocument};
use registrar_projections::feedback_comments::FeedbackDocument;
use registrar_projections::groups::GroupDocument;
use registrar_projections::registration_invitations::RegistrationInvitationDocument;
use registrar_projections::roles::RoleDocument;
use registrar_projections::service_documents::PublishedDocument;
use registrar_projections::tasks::TaskDocument;
use registrar_projections::themes::ThemeDocument;
use registrar_projections::totps::TotpDocument;
use registrar_projections::{Document, IndividualDocument, UserDocument};
use std::sync::Arc;
use uuid::Uuid;

/// Extent of a caller's right to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// The resource is reported as not found.
    Unseen,
    /// The resource may be read; the act is forbidden.
    Seen,
    /// The act is allowed.
    Allowed,
}

impl Right {
    /// Combines visibility of the resource with permission for the act.
    #[must_use]
    pub fn of(seen: bool, allowed: bool) -> Self {
        match (seen, allowed) {
            (false, _) => Right::Unseen,
            (true, false) => Right::Seen,
            (true, true) => Right::Allowed,
        }
    }
}

/// A resource that is looked up together with the right to act on it.
pub trait Guarded: Sized + Send + Sync + 'static {
    /// The acts on the resource.
    type Act: Copy + Send;
    /// The act of reading it.
    const SEE: Self::Act;
    /// Message for a path that names an unknown resource.
    const NOT_FOUND: &'static str;
    /// Message for a query or a request body that names an unknown resource; follows the name of the member.
    const NAMES_NONE: &'static str;

    /// The key that a text of a request names; `None` if the text cannot be a key.
    fn key(text: &str) -> Option<String> {
        let id = if text.len() == 36 { Uuid::try_parse(text).ok() } else { None };
        id.map(|id| id.to_string())
    }

    /// Looks the resource up.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    fn find(documents: &Documents, key: &str) -> impl Future<Output = JournalResult<Option<Arc<Self>>>> + Send;

    /// The holder's right to `act` on the resource.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    fn right(
        &self,
        access: &Access,
        holder: &Holder,
        act: Self::Act,
    ) -> impl Future<Output = JournalResult<Right>> + Send;
}

/// Look-up of a resource with a document of its own, and its refusals.
macro_rules! document_told_as {
    ($not_found:literal, $names_none:literal) => {
        const NOT_FOUND: &'static str = $not_found;
        const NAMES_NONE: &'static str = $names_none;

        async fn find(documents: &Documents, key: &str) -> JournalResult<Option<Arc<Self>>> {
            document(documents, key).await
        }
    };
}

mod organization;

pub use organization::{OnboardingAct, OrganizationAct};

async fn document<D: Document>(documents: &Documents, key: &str) -> JournalResult<Option<Arc<D>>> {
    Ok(documents.find::<D>(key).await?.value)
}

/// Acts on a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserAct {
    /// Read the account, as far as the viewer may.
    See,
    /// Acts reserved to the person.
    Own,
    /// Changes of the account: by the person, or by admins of the account.
    Change,
    /// Acts on an account by its admins.
    Administer,
    /// Confirmation by an admin or a program that a telephone number belongs to the person.
    ConfirmPhone,
    /// A password set by support.
    SetPassword,
    /// Ask for the user's access.
    Ask,
    /// Remove one's own agreements, a test aid of staff.
    ForgetAgreements,
}

impl Guarded for UserDocument {
    type Act = UserAct;
    const SEE: UserAct = UserAct::See;
    const NOT_FOUND: &'static str = "User not found";
    const NAMES_NONE: &'static str = "names no user";

    async fn find(documents: &Documents, key: &str) -> JournalResult<Option<Arc<Self>>> {
        find_user(documents, key).await
    }

    async fn right(&self, _: &Access, holder: &Holder, act: UserAct) -> JournalResult<Right> {
        let own = holder.user_id() == Some(self.profile.id);
        let allowed = match act {
            UserAct::See => true,
            UserAct::Own => own,
            UserAct::Change => own || holder.manages_account(self),
            UserAct::Administer => holder.manages_account(self),
            UserAct::ConfirmPhone => holder.manages_account(self) || holder.is_service(),
            // Passwords of system admins are set by other system admins.
            UserAct::SetPassword => {
                holder.is_above(self)
                    || holder.has_system_role(SystemRole::Support) && !self.system_roles.contains(&SystemRole::Admin)
            }
            UserAct::Ask => holder.may_ask_about(self.profile.id),
            UserAct::ForgetAgreements => {
                own && (self.classification == Some(Classification::Carium) || !self.system_roles.is_empty())
            }
        };
        Ok(Right::of(holder.sees(self), allowed))
    }
}

/// Acts on a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupAct {
    /// Read the group.
    See,
    /// Change the group and its members.
    Change,
    /// Move the group in the tree, for admins of the organization.
    Move,
}

impl Guarded for GroupDocument {
    type Act = GroupAct;
    const SEE: GroupAct = GroupAct::See;
    document_told_as!("Group not found", "names no group");

    async fn right(&self, access: &Access, holder: &Holder, act: GroupAct) -> JournalResult<Right> {
        if !access.group_as(holder, self, Operation::Read).await? {
            return Ok(Right::Unseen);
        }
        let allowed = match act {
            GroupAct::See => true,
            GroupAct::Change => access.group_as(holder, self, Operation::Write).await?,
            GroupAct::Move => access.organization(holder, self.organization_id, Operation::Write).await?,
        };
        Ok(Right::of(true, allowed))
    }
}

impl Guarded for IndividualDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Individual not found", "names no individual");

    async fn right(&self, access: &Access, holder: &Holder, (): ()) -> JournalResult<Right> {
        Ok(Right::of(access.individual_as(holder, self).await?, true))
    }
}

/// A role, of an organization or of the whole system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyRole {
    /// In an organization.
    Organization(OrganizationId, Role),
    /// In the whole system.
    System(SystemRole),
}

impl AnyRole {
    /// Identifier of the role.
    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            AnyRole::Organization(organization, role) => role.id(*organization),
            AnyRole::System(role) => role.id(),
        }
    }

    /// Name of the role.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            AnyRole::Organization(_, role) => role.name(),
            AnyRole::System(role) => role.name(),
        }
    }
}

/// Acts on a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleAct {
    /// Know that the role exists.
    See,
    /// Grant and revoke the role, and list its holders.
    Administer,
}

impl Guarded for AnyRole {
    type Act = RoleAct;
    const SEE: RoleAct = RoleAct::See;
    const NOT_FOUND: &'static str = "Role not found";
    const NAMES_NONE: &'static str = "names no role";

    async fn find(documents: &Documents, key: &str) -> JournalResult<Option<Arc<Self>>> {
        if let Some(role) = SystemRole::ALL.into_iter().find(|role| role.id().to_string() == key) {
            return Ok(Some(Arc::new(AnyRole::System(role))));
        }
        let found = document::<RoleDocument>(documents, key).await?;
        Ok(found.map(|found| Arc::new(AnyRole::Organization(found.organization_id, found.role))))
    }

    async fn right(&self, _: &Access, holder: &Holder, act: RoleAct) -> JournalResult<Right> {
        let (seen, administers) = match self {
            AnyRole::Organization(organization, _) => {
                (holder.sees_organization(*organization), holder.is_admin(*organization))
            }
            AnyRole::System(_) => (true, holder.holds_everything()),
        };
        Ok(Right::of(seen, act == RoleAct::See || administers))
    }
}

/// Acts on system-wide resources, which more people read than change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogueAct {
    /// Read the resource.
    See,
    /// Change the resource, for system admins.
    Change,
}

impl CatalogueAct {
    /// The right of a holder that sees the resource, or not.
    fn right(self, holder: &Holder, seen: bool) -> Right {
        Right::of(seen, self == CatalogueAct::See || holder.holds_everything())
    }
}

impl Guarded for FeatureDocument {
    type Act = CatalogueAct;
    const SEE: CatalogueAct = CatalogueAct::See;
    document_told_as!("Feature not found", "names no feature");

    /// Features are named by their own texts.
    fn key(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    async fn right(&self, _: &Access, holder: &Holder, act: CatalogueAct) -> JournalResult<Right> {
        Ok(act.right(holder, true))
    }
}

impl Guarded for FeatureSettingDocument {
    type Act = CatalogueAct;
    const SEE: CatalogueAct = CatalogueAct::See;
    document_told_as!("Setting not found", "names no setting");

    async fn right(&self, access: &Access, holder: &Holder, act: CatalogueAct) -> JournalResult<Right> {
        let own = |user: UserId| holder.user_id() == Some(user);
        let seen = match self.setting.target {
            Target::User(user) | Target::UserIn(user, _) if own(user) => true,
            Target::Organization(organization) | Target::UserIn(_, organization) => holder.is_admin(organization),
            Target::User(user) => {
                let user = find_user(&access.documents, &user.to_string()).await?;
                user.is_some_and(|user| holder.manages_account(&user))
            }
        };
        Ok(act.right(holder, seen))
    }
}

impl Guarded for ThemeDocument {
    type Act = CatalogueAct;
    const SEE: CatalogueAct = CatalogueAct::See;
    document_told_as!("Theme not found", "names no theme");

    /// Themes are read by the admins who may choose one, and by programs and support.
    async fn right(&self, _: &Access, holder: &Holder, act: CatalogueAct) -> JournalResult<Right> {
        Ok(act.right(holder, holder.is_admin_anywhere() || holder.sees_everybody()))
    }
}

/// Acts on a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotpAct {
    /// Know that the factor exists.
    See,
    /// Enable the factor; reserved to its owner.
    Enable,
    /// Disable and remove the factor: by its owner, and by admins of the account.
    TakeAway,
}

impl Guarded for TotpDocument {
    type Act = TotpAct;
    const SEE: TotpAct = TotpAct::See;
    document_told_as!("TOTP configuration not found", "names no TOTP configuration");

    async fn right(&self, access: &Access, holder: &Holder, act: TotpAct) -> JournalResult<Right> {
        if holder.account_id() == Some(self.user_id) {
            return Ok(Right::Allowed);
        }
        let owner = find_user(&access.documents, &self.user_id.to_string()).await?;
        let administers = owner.is_some_and(|owner| holder.manages_account(&owner));
        Ok(Right::of(administers, act != TotpAct::Enable))
    }
}

impl Guarded for FeedbackDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Comment not found", "names no comment");

    async fn right(&self, _: &Access, holder: &Holder, (): ()) -> JournalResult<Right> {
        let own = holder.user_id() == Some(self.feedback.user_id);
        Ok(Right::of(own || holder.holds_everything(), true))
    }
}

impl Guarded for RegistrationInvitationDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Invitation not found", "names no invitation");

    /// The address is that of another person, who told it to the sender alone.
    async fn right(&self, _: &Access, holder: &Holder, (): ()) -> JournalResult<Right> {
        let own = holder.user_id() == Some(self.invitation.created_by);
        Ok(Right::of(own || holder.holds_everything(), true))
    }
}

impl Guarded for PublishedDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Document not found", "names no document");

    /// Documents are public, since people read them before they sign in. Those of an organization are gone with it.
    async fn right(&self, access: &Access, _: &Holder, (): ()) -> JournalResult<Right> {
        let seen = match self.organization_id {
            Some(organization) => access.is_in_force(organization).await?,
            None => true,
        };
        Ok(Right::of(seen, true))
    }
}

impl Guarded for TaskDocument {
    type Act = ();
    const SEE: () = ();
    document_told_as!("Task not found", "names no task");

    async fn right(&self, access: &Access, holder: &Holder, (): ()) -> JournalResult<Right> {
        Ok(Right::of(access.task(holder, self).await?, true))
    }
}
