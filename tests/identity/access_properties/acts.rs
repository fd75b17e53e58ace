//! Random acts on a directory.

use super::world::World;
use crate::app::{creation, organize};
use chrono::Utc;
use proptest::prelude::*;
use registrar::executor::{Outcome, RequestContext};
use registrar::journal::JournalError;
use registrar::node::Node;
use registrar::processes::groups::{self, GroupRef, NewGroup};
use registrar::processes::{DirectoryError, membership, moves, organizations};
use registrar_aggregates::granting::Granter;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::group::{GroupKind, NodeType};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::organization::{
    Authorization, Content, Organization, OrganizationCommand, Stamp, Status, TenancyAmendment,
};
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, TaskId, UserId};
use std::collections::BTreeSet;
use uuid::Uuid;

const USERS: usize = 7;
const GROUPS: usize = 7;
const OWNED: usize = 8;

/// An act. Users, groups and organizations are numbers, counted among those that exist at that moment, so that most
/// acts succeed.
#[derive(Debug, Clone)]
pub enum Act {
    Join(usize, usize, Option<Role>),
    Grant(usize, Role),
    Revoke(usize),
    Leave(usize),
    GrantSystem(usize),
    RevokeSystem(usize),
    Disable(usize),
    Enable(usize),
    Archive(usize),
    OwnedByUser(usize, usize),
    OwnedByOrganization(usize, usize),
    Authorize(usize, Authorization),
    Retire(usize),
    Reinstate(usize),
    Delete,
    CreateGroup(usize, usize, GroupKind, NodeType),
    Move(usize, Option<usize>),
    Put(usize, usize, Option<usize>),
    Take(usize),
    Appoint(usize, usize, Post, Option<usize>),
    Relieve(usize),
}

/// A strategy for any act.
pub fn act() -> impl Strategy<Value = Act> {
    let n = || 0..60_usize;
    let role = || prop_oneof![1 => Just(Role::Admin), 2 => Just(Role::Provider), 2 => Just(Role::Member)];
    let post = || prop_oneof![Just(Post::Leader), Just(Post::Member)];
    let kind = prop_oneof![6 => Just(GroupKind::Regular), 1 => Just(GroupKind::ProviderOnly)];
    let node_type = prop_oneof![Just(NodeType::Division), Just(NodeType::Group)];
    let authorization = prop_oneof![Just(Authorization::Open), Just(Authorization::Restricted)];
    let instead = || proptest::option::weighted(0.2, 0..60_usize);
    prop_oneof![
        8 => (n(), n(), proptest::option::weighted(0.8, role())).prop_map(|(u, o, r)| Act::Join(u, o, r)),
        3 => (n(), role()).prop_map(|(m, r)| Act::Grant(m, r)),
        2 => n().prop_map(Act::Revoke),
        1 => n().prop_map(Act::Leave),
        1 => n().prop_map(Act::GrantSystem),
        2 => n().prop_map(Act::RevokeSystem),
        2 => n().prop_map(Act::Disable),
        3 => n().prop_map(Act::Enable),
        1 => n().prop_map(Act::Archive),
        4 => (0..OWNED, n()).prop_map(|(i, u)| Act::OwnedByUser(i, u)),
        3 => (0..OWNED, n()).prop_map(|(i, o)| Act::OwnedByOrganization(i, o)),
        3 => (n(), authorization).prop_map(|(o, a)| Act::Authorize(o, a)),
        2 => n().prop_map(Act::Retire),
        3 => n().prop_map(Act::Reinstate),
        1 => Just(Act::Delete),
        3 => (0..GROUPS, n(), kind, node_type).prop_map(|(g, o, k, t)| Act::CreateGroup(g, o, k, t)),
        8 => (n(), proptest::option::weighted(0.8, n())).prop_map(|(g, d)| Act::Move(g, d)),
        16 => (n(), n(), instead()).prop_map(|(g, i, f)| Act::Put(g, i, f)),
        3 => n().prop_map(Act::Take),
        14 => (n(), n(), post(), instead()).prop_map(|(g, u, p, f)| Act::Appoint(g, u, p, f)),
        3 => n().prop_map(Act::Relieve),
    ]
}

async fn change(
    node: &Node,
    organization: OrganizationId,
    command: OrganizationCommand,
) -> Result<Outcome, DirectoryError> {
    let context = RequestContext::system().within(organization);
    Ok(node.executor.execute::<Organization>(&context, &organization.to_string(), command, None).await?)
}

/// The element that `number` stands for, modulo the number of elements.
fn pick<T: Clone>(among: impl IntoIterator<Item = T>, number: usize) -> Option<T> {
    let among: Vec<T> = among.into_iter().collect();
    among.get(number.checked_rem(among.len())?).cloned()
}

