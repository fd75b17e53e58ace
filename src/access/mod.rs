//! Access decisions for individuals, organizations, groups and the system, made in one place for all dialects.
//!
//! Grants are derived and never stored: each follows from documents that are written with their events, so an answer
//! reflects every change that was committed before the question. A decision reads a handful of documents, whatever the
//! size of the directory: the user (with roles and posts), the individual (with its groups), and where it matters the
//! organization and its tree of groups.
//!
//! A deleted organization has no document, and everything in it is not found for every holder: its groups, trees,
//! tasks and messages, the individuals that it owned, and memberships of others there. No holder is a member of a
//! deleted organization, so only grants of holders of everything look the organization up.
//!
//! In lists the same rules become one condition: individuals carry the groups that they are in, with one for the whole
//! organization, and a holder carries the groups that it reaches. Property tests (`tests/identity/access_properties`)
//! compare single answers, lists and their inverse with a recomputation from events.
//!
//! `cedar-policy` was considered. It evaluates single requests over given entities; the questions here are about
//! relations (a leader of any group above one that the individual is in) and ask for lists with total counts, for
//! which it would have to try every pair.

mod holder;
mod listing;
mod personal;
mod query;
pub mod resource;
mod standing;

pub use holder::Holder;
pub use listing::PageRequest;
pub use query::{AccessQuery, Operation, Resource};
pub(crate) use standing::is_in_force;
pub use standing::{find_acting_user, find_user, standing_users};

use crate::journal::JournalResult;
use crate::read_store::Documents;
use futures::future::try_join_all;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::SystemRole;
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::groups::{GroupDocument, TreeDocument};
use registrar_projections::tasks::TaskDocument;
use registrar_projections::{IndividualDocument, OrganizationDocument};
use std::sync::Arc;

/// Decides access from the documents of the read store.
#[derive(Clone)]
pub struct Access {
    documents: Documents,
}

