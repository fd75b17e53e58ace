use super::*;
use crate::{Claim, ClaimKey, EventFacts};

fn node() -> Node {
    Node {
        id: group(1),
        organization_id: organization(),
        name: "Ward 7".into(),
        kind: GroupKind::Regular,
        node_type: NodeType::Group,
        tags: set(["night".to_owned()]),
        parent: None,
    }
}

fn create(name: &str, tags: impl IntoIterator<Item = String>) -> GroupCommand {
    let Node { id, organization_id, kind, node_type, .. } = node();
    GroupCommand::Create { id, organization_id, name: name.into(), kind, node_type, tags: tags.into_iter().collect() }
}

fn created() -> GroupEvent {
    GroupEvent::Created(Box::new(node()))
}

fn rename(name: &str) -> GroupCommand {
    GroupCommand::Amend { name: Some(name.into()), tags: None }
}

fn renamed(from: &str, to: &str, parent: Option<GroupId>) -> GroupEvent {
    GroupEvent::Renamed { organization_id: organization(), parent, from: from.into(), to: to.into() }
}

fn moved(from: Option<GroupId>, to: Option<GroupId>) -> GroupEvent {
    GroupEvent::Moved { organization_id: organization(), name: "Ward 7".into(), from, to }
}

#[test]
fn a_group_is_created_at_the_top_with_its_name_and_tags_trimmed() {
    given::<Group>([]).when(create(" Ward 7 ", ["night ".into()])).then_expect_events(vec![created()]);
    given::<Group>([created()]).when(create("Ward 8", [])).then_expect_error(GroupError::AlreadyExists);
}

#[test]
fn names_and_tags_have_their_limits() {
    let long = |length| "ä".repeat(length);
    for (name, problem) in [
        ("", Problem::Blank),
        (" ", Problem::Blank),
        ("a\0", Problem::Nul),
        (&long(256), Problem::TooLong { max: NAME_LENGTH_MAX }),
    ] {
        given::<Group>([]).when(create(name, [])).then_expect_error(GroupError::UnfitName(problem.clone()));
        given::<Group>([created()]).when(rename(name)).then_expect_error(GroupError::UnfitName(problem));
    }
    for (tag, problem) in [(" ".to_owned(), Problem::Blank), (long(128), Problem::TooLong { max: TAG_LENGTH_MAX })] {
        given::<Group>([]).when(create("n", [tag])).then_expect_error(GroupError::UnfitTag(problem));
    }
    let tags = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    given::<Group>([]).when(create("n", tags(101))).then_expect_error(GroupError::TooManyTags);
    let longest = state::<Group>(Group::Absent.decide(create(&long(255), tags(100))).expect("within the limits"));
    assert_eq!(longest.node().map(|node| (node.name.chars().count(), node.tags.len())), Some((255, 100)));
}

#[test]
fn only_changed_values_are_recorded() {
    given::<Group>([created()]).when(rename("Ward 7")).then_expect_events(vec![]);
    given::<Group>([created()]).when(rename("Ward 8")).then_expect_events(vec![renamed("Ward 7", "Ward 8", None)]);
    let tags = |tags: BTreeSet<String>| GroupCommand::Amend { name: None, tags: Some(tags) };
    given::<Group>([created()]).when(tags(node().tags)).then_expect_events(vec![]);
    given::<Group>([created()]).when(tags(set([]))).then_expect_events(vec![GroupEvent::Tagged { tags: set([]) }]);
    let both = GroupCommand::Amend { name: Some(" ".into()), tags: Some(set([])) };
    given::<Group>([created()]).when(both).then_expect_error(GroupError::UnfitName(Problem::Blank));
}

#[test]
fn replacing_leaders_is_recorded_only_if_they_change() {
    let replace = |present: &[u128], leaders: &[u128]| {
        let users = |ids: &[u128]| ids.iter().map(|id| UserId(Uuid::from_u128(*id))).collect();
        GroupCommand::ReplaceLeaders { present: users(present), leaders: users(leaders) }
    };
    let replaced = |leaders: &[u128]| GroupEvent::LeadersReplaced {
        leaders: leaders.iter().map(|id| UserId(Uuid::from_u128(*id))).collect(),
    };
    given::<Group>([created()]).when(replace(&[1], &[1])).then_expect_events(vec![]);
    given::<Group>([created()]).when(replace(&[1], &[2, 3])).then_expect_events(vec![replaced(&[2, 3])]);
    // The present leaders follow from their posts, not from the replacement before.
    given::<Group>([created(), replaced(&[2])]).when(replace(&[1], &[2])).then_expect_events(vec![replaced(&[2])]);
    given::<Group>([]).when(replace(&[], &[1])).then_expect_error(GroupError::NotFound);
    assert_eq!(replaced(&[1]).claims(), []);
}