/// The users, individuals and organizations that acts can name.
pub struct Stage {
    pub users: Vec<UserId>,
    pub organizations: Vec<OrganizationId>,
    pub groups: Vec<GroupId>,
    pub owned: Vec<IndividualId>,
}

impl Stage {
    pub async fn open(node: &Node) -> Self {
        let mut organizations = Vec::new();
        for (name, authorization) in
            [("A", Authorization::Open), ("B", Authorization::Restricted), ("C", Authorization::Restricted)]
        {
            organizations.push(OrganizationId(organize(node, name, authorization).await));
        }
        let mut users = Vec::new();
        for number in 0..USERS {
            let creation = creation(&format!("{number}@example.com"), None);
            users.push(creation.id);
            membership::create(node, &RequestContext::system(), creation, None).await.unwrap();
        }
        let groups = (0..GROUPS).map(|_| GroupId(Uuid::now_v7())).collect();
        let owned = (0..OWNED).map(|_| IndividualId(Uuid::now_v7())).collect();
        let stage = Stage { users, organizations, groups, owned };
        stage.fill(node).await;
        stage
    }

    /// Adds the first members, individuals and groups, most of them in the restricted organizations, where access
    /// follows from groups alone.
    async fn fill(&self, node: &Node) {
        use NodeType::{Division, Group};
        let (member, provider) = (Some(Role::Member), Some(Role::Provider));
        let users = [
            (0, 1, Some(Role::Admin)),
            (1, 1, provider),
            (2, 1, provider),
            (3, 1, member),
            (4, 2, provider),
            (5, 1, member),
        ];
        let groups = [(0, 1, Division), (1, 1, Group), (2, 1, Division), (3, 1, Group), (4, 2, Group)];
        let joined = users.map(|(user, organization, role)| Act::Join(user, organization, role)).into_iter();
        let owned = (0..4).map(|one| Act::OwnedByOrganization(one, 1 + one % 2));
        let created = groups.map(|(group, organization, node_type)| {
            Act::CreateGroup(group, organization, GroupKind::Regular, node_type)
        });
        let placed = [Act::Move(1, Some(0)), Act::Put(0, 0, None), Act::Put(1, 1, None)];
        for act in joined.chain(owned).chain(created).chain(placed) {
            self.play(node, &act).await;
        }
    }

