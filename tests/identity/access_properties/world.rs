//! The rules of access in their plainest form: events fold into sets, and a grant is a statement about them.

use registrar::access::Operation;
use registrar::journal::codec;
use registrar::node::Node;
use registrar_aggregates::DomainEvent;
use registrar_aggregates::group::placement::PlacementEvent;
use registrar_aggregates::group::staffing::{Post, StaffingEvent};
use registrar_aggregates::group::{GroupEvent, NodeType, SystemGroup};
use registrar_aggregates::individual::{IndividualEvent, Owner};
use registrar_aggregates::organization::{Authorization, OrganizationEvent, Status};
use registrar_aggregates::user::{Role, SystemRole, UserEvent};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A user, folded from events.
#[derive(Default)]
pub struct Person {
    pub blocked: bool,
    pub archived: bool,
    pub member_of: BTreeSet<OrganizationId>,
    pub roles: BTreeSet<(OrganizationId, Role)>,
    pub administers_all: bool,
    /// The first one is the primary one.
    pub individuals: Vec<IndividualId>,
}

/// The facts from which grants follow.
#[derive(Default)]
pub struct World {
    pub users: BTreeMap<UserId, Person>,
    /// Whether each is open. Deleted organizations are absent.
    pub organizations: BTreeMap<OrganizationId, bool>,
    pub retired: BTreeSet<OrganizationId>,
    pub owners: BTreeMap<IndividualId, Owner>,
    /// The regular groups of each organization.
    pub groups: BTreeMap<GroupId, OrganizationId>,
    /// The groups that hold nodes.
    pub divisions: BTreeSet<GroupId>,
    pub parents: BTreeMap<GroupId, GroupId>,
    pub inside: BTreeSet<(OrganizationId, IndividualId, GroupId)>,
    pub leads: BTreeSet<(UserId, GroupId)>,
    pub works: BTreeSet<(UserId, GroupId)>,
}

fn uuid(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap()
}

impl World {
    pub async fn read(node: &Node) -> Self {
        let stored = node.journal.read(0, usize::MAX).await.unwrap();
        let mut world = World::default();
        for recorded in codec::decode(&node.vault, &stored).await.unwrap() {
            world.happen(&recorded.aggregate_id, &recorded.event);
        }
        world
    }

    fn happen(&mut self, stream: &str, event: &DomainEvent) {
        match event {
            DomainEvent::User(event) => {
                let user = self.users.entry(UserId(uuid(stream))).or_default();
                match event {
                    UserEvent::Disabled { .. } => user.blocked = true,
                    UserEvent::Archived { .. } => (user.blocked, user.archived) = (true, true),
                    UserEvent::Enabled { .. } => user.blocked = false,
                    UserEvent::OrganizationJoined { organization_id, .. } => {
                        user.member_of.insert(*organization_id);
                    }
                    UserEvent::OrganizationRemoved { organization_id } => {
                        user.member_of.remove(organization_id);
                        user.roles.retain(|(organization, _)| organization != organization_id);
                    }
                    UserEvent::RoleGranted { organization_id, role } => {
                        user.roles.insert((*organization_id, *role));
                    }
                    UserEvent::RoleRevoked { organization_id, role } => {
                        user.roles.remove(&(*organization_id, *role));
                    }
                    UserEvent::SystemRoleGranted { role } => user.administers_all |= *role == SystemRole::Admin,
                    UserEvent::SystemRoleRevoked { role } => user.administers_all &= *role != SystemRole::Admin,
                    UserEvent::IndividualAdded { individual_id } => user.individuals.push(*individual_id),
                    _ => {}
                }
            }
            DomainEvent::Organization(OrganizationEvent::Registered(profile)) => {
                self.organizations.insert(profile.id, profile.tenancy.authorization == Authorization::Open);
            }
            DomainEvent::Organization(OrganizationEvent::TenancyAmended { tenancy, .. }) => {
                let open = tenancy.authorization == Authorization::Open;
                self.organizations.insert(OrganizationId(uuid(stream)), open);
            }
            DomainEvent::Organization(OrganizationEvent::StatusChanged { status, .. }) => {
                let organization = OrganizationId(uuid(stream));
                if *status == Status::Retired {
                    self.retired.insert(organization)
                } else {
                    self.retired.remove(&organization)
                };
            }
            DomainEvent::Organization(OrganizationEvent::Deleted { .. }) => {
                self.organizations.remove(&OrganizationId(uuid(stream)));
            }
            DomainEvent::Individual(IndividualEvent::Recorded { id, owner }) => {
                self.owners.insert(*id, *owner);
            }
            DomainEvent::Group(GroupEvent::Created(node)) => {
                self.groups.insert(node.id, node.organization_id);
                if node.node_type == NodeType::Division {
                    self.divisions.insert(node.id);
                }
            }
            DomainEvent::Group(GroupEvent::Moved { to, .. }) => {
                let group = GroupId(uuid(stream));
                match to {
                    Some(to) => self.parents.insert(group, *to),
                    None => self.parents.remove(&group),
                };
            }
            DomainEvent::Placement(event) => {
                let (organization, individual) = stream.split_once('/').unwrap();
                let (organization, individual) = (OrganizationId(uuid(organization)), IndividualId(uuid(individual)));
                match event {
                    PlacementEvent::Enrolled { .. } => {}
                    PlacementEvent::Joined { group, .. } => {
                        self.inside.insert((organization, individual, *group));
                    }
                    PlacementEvent::Removed { group, .. } => {
                        self.inside.remove(&(organization, individual, *group));
                    }
                    PlacementEvent::Released { .. } => {
                        self.inside.retain(|(there, one, _)| (*there, *one) != (organization, individual));
                    }
                }
            }
            DomainEvent::Staffing(event) => {
                let user = UserId(uuid(stream.split_once('/').unwrap().1));
                let (post, group, stands) = match event {
                    StaffingEvent::Appointed { post, group, .. } => (post, *group, true),
                    StaffingEvent::Relieved { post, group } => (post, *group, false),
                };
                let places = if *post == Post::Leader { &mut self.leads } else { &mut self.works };
                if stands {
                    places.insert((user, group))
                } else {
                    places.remove(&(user, group))
                };
            }
            _ => {}
        }
    }