#[test]
fn an_absent_group_is_neither_renamed_nor_moved() {
    given::<Group>([]).when(rename("n")).then_expect_error(GroupError::NotFound);
    given::<Group>([]).when(GroupCommand::Hang { under: Some(group(2)) }).then_expect_error(GroupError::NotFound);
}

#[test]
fn a_group_is_moved_under_a_parent_and_renamed_there() {
    let under = Some(group(2));
    let hang = |under| GroupCommand::Hang { under };
    given::<Group>([created()]).when(hang(under)).then_expect_events(vec![moved(None, under)]);
    given::<Group>([created(), moved(None, under)]).when(hang(under)).then_expect_events(vec![]);
    given::<Group>([created(), moved(None, under)]).when(hang(None)).then_expect_events(vec![moved(under, None)]);
    given::<Group>([created(), moved(None, under)])
        .when(rename("Ward 8"))
        .then_expect_events(vec![renamed("Ward 7", "Ward 8", under)]);
}

#[test]
fn a_group_name_is_claimed_among_siblings_in_any_letter_case() {
    let key = |parent, name| ClaimKey::group_name(organization(), parent, name);
    assert_eq!(created().claims(), [Claim::Take(key(None, "ward 7"))]);
    assert_eq!(renamed("Ward 7", "WARD 7", None).claims(), []);
    assert_eq!(
        renamed("Ward 7", "Ward 8", Some(group(2))).claims(),
        [Claim::Release(key(Some(group(2)), "Ward 7")), Claim::Take(key(Some(group(2)), "Ward 8"))]
    );
    assert_eq!(
        moved(None, Some(group(2))).claims(),
        [Claim::Release(key(None, "Ward 7")), Claim::Take(key(Some(group(2)), "Ward 7"))]
    );
    assert_ne!(key(None, "n"), ClaimKey::group_name(OrganizationId(Uuid::nil()), None, "n"));
    assert_ne!(key(None, "n"), key(Some(group(1)), "n"));
}

#[test]
fn system_groups_are_known_by_their_identifiers_and_differ_between_organizations() {
    let mut ids = BTreeSet::new();
    for organization in [organization(), OrganizationId(Uuid::nil())] {
        for system in SystemGroup::ALL {
            assert_eq!(SystemGroup::of(system.id(organization), organization), Some(system));
            assert!(ids.insert(system.id(organization)));
        }
    }
    assert_eq!(SystemGroup::of(group(1), organization()), None);
    assert_eq!(SystemGroup::of(SystemGroup::Unassigned.id(OrganizationId(Uuid::nil())), organization()), None);
}

#[test]
fn the_kind_and_type_of_a_node_decide_its_individuals_posts_and_children() {
    let of = |kind, node_type| Node { kind, node_type, ..node() };
    let division = of(GroupKind::Regular, NodeType::Division);
    assert_eq!(node().check_takes_individuals(), Ok(()));
    for none in [&division, &of(GroupKind::ProviderOnly, NodeType::Group)] {
        assert_eq!(none.check_takes_individuals(), Err(GroupError::TakesNoIndividuals));
    }
    assert_eq!([Post::Leader, Post::Member].map(|post| node().check_has(post)), [Ok(()), Ok(())]);
    assert_eq!(division.check_has(Post::Leader), Ok(()));
    assert_eq!(division.check_has(Post::Member), Err(GroupError::TakesNoMembers));
    assert_eq!(division.check_holds_nodes_of(organization()), Ok(()));
    assert_eq!(node().check_holds_nodes_of(organization()), Err(GroupError::NotADivision));
    let other = OrganizationId(Uuid::from_u128(0xB));
    assert_eq!(division.check_holds_nodes_of(other), Err(GroupError::OtherOrganization));
}
