//! Given streams, when groups and their people change, then events of each.

use super::*;
use crate::group::GroupEvent;
use crate::group::placement::{PlacementError, PlacementEvent};
use crate::group::staffing::StaffingEvent;
use crate::organization::OrganizationError;
use crate::processes::testing::*;
use crate::user::Role;
use uuid::Uuid;

const WARD: GroupRef = GroupRef { organization: ACME, id: GroupId(Uuid::from_u128(0xC1)) };
const WEST: GroupId = GroupId(Uuid::from_u128(0xC2));
const INDIVIDUAL: IndividualId = IndividualId(Uuid::from_u128(0x11));
const SECOND: IndividualId = IndividualId(Uuid::from_u128(0x12));

fn node(id: GroupId, kind: GroupKind, node_type: NodeType) -> History {
    let tags = BTreeSet::new();
    let node = Node { id, organization_id: ACME, name: format!("Node {id}"), kind, node_type, tags, parent: None };
    events::<Group>(id, [GroupEvent::Created(Box::new(node))])
}

fn ward() -> History {
    node(WARD.id, GroupKind::Regular, NodeType::Group)
}

fn enrolled(individual: IndividualId) -> Vec<PlacementEvent> {
    vec![PlacementEvent::Enrolled { organization_id: ACME, individual_id: individual }]
}

fn places(individual: IndividualId, happened: impl IntoIterator<Item = PlacementEvent>) -> History {
    events::<Placement>(placement::stream(ACME, individual), happened)
}

fn joined(group: GroupId, first: bool) -> PlacementEvent {
    PlacementEvent::Joined { group, first }
}

fn posts(user: UserId, happened: impl IntoIterator<Item = StaffingEvent>) -> History {
    events::<Staffing>(staffing::stream(ACME, user), happened)
}

fn appointed(user: UserId, post: Post, group: GroupId) -> StaffingEvent {
    StaffingEvent::Appointed { organization_id: ACME, user_id: user, post, group }
}

fn relieved(post: Post, group: GroupId) -> StaffingEvent {
    StaffingEvent::Relieved { post, group }
}

fn new(individuals: &[IndividualId], leaders: &[UserId]) -> NewGroup {
    NewGroup {
        group: WARD,
        name: "Ward 7".into(),
        kind: GroupKind::Regular,
        node_type: NodeType::Group,
        tags: BTreeSet::new(),
        individuals: individuals.iter().copied().collect(),
        leaders: leaders.iter().copied().collect(),
    }
}

fn created(name: &str) -> GroupEvent {
    GroupEvent::Created(Box::new(Node {
        id: WARD.id,
        organization_id: ACME,
        name: name.into(),
        kind: GroupKind::Regular,
        node_type: NodeType::Group,
        tags: BTreeSet::new(),
        parent: None,
    }))
}

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

#[test]
fn a_new_group_has_its_people_from_the_start() {
    given([organization(ACME), member(ADA, ACME, [Role::Provider]), places(INDIVIDUAL, enrolled(INDIVIDUAL))])
        .when(|streams| create(streams, &new(&[INDIVIDUAL], &[ADA])))
        .then([
            events::<Group>(WARD.id, [created("Ward 7")]),
            places(INDIVIDUAL, [joined(WARD.id, true)]),
            posts(ADA, [appointed(ADA, Post::Leader, WARD.id)]),
        ]);
}

#[test]
fn a_new_group_is_refused_with_any_of_its_people() {
    given([organization(ACME), member(ADA, ACME, [Role::Provider])])
        .when(|streams| create(streams, &new(&[INDIVIDUAL], &[ADA])))
        .then_refused(PlacementError::NotEnrolled);
    given([organization(ACME), member(ADA, ACME, [Role::Member])])
        .when(|streams| create(streams, &new(&[], &[ADA])))
        .then_refused(StaffingError::NotEligible);
}

#[test]
fn groups_are_created_once_and_not_in_retired_organizations() {
    given([organization(ACME), ward()])
        .when(|streams| create(streams, &new(&[], &[])))
        .then_refused(GroupError::AlreadyExists);
    given([retired(ACME)]).when(|streams| create(streams, &new(&[], &[]))).then_refused(OrganizationError::Retired);
}

#[test]
fn new_leaders_replace_the_present_ones() {
    let before = [appointed(ADA, Post::Leader, WARD.id)];
    let amendment = Amendment { leaders: Some(set([BOB])), ..Amendment::default() };
    given([organization(ACME), ward(), posts(ADA, before), member(BOB, ACME, [Role::Admin])])
        .when(|streams| amend(streams, WARD, &amendment, &set([ADA]), None))
        .then([
            events::<Group>(WARD.id, [GroupEvent::LeadersReplaced { leaders: set([BOB]) }]),
            posts(ADA, [relieved(Post::Leader, WARD.id)]),
            posts(BOB, [appointed(BOB, Post::Leader, WARD.id)]),
        ]);
}