    /// Plays an act if its operands exist. Refusals are expected.
    pub async fn play(&self, node: &Node, act: &Act) {
        let world = World::read(node).await;
        let done = self.attempt(node, &world, act).await;
        let done = done.unwrap_or(Ok(()));
        match done {
            Ok(()) | Err(DirectoryError::Refused(_) | DirectoryError::Journal(JournalError::ClaimTaken { .. })) => {}
            Err(error) => panic!("{act:?}: {error:?}"),
        }
    }
    async fn attempt(&self, node: &Node, world: &World, act: &Act) -> Option<Result<(), DirectoryError>> {
        let context = &RequestContext::system();
        let user = |number: usize| pick(self.users.iter().copied(), number);
        let organization = |number: usize| pick(self.organizations.iter().copied(), number);
        // A group stays in the organization in which it was created.
        let group = |number: usize| {
            let found = pick(world.groups.iter(), number);
            found.map(|(id, organization)| GroupRef { organization: *organization, id: *id })
        };
        let peopled = |number: usize| {
            let found = pick(world.groups.iter().filter(|(id, _)| !world.divisions.contains(id)), number);
            found.map(|(id, organization)| GroupRef { organization: *organization, id: *id })
        };
        let memberships =
            world.users.iter().flat_map(|(user, person)| person.member_of.iter().map(|one| (*user, *one)));
        let done = match act {
            Act::Join(u, o, role) => {
                membership::join(node, context, &Granter::system(), user(*u)?, organization(*o)?, *role).await
            }
            Act::Grant(m, role) => {
                let (user, organization) = pick(memberships, *m)?;
                membership::grant(node, context, &Granter::system(), user, organization, *role).await
            }
            Act::Revoke(r) => {
                let held = world.users.iter().flat_map(|(user, person)| person.roles.iter().map(|role| (*user, *role)));
                let (user, (organization, role)) = pick(held, *r)?;
                membership::revoke(node, context, user, organization, role).await
            }
            Act::Leave(m) => {
                let (user, organization) = pick(memberships, *m)?;
                membership::leave(node, context, user, organization).await
            }
            Act::GrantSystem(u) => {
                membership::grant_system(node, context, &Granter::system(), user(*u)?, SystemRole::Admin).await
            }
            Act::RevokeSystem(u) => {
                let held = world.users.iter().filter(|(_, person)| person.administers_all).map(|(user, _)| *user);
                membership::revoke_system(node, context, pick(held, *u)?, SystemRole::Admin).await
            }
            Act::Disable(u) => membership::disable(node, context, user(*u)?, UserId(Uuid::nil())).await,
            Act::Enable(u) => {
                let blocked = world.users.iter().filter(|(_, person)| person.blocked).map(|(user, _)| *user);
                membership::enable(node, context, pick(blocked, *u)?).await
            }
            // Only two users can be archived, since archiving is final.
            Act::Archive(u) => membership::archive(node, context, pick([self.users[0], self.users[1]], *u)?).await,
            Act::OwnedByUser(i, u) => {
                membership::record_individual(node, context, self.owned[*i], Owner::User(user(*u)?)).await
            }
            Act::OwnedByOrganization(i, o) => {
                let owner = Owner::Organization(organization(*o)?);
                membership::record_individual(node, context, self.owned[*i], owner).await
            }
            Act::Authorize(o, authorization) => {
                let amendment = TenancyAmendment { authorization: Some(*authorization), ..TenancyAmendment::default() };
                organizations::amend(node, context, organization(*o)?, amendment, None).await
            }
            Act::Retire(o) => {
                let command = OrganizationCommand::Retire { grounds: None, stamp: Stamp::at(Utc::now()) };
                change(node, organization(*o)?, command).await
            }
            Act::Reinstate(o) => {
                let organization = pick(world.retired.iter().copied(), *o)?;
                let content = Content { name: "Again".into(), status: Some(Status::Active), ..Content::default() };
                let (content, stamp) = (Box::new(content), Stamp::at(Utc::now()));
                change(node, organization, OrganizationCommand::Replace { content, stamp, may_end: true }).await
            }
            // Only one organization can be deleted, since deletion is final.
            Act::Delete => {
                let command = OrganizationCommand::Delete(Stamp::at(Utc::now()));
                change(node, *self.organizations.last()?, command).await
            }
            Act::CreateGroup(g, o, kind, node_type) => {
                let new = NewGroup {
                    group: GroupRef { organization: organization(*o)?, id: self.groups[*g] },
                    name: g.to_string(),
                    kind: *kind,
                    node_type: *node_type,
                    tags: BTreeSet::new(),
                    individuals: BTreeSet::new(),
                    leaders: BTreeSet::new(),
                };
                groups::create(node, context, &new).await
            }
            Act::Move(g, under) => {
                let (group, task) = (group(*g)?, TaskId(Uuid::now_v7()));
                let here = world.groups.iter().filter(|(_, organization)| **organization == group.organization);
                let divisions = here.map(|(id, _)| *id).filter(|id| world.divisions.contains(id) && *id != group.id);
                let under = match under {
                    Some(under) => Some(pick(divisions, *under)?),
                    None => None,
                };
                match moves::queue(node, context, task, group, under).await {
                    Ok(_) => return Some(moves::carry_out(node, task).await),
                    refused => refused,
                }
            }
            Act::Put(g, i, from) => {
                let group = peopled(*g)?;
                let here = world.owners.keys().copied().filter(|one| world.is_of(*one, group.organization));
                let individual = pick(here, *i)?;
                let from = from.and_then(|from| pick(world.in_regular_groups(individual, group.organization), from));
                groups::add_individuals(node, context, group, &BTreeSet::from([individual]), from).await
            }
            Act::Take(p) => {
                let (organization, individual, id) = pick(world.inside.iter().copied(), *p)?;
                let group = GroupRef { organization, id };
                groups::remove_individuals(node, context, group, &BTreeSet::from([individual])).await
            }
            Act::Appoint(g, u, post, from) => {
                let group = if *post == Post::Leader { group(*g)? } else { peopled(*g)? };
                let members = memberships.filter(|(_, organization)| *organization == group.organization);
                let user = pick(members.map(|(user, _)| user), *u)?;
                let places = if *post == Post::Leader { &world.leads } else { &world.works };
                let held = places
                    .iter()
                    .filter(|(one, held)| *one == user && world.groups.get(held) == Some(&group.organization));
                let from = from.and_then(|from| pick(held.map(|(_, held)| *held), from));
                groups::appoint(node, context, group, *post, &BTreeSet::from([user]), from).await
            }
            Act::Relieve(p) => {
                let held = world.leads.iter().map(|place| (Post::Leader, *place));
                let (post, (user, id)) = pick(held.chain(world.works.iter().map(|place| (Post::Member, *place))), *p)?;
                let group = GroupRef { organization: *world.groups.get(&id)?, id };
                groups::relieve(node, context, group, post, &BTreeSet::from([user])).await
            }
        };
        Some(done.map(drop))
    }
}