    /// The user, if active and thus able to hold grants.
    pub fn active(&self, user: UserId) -> Option<&Person> {
        self.users.get(&user).filter(|person| !person.blocked)
    }

    fn has(&self, user: UserId, organization: OrganizationId, role: Role) -> bool {
        self.active(user).is_some_and(|person| person.administers_all || self.holds(person, organization, role))
    }

    /// Whether roles in an organization count: it exists and is not retired.
    fn is_in_force(&self, organization: OrganizationId) -> bool {
        self.organizations.contains_key(&organization) && !self.retired.contains(&organization)
    }

    /// Whether a user has a role. Admins are providers too.
    fn holds(&self, person: &Person, organization: OrganizationId, role: Role) -> bool {
        let has = |role| person.roles.contains(&(organization, role));
        self.is_in_force(organization) && (has(role) || role == Role::Provider && has(Role::Admin))
    }

    /// Whether the posts of a user in an organization count.
    fn works_for(&self, user: UserId, organization: OrganizationId) -> bool {
        self.active(user).is_some_and(|person| self.holds(person, organization, Role::Provider))
    }

    fn post_in_force(&self, user: UserId, group: GroupId) -> bool {
        self.groups.get(&group).is_some_and(|organization| self.works_for(user, *organization))
    }

    /// Whether an individual exists: its owner was not deleted.
    fn is_known(&self, individual: IndividualId) -> bool {
        match self.owners.get(&individual) {
            Some(Owner::Organization(owner)) => self.organizations.contains_key(owner),
            Some(Owner::User(_)) => true,
            None => false,
        }
    }

    /// Posts of users without a role that posts require.
    pub fn posts_without_role(&self) -> Vec<(UserId, GroupId)> {
        let has = |user: &UserId, group: &GroupId| {
            let roles = [Role::Provider, Role::Admin].map(|role| (self.groups[group], role));
            roles.iter().any(|role| self.users[user].roles.contains(role)) && !self.users[user].archived
        };
        self.leads.iter().chain(&self.works).filter(|(user, group)| !has(user, group)).copied().collect()
    }

    fn is_admin(&self, user: UserId, organization: OrganizationId) -> bool {
        self.has(user, organization, Role::Admin)
    }

    fn sees_all_in(&self, user: UserId, organization: OrganizationId) -> bool {
        self.organizations.get(&organization) == Some(&true) && self.has(user, organization, Role::Provider)
    }

