//! Users of some organizations, and a tree of groups for those of the first organization.
//!
//! The first users are providers: each leads the division of its own number, and the first of them so much that about
//! half of the individuals are below. The others take part: each has an individual, in ten neighbouring groups.

use super::{CONCURRENCY, id, name};
use crate::cli::progress::Progress;
use crate::executor::{ExecuteError, RequestContext};
use crate::node::Node;
use crate::processes::groups::{self, GroupRef};
use crate::processes::{DirectoryError, Refusal, membership, organizations};
use futures::{StreamExt, TryStreamExt};
use registrar_aggregates::group::placement::{self, Placement, PlacementCommand};
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::group::tree::{Tree, TreeCommand};
use registrar_aggregates::group::{Group, GroupCommand, GroupError, GroupKind, NodeType};
use registrar_aggregates::organization::{Authorization, Content, OrganizationError, Stamp, Tenancy};
use registrar_aggregates::processes::{Step, Stop, Streams};
use registrar_aggregates::user::{Contacts, Creation, Locale, Names, Role, UserError, UserState, Username};
use registrar_aggregates::values::{EmailAddress, GroupId, IndividualId, OrganizationId, UserId};
use std::collections::BTreeSet;

/// Children of a division.
const CHILDREN: u64 = 5;
/// Groups of each individual.
const GROUPS_EACH: usize = 10;
/// Groups created in one commit: each changes the whole tree.
const GROUPS_TOGETHER: usize = 500;

/// Numbers of items to create.
pub(super) struct Numbers {
    pub(super) organizations: u64,
    pub(super) users: u64,
    pub(super) groups: u64,
}

pub(super) async fn create_all(node: &Node, numbers: Numbers) -> anyhow::Result<()> {
    let Numbers { organizations, users, groups } = numbers;
    counted("creating organizations", organizations, |number| register(node, number)).await?;
    let organization = organization(0);
    let context = RequestContext::system().within(organization);
    let seeded = &OrganizationSeeder { node, context, organization, forest: Forest::of(groups) };
    let numbers: Vec<u64> = (0..groups).collect();
    let progress = Progress::start("creating groups");
    for chunk in numbers.chunks(GROUPS_TOGETHER) {
        seeded.create_groups(chunk).await?;
        progress.show(chunk.last().map_or(0, |last| last + 1), groups);
    }
    progress.finish(groups);
    counted("creating users", users, async |number| match number % organizations.max(1) {
        0 => Ok(seeded.create_user(number, number / organizations.max(1)).await?),
        other => create_elsewhere(node, number, other).await,
    })
    .await
}

/// Calls `make` for the numbers below `count`, many at a time, and shows the progress.
async fn counted<F>(what: &'static str, count: u64, make: impl Fn(u64) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let progress = Progress::start(what);
    let mut made = futures::stream::iter(0..count).map(make).buffer_unordered(CONCURRENCY);
    let mut done = 0;
    while made.try_next().await?.is_some() {
        done += 1;
        progress.show(done, count);
    }
    progress.finish(count);
    Ok(())
}

fn organization(number: u64) -> OrganizationId {
    OrganizationId(id("organization", number))
}