#[test]
fn leaders_who_stay_need_not_be_eligible() {
    let amendment = Amendment { leaders: Some(set([ADA, BOB])), ..Amendment::default() };
    given([organization(ACME), ward(), user(ADA, []), member(BOB, ACME, [Role::Provider])])
        .when(|streams| amend(streams, WARD, &amendment, &set([ADA]), None))
        .then([
            events::<Group>(WARD.id, [GroupEvent::LeadersReplaced { leaders: set([ADA, BOB]) }]),
            posts(BOB, [appointed(BOB, Post::Leader, WARD.id)]),
        ]);
}

#[test]
fn retired_organizations_rename_groups_and_get_no_leaders() {
    let renamed = Amendment { name: Some("Ward 8".into()), leaders: Some(set([])), ..Amendment::default() };
    let node = format!("Node {}", WARD.id);
    let event = GroupEvent::Renamed { organization_id: ACME, parent: None, from: node, to: "Ward 8".into() };
    given([retired(ACME), ward()])
        .when(|streams| amend(streams, WARD, &renamed, &set([]), None))
        .then([events::<Group>(WARD.id, [event])]);
    let amendment = Amendment { leaders: Some(set([BOB])), ..Amendment::default() };
    given([retired(ACME), ward(), member(BOB, ACME, [Role::Provider])])
        .when(|streams| amend(streams, WARD, &amendment, &set([]), None))
        .then_refused(OrganizationError::Retired);
}

#[test]
fn groups_are_amended_at_the_version_that_was_named() {
    let amendment = Amendment { tags: Some(set(["west".into()])), ..Amendment::default() };
    let amend_at = |version| {
        given([organization(ACME), ward()]).when(|streams| amend(streams, WARD, &amendment, &set([]), Some(version)))
    };
    amend_at(2).then_other_version();
    amend_at(1).then([events::<Group>(WARD.id, [GroupEvent::Tagged { tags: set(["west".into()]) }])]);
}

#[test]
fn individuals_go_from_one_group_to_another_in_one_moment() {
    let before = [enrolled(INDIVIDUAL), vec![joined(WEST, true)]].concat();
    let streams = [
        organization(ACME),
        ward(),
        node(WEST, GroupKind::Regular, NodeType::Group),
        places(INDIVIDUAL, before),
        places(SECOND, enrolled(SECOND)),
    ];
    given(streams).when(|streams| add_individuals(streams, WARD, &set([INDIVIDUAL, SECOND]), Some(WEST))).then([
        places(INDIVIDUAL, [joined(WARD.id, false), PlacementEvent::Removed { group: WEST, last: false }]),
        places(SECOND, [joined(WARD.id, true)]),
    ]);
}

#[test]
fn individuals_are_added_to_a_group_all_or_none() {
    given([organization(ACME), ward(), places(INDIVIDUAL, enrolled(INDIVIDUAL))])
        .when(|streams| add_individuals(streams, WARD, &set([INDIVIDUAL, SECOND]), None))
        .then_refused(PlacementError::NotEnrolled);
    given([retired(ACME), ward(), places(INDIVIDUAL, enrolled(INDIVIDUAL))])
        .when(|streams| add_individuals(streams, WARD, &set([INDIVIDUAL]), None))
        .then_refused(OrganizationError::Retired);
}

#[test]
fn a_thousand_individuals_are_loaded_at_once() {
    let people: BTreeSet<_> = (0..1_000).map(|number| IndividualId(Uuid::from_u128(0x1000 + number))).collect();
    let streams = people.iter().map(|individual| places(*individual, enrolled(*individual)));
    let then = given(streams.chain([organization(ACME), ward()]))
        .when(|streams| add_individuals(streams, WARD, &people, None));
    // One run each for the organization, the group and all people, then the decision.
    assert_eq!((then.runs, then.loads), (4, 1_002));
    then.then(people.iter().map(|individual| places(*individual, [joined(WARD.id, true)])));
}

#[test]
fn a_thousand_users_are_loaded_at_once() {
    let users: BTreeSet<_> = (0..1_000).map(|number| UserId(Uuid::from_u128(0x1000 + number))).collect();
    let streams = users.iter().map(|user| member(*user, ACME, [Role::Provider]));
    let then = given(streams.chain([organization(ACME), ward()]))
        .when(|streams| appoint(streams, WARD, Post::Member, &users, None));
    assert_eq!((then.runs, then.loads), (4, 2_002));
    then.then(users.iter().map(|user| posts(*user, [appointed(*user, Post::Member, WARD.id)])));
}

