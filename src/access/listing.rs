//! Lists of access: the resources that a holder may act on, and the users that may act on a resource.

use super::standing::is_in_force;
use super::{Access, AccessQuery, Holder, Operation, Resource};
use crate::journal::JournalResult;
use crate::read_store::Page;
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId};
use registrar_projections::deleted_organizations::{self, DeletedOrganizationDocument};
use registrar_projections::groups::{self, GroupDocument};
use registrar_projections::message_templates::{self, MessageTemplateDocument};
use registrar_projections::organization_codes::{self, OrganizationCodeDocument};
use registrar_projections::query::TextKey;
use registrar_projections::url_shorteners::{self, UrlShortenerDocument};
use registrar_projections::{
    Direction, Document, IndividualDocument, OrganizationDocument, Query, UserDocument, individuals, organizations,
    users,
};
use std::collections::BTreeSet;

/// A page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Most entries in the page.
    pub limit: u64,
    /// Entries skipped before the page.
    pub offset: u64,
}

impl Access {
    /// Whether the operation is allowed on at least one resource of its kind.
    pub(super) async fn allows_any(&self, holder: &Holder, query: &AccessQuery) -> JournalResult<bool> {
        let part = PageRequest { limit: 1, offset: 0 };
        Ok(self.list(holder, query, &[], None, part).await?.is_some_and(|page| page.total > 0))
    }