impl Access {
    /// Decides by these documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Access { documents }
    }

    /// Whether all queries are allowed.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn allows_all(&self, holder: &Holder, queries: &[AccessQuery]) -> JournalResult<bool> {
        let answers = try_join_all(queries.iter().map(|query| self.allows(holder, query))).await?;
        Ok(answers.into_iter().all(|allowed| allowed))
    }

    /// Whether a query is allowed. Resources that do not exist are denied.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn allows(&self, holder: &Holder, query: &AccessQuery) -> JournalResult<bool> {
        match &query.resource {
            _ if query.is_open() => self.allows_any(holder, query).await,
            Resource::Individual(Some(individual)) => self.individual(holder, *individual).await,
            Resource::Organization(Some(organization)) => {
                self.organization(holder, *organization, query.operation).await
            }
            Resource::Group(Some(group)) if query.operation == Operation::Contain => {
                self.contains(holder, *group).await
            }
            Resource::Group(Some(group)) => self.group(holder, *group, query.operation).await,
            Resource::System(name) => Ok(system(holder, name)),
            Resource::Application => Ok(holder.holds_everything()),
            Resource::Individual(None) | Resource::Organization(None) | Resource::Group(None) => Ok(false),
        }
    }

    /// Whether an individual may be read and changed; the two go together.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn individual(&self, holder: &Holder, individual: IndividualId) -> JournalResult<bool> {
        match self.documents.find::<IndividualDocument>(&individual.to_string()).await?.value {
            Some(document) => self.individual_as(holder, &document).await,
            None => Ok(false),
        }
    }

    /// As [`Access::individual`], for a document that is already loaded.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn individual_as(&self, holder: &Holder, individual: &IndividualDocument) -> JournalResult<bool> {
        let own = individual.person().is_some_and(|person| Some(person) == holder.user_id());
        let at_once = individual.places.iter().any(|(organization, groups)| {
            holder.is_admin(*organization) || groups.iter().any(|group| holder.stands_in(*organization, *group))
        });
        if own || holder.holds_everything() {
            return self.is_known(individual).await;
        }
        // Individuals that an organization owns are among its own from the moment they are recorded.
        if at_once {
            return Ok(true);
        }
        for (organization, groups) in &individual.places {
            if holder.is_provider(*organization) && self.is_open(*organization).await? {
                return Ok(true);
            }
            let leads = holder.leads(*organization);
            if !leads.is_empty()
                && !groups.is_empty()
                && let Some(tree) = self.tree(*organization).await?
                && tree.are_below(groups.iter().copied(), leads)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the organization that owns an individual still exists. Individuals of users are always known.
    async fn is_known(&self, individual: &IndividualDocument) -> JournalResult<bool> {
        match individual.owner {
            Owner::User(_) => Ok(true),
            Owner::Organization(owner) => Ok(self.organization_of(owner).await?.is_some()),
        }
    }

    /// Whether an operation on an organization is allowed.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn organization(
        &self,
        holder: &Holder,
        organization: OrganizationId,
        operation: Operation,
    ) -> JournalResult<bool> {
        let granted = match operation {
            Operation::Read => holder.is_member(organization) || holder.holds_everything(),
            Operation::Write => holder.is_admin(organization),
            Operation::Contain => false,
        };
        Ok(granted && self.organization_of(organization).await?.is_some())
    }

    /// Whether an operation on a group is allowed.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn group(&self, holder: &Holder, group: GroupId, operation: Operation) -> JournalResult<bool> {
        match self.documents.find::<GroupDocument>(&group.to_string()).await?.value {
            Some(group) => self.group_as(holder, &group, operation).await,
            None => Ok(false),
        }
    }

    /// As [`Access::group`], for a document that is already loaded.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn group_as(&self, holder: &Holder, group: &GroupDocument, operation: Operation) -> JournalResult<bool> {
        let organization = group.organization_id;
        if holder.holds_everything() {
            return Ok(self.organization_of(organization).await?.is_some());
        }
        if holder.is_admin(organization) || holder.leads(organization).contains(&group.id) {
            return Ok(true);
        }
        let reads = operation == Operation::Read;
        if reads
            && (holder.works_in(organization).contains(&group.id)
                || holder.is_provider(organization) && self.is_open(organization).await?)
        {
            return Ok(true);
        }
        self.leads_above(holder, group).await
    }

    /// Whether the holder leads a division above the group.
    async fn leads_above(&self, holder: &Holder, group: &GroupDocument) -> JournalResult<bool> {
        let leads = holder.leads(group.organization_id);
        if leads.is_empty() || group.parent.is_none() {
            return Ok(false);
        }
        let tree = self.tree(group.organization_id).await?;
        Ok(tree.is_some_and(|tree| tree.ancestors(group.id).any(|above| leads.contains(&above))))
    }

    /// Whether the holder's primary individual is in the group or below it.
    async fn contains(&self, holder: &Holder, group: GroupId) -> JournalResult<bool> {
        let Some(individual) = holder.as_user().and_then(|user| user.individuals.first()) else { return Ok(false) };
        let Some(individual) = self.documents.find::<IndividualDocument>(&individual.to_string()).await?.value else {
            return Ok(false);
        };
        Ok(self.groups_around(&individual).await?.contains(&group))
    }

    /// The groups that an individual is in, and the divisions above them.
    pub(crate) async fn groups_around(
        &self,
        individual: &IndividualDocument,
    ) -> JournalResult<std::collections::BTreeSet<GroupId>> {
        let mut around = std::collections::BTreeSet::new();
        for (organization, groups) in &individual.places {
            if self.organization_of(*organization).await?.is_none() {
                continue;
            }
            around.extend(individual.groups_in(*organization));
            if !groups.is_empty()
                && let Some(tree) = self.tree(*organization).await?
            {
                around.extend(groups.iter().flat_map(|group| tree.ancestors(*group)));
            }
        }
        Ok(around)
    }

    /// Whether a task may be read: by the user who started it, and by admins of its organization.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn task(&self, holder: &Holder, task: &TaskDocument) -> JournalResult<bool> {
        let organization = task.work.organization();
        let own = holder.user_id().is_some_and(|user| user.to_string() == task.started_by);
        Ok((own || holder.is_admin(organization)) && self.organization_of(organization).await?.is_some())
    }

    /// Whether every provider of the organization sees every individual of it.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn is_open(&self, organization: OrganizationId) -> JournalResult<bool> {
        let found = self.organization_of(organization).await?;
        Ok(found.is_some_and(|found| found.tenancy.authorization == Authorization::Open))
    }

    /// Whether an organization exists and is not retired.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn is_in_force(&self, organization: OrganizationId) -> JournalResult<bool> {
        Ok(is_in_force(self.organization_of(organization).await?.as_deref()))
    }

    async fn organization_of(&self, id: OrganizationId) -> JournalResult<Option<Arc<OrganizationDocument>>> {
        Ok(self.documents.find::<OrganizationDocument>(&id.to_string()).await?.value)
    }

    /// The tree of an organization's groups; `None` until a group is placed in it.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn tree(&self, organization: OrganizationId) -> JournalResult<Option<Arc<TreeDocument>>> {
        Ok(self.documents.find::<TreeDocument>(&organization.to_string()).await?.value)
    }

    /// The user with this identifier as a holder; a holder of nothing if the user is not found.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn holder(&self, user: UserId) -> JournalResult<Holder> {
        let user = find_acting_user(&self.documents, &user.to_string()).await?;
        Ok(user.map_or_else(Holder::default, Holder::user))
    }
}

/// Whether a role grants a part of the system: each role grants the part of its own name.
fn system(holder: &Holder, name: &str) -> bool {
    let carried = |role: SystemRole| role.name().strip_prefix("system.").is_some_and(|carried| carried == name);
    holder.holds_everything() || SystemRole::ALL.into_iter().any(|role| carried(role) && holder.has_system_role(role))
}