#[test]
fn divisions_and_groups_for_providers_take_no_individuals() {
    for (kind, node_type) in [(GroupKind::Regular, NodeType::Division), (GroupKind::ProviderOnly, NodeType::Group)] {
        given([organization(ACME), node(WARD.id, kind, node_type), places(INDIVIDUAL, enrolled(INDIVIDUAL))])
            .when(|streams| add_individuals(streams, WARD, &set([INDIVIDUAL]), None))
            .then_refused(GroupError::TakesNoIndividuals);
    }
    given([
        organization(ACME),
        node(WARD.id, GroupKind::Regular, NodeType::Division),
        member(ADA, ACME, [Role::Provider]),
    ])
    .when(|streams| appoint(streams, WARD, Post::Member, &set([ADA]), None))
    .then_refused(GroupError::TakesNoMembers);
}

#[test]
fn individuals_who_are_not_in_a_group_are_passed_over() {
    let before = [enrolled(INDIVIDUAL), vec![joined(WARD.id, true)]].concat();
    given([organization(ACME), ward(), places(INDIVIDUAL, before), places(SECOND, enrolled(SECOND))])
        .when(|streams| remove_individuals(streams, WARD, &set([INDIVIDUAL, SECOND])))
        .then([places(INDIVIDUAL, [PlacementEvent::Removed { group: WARD.id, last: true }])]);
}

#[test]
fn posts_go_from_one_group_to_another_in_one_moment() {
    let streams = [
        organization(ACME),
        ward(),
        node(WEST, GroupKind::Regular, NodeType::Group),
        member(ADA, ACME, [Role::Provider]),
        posts(ADA, [appointed(ADA, Post::Member, WEST)]),
    ];
    given(streams)
        .when(|streams| appoint(streams, WARD, Post::Member, &set([ADA]), Some(WEST)))
        .then([posts(ADA, [appointed(ADA, Post::Member, WARD.id), relieved(Post::Member, WEST)])]);
}

#[test]
fn posts_are_for_enabled_providers_and_admins() {
    let disabled = user(
        ADA,
        [
            crate::user::UserCommand::Join(ACME),
            crate::user::UserCommand::Grant(ACME, Role::Provider),
            crate::user::UserCommand::Disable { by: BOB },
        ],
    );
    for user in [disabled, user(ADA, []), member(ADA, ACME, [Role::Member]), member(ADA, OTHER, [Role::Provider])] {
        given([organization(ACME), ward(), user])
            .when(|streams| appoint(streams, WARD, Post::Leader, &set([ADA]), None))
            .then_refused(StaffingError::NotEligible);
    }
    given([organization(ACME), ward()])
        .when(|streams| appoint(streams, WARD, Post::Leader, &set([ADA]), None))
        .then_refused(StaffingError::NotEligible);
}

#[test]
fn users_without_the_post_are_passed_over() {
    given([organization(ACME), ward(), posts(ADA, [appointed(ADA, Post::Leader, WARD.id)])])
        .when(|streams| relieve(streams, WARD, Post::Leader, &set([ADA, BOB])))
        .then([posts(ADA, [relieved(Post::Leader, WARD.id)])]);
    given([retired(ACME), ward(), posts(ADA, [appointed(ADA, Post::Leader, WARD.id)])])
        .when(|streams| relieve(streams, WARD, Post::Member, &set([ADA])))
        .then_nothing();
}

#[test]
fn groups_of_the_system_and_of_deleted_organizations_are_not_changed() {
    let system = GroupRef { organization: ACME, id: SystemGroup::Unassigned.id(ACME) };
    let amendment = Amendment { name: Some("Mine".into()), ..Amendment::default() };
    type GroupStep<'a> = &'a dyn Fn(&mut Streams, GroupRef) -> Step<()>;
    let acts: [GroupStep<'_>; 5] = [
        &|streams, group| amend(streams, group, &amendment, &set([]), None),
        &|streams, group| add_individuals(streams, group, &set([INDIVIDUAL]), None),
        &|streams, group| remove_individuals(streams, group, &set([INDIVIDUAL])),
        &|streams, group| appoint(streams, group, Post::Leader, &set([ADA]), None),
        &|streams, group| relieve(streams, group, Post::Leader, &set([ADA])),
    ];
    for act in acts {
        given([organization(ACME)]).when(|streams| act(streams, system)).then_refused(GroupError::OfTheSystem);
        given([deleted(ACME), ward()]).when(|streams| act(streams, WARD)).then_refused(GroupError::NotFound);
        given([organization(ACME)]).when(|streams| act(streams, WARD)).then_refused(GroupError::NotFound);
    }
    given([organization(ACME), ward(), places(INDIVIDUAL, enrolled(INDIVIDUAL))])
        .when(|streams| add_individuals(streams, WARD, &set([INDIVIDUAL]), Some(system.id)))
        .then_refused(GroupError::OfTheSystem);
}