async fn register(node: &Node, number: u64) -> anyhow::Result<()> {
    let organization = organization(number);
    let context = RequestContext::system().within(organization);
    let tenancy = Tenancy { authorization: Authorization::Restricted, ..Tenancy::default() };
    let name = if number == 0 { "Example Clinics".into() } else { format!("Example Clinics {number}") };
    let content = Content { name, tenancy: Some(tenancy), ..Content::default() };
    match organizations::register(node, &context, organization, content, Stamp::at(chrono::Utc::now())).await {
        Ok(_) | Err(ExecuteError::Refused(OrganizationError::AlreadyRegistered)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Creates a user who takes part in an organization without groups.
async fn create_elsewhere(node: &Node, number: u64, organization: u64) -> anyhow::Result<()> {
    let organization = self::organization(organization);
    let context = RequestContext::system().within(organization);
    let (user, individual) = (UserId(id("user", number)), IndividualId(id("individual", number)));
    let part = Some(membership::FirstGrant::Member(organization, Some(Role::Member)));
    match membership::create_as(node, &context, creation(user, number), part, individual).await {
        Ok(_) | Err(DirectoryError::Refused(Refusal::User(UserError::AlreadyExists))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

struct OrganizationSeeder<'n> {
    node: &'n Node,
    context: RequestContext,
    organization: OrganizationId,
    forest: Forest,
}

impl OrganizationSeeder<'_> {
    async fn create_groups(&self, numbers: &[u64]) -> anyhow::Result<()> {
        let create = |streams: &mut Streams| numbers.iter().try_for_each(|number| self.create_group(streams, *number));
        let done = self.node.executor.execute_process(&self.context, create);
        done.await.map_err(DirectoryError::from)?;
        Ok(())
    }

    fn create_group(&self, streams: &mut Streams, number: u64) -> Step<()> {
        let group = group(number);
        let division = self.forest.is_division(number);
        let create = GroupCommand::Create {
            id: group,
            organization_id: self.organization,
            name: if division { format!("Division {number}") } else { format!("Group {number}") },
            kind: GroupKind::Regular,
            node_type: if division { NodeType::Division } else { NodeType::Group },
            tags: BTreeSet::new(),
        };
        match streams.execute::<Group>(group, create) {
            Ok(_) | Err(Stop::Refused(Refusal::Group(GroupError::AlreadyExists))) => {}
            Err(stop) => return Err(stop),
        }
        if let Some(parent) = parent(number) {
            let under = Some(self::group(parent));
            streams.execute::<Tree>(self.organization, TreeCommand::Hang { node: group, under })?;
            streams.execute::<Group>(group, GroupCommand::Hang { under })?;
        }
        Ok(())
    }

    /// Creates the `place`th user of the organization.
    async fn create_user(&self, number: u64, place: u64) -> Result<(), DirectoryError> {
        let (user, individual) = (UserId(id("user", number)), IndividualId(id("individual", number)));
        let leads = self.forest.led_by(place);
        let role = if leads.is_empty() { Role::Member } else { Role::Provider };
        let part = Some(membership::FirstGrant::Member(self.organization, Some(role)));
        match membership::create_as(self.node, &self.context, creation(user, number), part, individual).await {
            Ok(_) | Err(DirectoryError::Refused(Refusal::User(UserError::AlreadyExists))) => {}
            Err(error) => return Err(error),
        }
        for division in leads {
            let division = GroupRef { organization: self.organization, id: group(division) };
            groups::appoint(self.node, &self.context, division, Post::Leader, &[user].into(), None).await?;
        }
        let places = self.forest.places_of(place);
        if role == Role::Member && !places.is_empty() {
            let stream = &placement::stream(self.organization, individual);
            let join = |streams: &mut Streams| {
                for place in places {
                    let join = PlacementCommand::Join { group: group(*place), instead_of: None };
                    streams.execute::<Placement>(stream, join)?;
                }
                Step::Ok(())
            };
            self.node.executor.execute_process(&self.context, join).await?;
        }
        Ok(())
    }
}

fn group(number: u64) -> GroupId {
    GroupId(id("group", number))
}

fn creation(user: UserId, number: u64) -> Creation {
    let (first_name, last_name) = name(number);
    Creation {
        id: user,
        state: UserState::Confirmed,
        names: Names { first_name, last_name },
        birth_date: None,
        home: None,
        sign_up_code: None,
        contacts: Contacts {
            email: EmailAddress::parse(&format!("user{number}@example.com")).ok(),
            email_verified: true,
            ..Contacts::default()
        },
        username: Username::Email,
        locale: Locale::default(),
        time_zone: None,
        classification: None,
        onboarding: None,
        password_hash: None,
        password_expires_at: None,
    }
}

/// The parent division of a group: the first five are at the top.
fn parent(number: u64) -> Option<u64> {
    (number / CHILDREN).checked_sub(1)
}

/// The number of groups, and which of them lie close together.
struct Forest {
    groups: u64,
    /// Groups that are no divisions, by their ancestor on the second level, or all together where there are few.
    neighbourhoods: Vec<Vec<u64>>,
}

impl Forest {
    fn of(groups: u64) -> Self {
        let mut forest = Forest { groups, neighbourhoods: Vec::new() };
        let second = CHILDREN..CHILDREN * (CHILDREN + 1);
        let home = |number: u64| {
            let mut above = std::iter::successors(Some(number), |number| parent(*number));
            above.find(|number| second.contains(number)).filter(|_| groups > CHILDREN * second.end)
        };
        let mut found: std::collections::BTreeMap<Option<u64>, Vec<u64>> = std::collections::BTreeMap::new();
        for number in (0..groups).filter(|number| !forest.is_division(*number)) {
            found.entry(home(number)).or_default().push(number);
        }
        forest.neighbourhoods = found.into_values().collect();
        forest
    }

    fn is_division(&self, number: u64) -> bool {
        CHILDREN * (number + 1) < self.groups
    }

    /// The divisions that a user leads.
    fn led_by(&self, user: u64) -> Vec<u64> {
        // The first user leads two of the five at the top, and three of the five below the third.
        let more: &[u64] = if user == 0 { &[1, 15, 16, 17] } else { &[] };
        let led = std::iter::once(user).chain(more.iter().copied());
        led.filter(|number| self.is_division(*number)).collect()
    }

    /// The groups that a user's individual is in.
    fn places_of(&self, user: u64) -> &[u64] {
        let homes = self.neighbourhoods.len() as u64;
        let Some(home) = user.checked_rem(homes).and_then(|home| self.neighbourhoods.get(home as usize)) else {
            return &[];
        };
        let last = home.len().saturating_sub(GROUPS_EACH);
        let first = (user / homes) as usize % (last + 1);
        &home[first..home.len().min(first + GROUPS_EACH)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(number: u64) -> usize {
        std::iter::successors(Some(number), |number| parent(*number)).count()
    }

    #[test]
    fn ten_thousand_groups_are_six_levels_deep() {
        let forest = Forest::of(10_000);
        assert_eq!((0..10_000).map(depth).max(), Some(6));
        assert_eq!(forest.neighbourhoods.len(), 25);
        for number in 5..10_000 {
            assert!(forest.is_division(parent(number).unwrap()), "{number}");
        }
    }

    #[test]
    fn seeded_users_are_in_ten_groups_each_and_the_first_leads_about_half_of_them() {
        let forest = Forest::of(10_000);
        let led: BTreeSet<u64> = forest.led_by(0).into_iter().collect();
        let is_led =
            |group: u64| std::iter::successors(Some(group), |number| parent(*number)).any(|g| led.contains(&g));
        let below = (2_000..12_000).filter(|user| {
            let places = forest.places_of(*user);
            assert_eq!(places.len(), GROUPS_EACH);
            assert!(places.iter().all(|place| !forest.is_division(*place)));
            places.iter().any(|place| is_led(*place))
        });
        assert_eq!(below.count(), 5_200);
    }

    #[test]
    fn small_forests_are_well_formed() {
        for groups in [0, 1, 4, 6, 31, 151] {
            let forest = Forest::of(groups);
            assert_eq!(forest.places_of(77).is_empty(), groups == 0);
            assert!(forest.places_of(77).iter().all(|place| *place < groups && !forest.is_division(*place)));
            assert!(forest.led_by(0).iter().all(|division| forest.is_division(*division)));
        }
    }

    #[test]
    fn seeded_users_have_an_address_and_are_always_the_same() {
        for number in [0, 7, 1_000_000] {
            let user = UserId(id("user", number));
            assert_eq!(creation(user, number), creation(user, number));
            assert!(creation(user, number).contacts.email.is_some());
        }
    }
}