    /// Identifiers that the open query asks for, restricted by the other queries. `None` if the open query is of a kind
    /// that cannot be listed.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn list(
        &self,
        holder: &Holder,
        open: &AccessQuery,
        others: &[AccessQuery],
        organization: Option<OrganizationId>,
        part: PageRequest,
    ) -> JournalResult<Option<Page<String>>> {
        let nothing = || Ok(Some(Page { items: vec![], total: 0 }));
        let mut within = Vec::new();
        for other in others {
            match (&other.resource, other.operation) {
                (Resource::Group(Some(group)), Operation::Contain)
                    if matches!(open.resource, Resource::Individual(None) | Resource::Group(None)) =>
                {
                    within.push(*group);
                }
                // If one open query is allowed, so is another that contains it, so the recursion ends.
                _ if Box::pin(self.allows(holder, other)).await? => {}
                _ => return nothing(),
            }
        }
        match open.resource {
            Resource::Individual(None) => {
                let Some(mut query) = self.individuals(holder, organization).await? else { return nothing() };
                for group in within {
                    query = self.inside(query, group).await?;
                }
                Ok(Some(self.documents.ids(query.page(part.offset, part.limit)).await?.value))
            }
            Resource::Organization(None) => {
                let query = Query::<OrganizationDocument>::sorted(&organizations::BY_ID, Direction::Ascending);
                let mut query = query.page(part.offset, part.limit);
                if let Some(organization) = organization {
                    query = query.equal(&organizations::ORGANIZATION_ID, organization.to_string());
                }
                if !holder.holds_everything() {
                    let held = holder.organizations().filter(|organization| match open.operation {
                        Operation::Read => true,
                        Operation::Write => holder.is_admin(*organization),
                        Operation::Contain => false,
                    });
                    query = query.one_of(&organizations::ORGANIZATION_ID, held.map(|id| id.to_string()).collect());
                }
                Ok(Some(self.documents.ids(query).await?.value))
            }
            Resource::Group(None) => {
                let mut query = match open.operation {
                    Operation::Contain => {
                        let around = self.groups_around_primary(holder).await?;
                        let query = Query::<GroupDocument>::sorted(&groups::BY_ID, Direction::Ascending);
                        query.one_of(&groups::ID, around.iter().map(ToString::to_string).collect())
                    }
                    operation => {
                        let query = Query::<GroupDocument>::sorted(&groups::BY_ID, Direction::Ascending);
                        self.only_groups(query, holder, operation).await?
                    }
                };
                if let Some(organization) = organization {
                    query = query.equal(&groups::ORGANIZATION_ID, organization.to_string());
                }
                for group in within {
                    let below = self.below(group).await?;
                    query = query.one_of(&groups::ID, below.iter().map(ToString::to_string).collect());
                }
                Ok(Some(self.documents.ids(query.page(part.offset, part.limit)).await?.value))
            }
            _ => Ok(None),
        }
    }

    /// The individuals that the holder may read and change, by identifier; `None` for none.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn individuals(
        &self,
        holder: &Holder,
        organization: Option<OrganizationId>,
    ) -> JournalResult<Option<Query<IndividualDocument>>> {
        let mut query = Query::<IndividualDocument>::sorted(&individuals::BY_ID, Direction::Ascending);
        if let Some(organization) = organization {
            if self.organization_of(organization).await?.is_none() {
                return Ok(None);
            }
            query = query.contains(&individuals::SCOPES, SystemGroup::AllParticipants.id(organization).to_string());
        }
        if holder.holds_everything() {
            let deleted = self.deleted_organizations().await?;
            let owned =
                deleted.into_iter().map(|organization| individuals::owner_key(Owner::Organization(organization)));
            let owned: Vec<_> = owned.collect();
            return Ok(Some(if owned.is_empty() { query } else { query.none_of(&individuals::OWNER, owned) }));
        }
        let mut scopes: Vec<String> =
            holder.user_id().map(|user| individuals::owner_key(Owner::User(user))).into_iter().collect();
        // Visible individuals are the holder's own or take part in the holder's organization. The conditions below
        // imply this; stated first, it narrows the search in a word or two.
        let mut somewhere = scopes.clone();
        for own in holder.organizations().filter(|own| organization.is_none_or(|organization| organization == *own)) {
            let all = SystemGroup::AllParticipants.id(own).to_string();
            somewhere.push(all.clone());
            if holder.is_admin(own) || holder.is_provider(own) && self.is_open(own).await? {
                scopes.push(all);
                continue;
            }
            let groups = self.groups_led(holder, own).await?;
            scopes.extend(groups.iter().chain(holder.works_in(own)).map(ToString::to_string));
        }
        if scopes.is_empty() {
            return Ok(None);
        }
        let lost = self.lost_individuals(holder).await?;
        if !lost.is_empty() {
            query = query.none_of(&individuals::ID, lost);
        }
        if scopes != somewhere {
            query = query.contains_any(&individuals::SCOPES, somewhere);
        }
        Ok(Some(query.contains_any(&individuals::SCOPES, scopes)))
    }

    /// Individuals of the holder that are unknown, as the organization that owns them was deleted.
    async fn lost_individuals(&self, holder: &Holder) -> JournalResult<Vec<String>> {
        let own = holder.as_user().into_iter().flat_map(|user| user.individuals.iter().map(ToString::to_string));
        let mut lost = Vec::new();
        for individual in self.documents.find_all::<IndividualDocument>(own).await? {
            if !self.is_known(&individual).await? {
                lost.push(individual.id.to_string());
            }
        }
        Ok(lost)
    }

    /// Restricts individuals to those inside a group or below it.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn inside(
        &self,
        query: Query<IndividualDocument>,
        group: GroupId,
    ) -> JournalResult<Query<IndividualDocument>> {
        let below = self.below(group).await?;
        Ok(query.contains_any(&individuals::SCOPES, below.iter().map(ToString::to_string).collect()))
    }

    /// A group and everything below it; empty if the organization was deleted.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn below(&self, group: GroupId) -> JournalResult<BTreeSet<GroupId>> {
        let Some(document) = self.documents.find::<GroupDocument>(&group.to_string()).await?.value else {
            return Ok([group].into());
        };
        if self.organization_of(document.organization_id).await?.is_none() {
            return Ok(BTreeSet::new());
        }
        let tree = self.tree(document.organization_id).await?;
        Ok(tree.map_or_else(|| [group].into(), |tree| tree.subtrees([group])))
    }

    /// Whether the asker of a question may name a group in it. Holders who may ask for others may name any group.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn may_name_group(&self, asker: &Holder, group: GroupId) -> JournalResult<bool> {
        Ok(asker.is_service() || self.group(asker, group, Operation::Read).await?)
    }

    /// The groups that a user leads and everything below them, as far as the asker may name them.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn led_by(&self, leader: &UserDocument, asker: &Holder) -> JournalResult<Vec<String>> {
        let mut led = BTreeSet::new();
        for (organization, posts) in leader.standing_posts().filter(|(_, posts)| !posts.leads.is_empty()) {
            let tree = self.tree(organization).await?;
            led.extend(tree.map_or_else(|| posts.leads.clone(), |tree| tree.subtrees(posts.leads.iter().copied())));
        }
        let led = led.iter().map(ToString::to_string).collect();
        if asker.is_service() {
            return Ok(led);
        }
        let query = Query::<GroupDocument>::sorted(&groups::BY_ID, Direction::Ascending).one_of(&groups::ID, led);
        let query = self.only_groups(query, asker, Operation::Read).await?.uncounted();
        Ok(self.documents.ids(query).await?.value.items)
    }

    /// Restricts groups to those on which the holder is allowed the operation.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn only_groups(
        &self,
        query: Query<GroupDocument>,
        holder: &Holder,
        operation: Operation,
    ) -> JournalResult<Query<GroupDocument>> {
        if holder.holds_everything() {
            return self.of_existing(query, &groups::ORGANIZATION_ID).await;
        }
        let mut scopes = Vec::new();
        for organization in holder.organizations() {
            let reads = operation == Operation::Read;
            if holder.is_admin(organization)
                || reads && holder.is_provider(organization) && self.is_open(organization).await?
            {
                scopes.push(organization.to_string());
                continue;
            }
            let groups = self.groups_led(holder, organization).await?;
            scopes.extend(groups.iter().map(ToString::to_string));
            if reads {
                scopes.extend(holder.works_in(organization).iter().map(ToString::to_string));
            }
        }
        Ok(query.contains_any(&groups::SCOPES, scopes))
    }

    /// Restricts short links to those of organizations whose links the holder keeps.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn only_url_shorteners(
        &self,
        query: Query<UrlShortenerDocument>,
        holder: &Holder,
    ) -> JournalResult<Query<UrlShortenerDocument>> {
        self.of_administered(query, &url_shorteners::ORGANIZATION_ID, holder, holder.is_service()).await
    }

    /// Keeps documents of organizations that the holder administers; with `all` those of every existing organization,
    /// and those of none.
    async fn of_administered<D: Document>(
        &self,
        query: Query<D>,
        owner: &TextKey<D>,
        holder: &Holder,
        all: bool,
    ) -> JournalResult<Query<D>> {
        if all {
            return self.of_existing(query, owner).await;
        }
        let own = holder.organizations().filter(|organization| holder.is_admin(*organization));
        Ok(query.one_of(owner, own.map(|organization| organization.to_string()).collect()))
    }

    /// Leaves out documents of deleted organizations.
    async fn of_existing<D: Document>(&self, query: Query<D>, owner: &TextKey<D>) -> JournalResult<Query<D>> {
        let deleted: Vec<_> = self.deleted_organizations().await?.iter().map(ToString::to_string).collect();
        Ok(if deleted.is_empty() { query } else { query.none_of(owner, deleted) })
    }

    /// Restricts templates of messages to those that the holder administers: for system admins those of themes and of all
    /// organizations.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn only_templates(
        &self,
        query: Query<MessageTemplateDocument>,
        holder: &Holder,
    ) -> JournalResult<Query<MessageTemplateDocument>> {
        self.of_administered(query, &message_templates::ORGANIZATION_ID, holder, holder.holds_everything()).await
    }

    /// Restricts sign-up codes to those of organizations that the holder administers.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn only_organization_codes(
        &self,
        query: Query<OrganizationCodeDocument>,
        holder: &Holder,
    ) -> JournalResult<Query<OrganizationCodeDocument>> {
        self.of_administered(query, &organization_codes::ORGANIZATION_ID, holder, holder.holds_everything()).await
    }

    /// Users that are allowed the operation on at least one of some individuals.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn accessors_of_individuals(
        &self,
        individuals: &[IndividualId],
        organization: Option<OrganizationId>,
        part: PageRequest,
    ) -> JournalResult<Page<String>> {
        let ids = individuals.iter().map(ToString::to_string);
        let mut places = BTreeSet::new();
        for individual in self.documents.find_all::<IndividualDocument>(ids).await? {
            if !self.is_known(&individual).await? {
                continue;
            }
            if let Some(person) = individual.person() {
                places.insert(users::being(person));
            }
            for (organization, groups) in &individual.places {
                let found = self.organization_of(*organization).await?.filter(|found| is_in_force(Some(found)));
                let Some(found) = found else { continue };
                places.insert(users::holding(Role::Admin.id(*organization)));
                if found.tenancy.authorization == Authorization::Open {
                    places.insert(users::holding(Role::Provider.id(*organization)));
                }
                places.extend(groups.iter().flat_map(|group| [users::leading(*group), users::working_in(*group)]));
                if let Some(tree) = self.tree(*organization).await? {
                    let above = groups.iter().flat_map(|group| tree.ancestors(*group));
                    places.extend(above.map(users::leading));
                }
            }
            places.insert(users::holding(SystemRole::Admin.id()));
        }
        self.accessors(places, organization, part).await
    }

    /// Users that are allowed the operation on at least one of some organizations.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn accessors_of_organizations(
        &self,
        organizations: &[OrganizationId],
        operation: Operation,
        organization: Option<OrganizationId>,
        part: PageRequest,
    ) -> JournalResult<Page<String>> {
        let ids = organizations.iter().map(ToString::to_string);
        let mut places = BTreeSet::new();
        for found in self.documents.find_all::<OrganizationDocument>(ids).await? {
            if is_in_force(Some(&found)) {
                places.insert(match operation {
                    Operation::Read => users::member_of(found.id),
                    Operation::Write | Operation::Contain => users::holding(Role::Admin.id(found.id)),
                });
            }
            places.insert(users::holding(SystemRole::Admin.id()));
        }
        self.accessors(places, organization, part).await
    }

    async fn accessors(
        &self,
        places: BTreeSet<String>,
        organization: Option<OrganizationId>,
        part: PageRequest,
    ) -> JournalResult<Page<String>> {
        if let Some(organization) = organization
            && self.organization_of(organization).await?.is_none()
        {
            return Ok(Page { items: vec![], total: 0 });
        }
        let query = Query::<UserDocument>::sorted(&users::BY_ID, Direction::Ascending)
            .contains_any(&users::PLACES, places.into_iter().collect())
            .equal(&users::ENABLED, "true")
            .page(part.offset, part.limit);
        let query = match organization {
            Some(organization) => query.contains(&users::PLACES, users::member_of(organization)),
            None => query,
        };
        Ok(self.documents.ids(query).await?.value)
    }

    /// Deleted organizations. Their groups, individuals and links may still be stored, and lists of everything leave
    /// them out: one more statement for such a list, and a condition with as many values as there were deletions.
    async fn deleted_organizations(&self) -> JournalResult<Vec<OrganizationId>> {
        let query = Query::<DeletedOrganizationDocument>::sorted(&deleted_organizations::BY_ID, Direction::Ascending);
        let found = self.documents.page(query.uncounted()).await?.value.items;
        Ok(found.into_iter().map(|deleted| deleted.id).collect())
    }

    async fn groups_led(&self, holder: &Holder, organization: OrganizationId) -> JournalResult<BTreeSet<GroupId>> {
        let leads = holder.leads(organization);
        if leads.is_empty() {
            return Ok(BTreeSet::new());
        }
        let tree = self.tree(organization).await?;
        Ok(tree.map_or_else(|| leads.clone(), |tree| tree.subtrees(leads.iter().copied())))
    }

    async fn groups_around_primary(&self, holder: &Holder) -> JournalResult<BTreeSet<GroupId>> {
        let Some(individual) = holder.as_user().and_then(|user| user.individuals.first()) else {
            return Ok(BTreeSet::new());
        };
        match self.documents.find::<IndividualDocument>(&individual.to_string()).await?.value {
            Some(individual) => self.groups_around(&individual).await,
            None => Ok(BTreeSet::new()),
        }
    }
}