    /// Whether an individual belongs to an organization: the one that owns it, or one in which its owner participates.
    pub fn is_of(&self, individual: IndividualId, organization: OrganizationId) -> bool {
        if !self.organizations.contains_key(&organization) {
            return false;
        }
        match self.owners.get(&individual) {
            Some(Owner::Organization(owner)) => *owner == organization,
            Some(Owner::User(owner)) => {
                self.users.get(owner).is_some_and(|owner| owner.roles.contains(&(organization, Role::Member)))
            }
            None => false,
        }
    }

    pub fn in_regular_groups(&self, individual: IndividualId, organization: OrganizationId) -> BTreeSet<GroupId> {
        let inside = self.inside.iter().filter(|(there, one, _)| (*there, *one) == (organization, individual));
        inside.map(|(_, _, group)| *group).collect()
    }

    /// The groups of an individual, including system groups.
    fn groups_of(&self, individual: IndividualId) -> BTreeSet<GroupId> {
        let mut groups = BTreeSet::new();
        for organization in self.organizations.keys().filter(|organization| self.is_of(individual, **organization)) {
            let regular = self.in_regular_groups(individual, *organization);
            groups.insert(SystemGroup::AllParticipants.id(*organization));
            if regular.is_empty() {
                groups.insert(SystemGroup::Unassigned.id(*organization));
            }
            groups.extend(regular);
        }
        groups
    }

    /// Whether `node` is `above` or a descendant of it.
    pub fn is_under(&self, mut node: GroupId, above: GroupId) -> bool {
        loop {
            if node == above {
                return true;
            }
            match self.parents.get(&node) {
                Some(parent) => node = *parent,
                None => return false,
            }
        }
    }

    pub fn is_inside(&self, individual: IndividualId, group: GroupId) -> bool {
        self.groups_of(individual).into_iter().any(|inside| self.is_under(inside, group))
    }

    fn leads_at_or_above(&self, user: UserId, group: GroupId) -> bool {
        let mut led = self.leads.iter().filter(|(one, led)| *one == user && self.is_under(group, *led));
        led.any(|(_, led)| self.post_in_force(user, *led))
    }

    fn works_in(&self, user: UserId, group: GroupId) -> bool {
        self.post_in_force(user, group) && self.works.contains(&(user, group))
    }

    /// Whether a user may read an individual because of its place in one organization.
    pub fn through(&self, user: UserId, individual: IndividualId, organization: OrganizationId) -> bool {
        self.is_of(individual, organization)
            && (self.is_admin(user, organization)
                || self.sees_all_in(user, organization)
                || self
                    .in_regular_groups(individual, organization)
                    .into_iter()
                    .any(|group| self.leads_at_or_above(user, group) || self.works_in(user, group)))
    }

    pub fn owns(&self, user: UserId, individual: IndividualId) -> bool {
        self.active(user).is_some() && self.owners.get(&individual) == Some(&Owner::User(user))
    }

    pub fn individual(&self, user: UserId, individual: IndividualId) -> bool {
        let everything = self.active(user).is_some_and(|person| person.administers_all);
        self.is_known(individual)
            && (everything
                || self.owns(user, individual)
                || self.organizations.keys().any(|organization| self.through(user, individual, *organization)))
    }

    pub fn organization(&self, user: UserId, organization: OrganizationId, operation: Operation) -> bool {
        let Some(person) = self.active(user) else { return false };
        self.organizations.contains_key(&organization)
            && match operation {
                Operation::Read => {
                    person.administers_all || self.is_in_force(organization) && person.member_of.contains(&organization)
                }
                Operation::Write => self.is_admin(user, organization),
                Operation::Contain => false,
            }
    }

    /// Every group with its organization, including system groups.
    pub fn all_groups(&self) -> BTreeMap<GroupId, OrganizationId> {
        let system = self
            .organizations
            .keys()
            .flat_map(|organization| SystemGroup::ALL.map(|group| (group.id(*organization), *organization)));
        let own = self.groups.iter().filter(|(_, organization)| self.organizations.contains_key(organization));
        system.chain(own.map(|(group, organization)| (*group, *organization))).collect()
    }

    pub fn group(&self, user: UserId, group: GroupId, operation: Operation) -> bool {
        let Some(organization) = self.all_groups().get(&group).copied() else { return false };
        let writes = self.is_admin(user, organization) || self.leads_at_or_above(user, group);
        match operation {
            Operation::Write => writes,
            Operation::Read => writes || self.works_in(user, group) || self.sees_all_in(user, organization),
            Operation::Contain => self.active(user).is_some_and(|person| {
                person.individuals.first().is_some_and(|individual| self.is_inside(*individual, group))
            }),
        }
    }
}
