use super::*;
use crate::group::placement::{GROUPS_MAX, Placement, PlacementCommand, PlacementError, PlacementEvent};
use crate::values::IndividualId;
use proptest::prelude::*;

fn individual() -> IndividualId {
    IndividualId(Uuid::from_u128(0x1))
}

fn enroll() -> PlacementCommand {
    PlacementCommand::Enroll { organization_id: organization(), individual_id: individual() }
}

fn enrolled() -> PlacementEvent {
    PlacementEvent::Enrolled { organization_id: organization(), individual_id: individual() }
}

fn join(number: u128, instead_of: Option<u128>) -> PlacementCommand {
    PlacementCommand::Join { group: group(number), instead_of: instead_of.map(group) }
}

fn leave(number: u128) -> PlacementCommand {
    PlacementCommand::Leave { group: group(number) }
}

fn joined(number: u128, first: bool) -> PlacementEvent {
    PlacementEvent::Joined { group: group(number), first }
}

fn left(number: u128, last: bool) -> PlacementEvent {
    PlacementEvent::Removed { group: group(number), last }
}

#[test]
fn only_the_organizations_own_individuals_are_placed() {
    given::<Placement>([]).when(enroll()).then_expect_events(vec![enrolled()]);
    given::<Placement>([enrolled()]).when(enroll()).then_expect_events(vec![]);
    given::<Placement>([]).when(join(1, None)).then_expect_error(PlacementError::NotEnrolled);
    given::<Placement>([]).when(leave(1)).then_expect_events(vec![]);
    given::<Placement>([]).when(PlacementCommand::Release).then_expect_events(vec![]);
}

#[test]
fn the_first_group_ends_being_unassigned_and_leaving_the_last_one_begins_it() {
    given::<Placement>([enrolled()]).when(join(1, None)).then_expect_events(vec![joined(1, true)]);
    let one = || vec![enrolled(), joined(1, true)];
    given::<Placement>(one()).when(join(1, None)).then_expect_events(vec![]);
    given::<Placement>(one()).when(join(2, None)).then_expect_events(vec![joined(2, false)]);
    given::<Placement>(one()).when(leave(1)).then_expect_events(vec![left(1, true)]);
    given::<Placement>(one()).when(leave(2)).then_expect_events(vec![]);
    let two = || [one(), vec![joined(2, false)]].concat();
    given::<Placement>(two()).when(leave(1)).then_expect_events(vec![left(1, false)]);
}

#[test]
fn an_individual_who_changes_groups_is_never_unassigned() {
    let one = || vec![enrolled(), joined(1, true)];
    given::<Placement>(one()).when(join(2, Some(1))).then_expect_events(vec![joined(2, false), left(1, false)]);
    // The individual was not in the group, or stays in the same group.
    given::<Placement>(one()).when(join(2, Some(3))).then_expect_events(vec![joined(2, false)]);
    given::<Placement>(one()).when(join(1, Some(1))).then_expect_events(vec![]);
    let two = [one(), vec![joined(2, false)]].concat();
    given::<Placement>(two).when(join(2, Some(1))).then_expect_events(vec![left(1, false)]);
}

#[test]
fn a_released_individual_is_in_no_group_and_may_be_enrolled_again() {
    let released = |groups| PlacementEvent::Released { groups };
    let one = || vec![enrolled(), joined(1, true)];
    given::<Placement>(one()).when(PlacementCommand::Release).then_expect_events(vec![released(set([group(1)]))]);
    let gone = || [one(), vec![released(set([group(1)]))]].concat();
    given::<Placement>(gone()).when(join(1, None)).then_expect_error(PlacementError::NotEnrolled);
    given::<Placement>(gone()).when(enroll()).then_expect_events(vec![enrolled()]);
    given::<Placement>([gone(), vec![enrolled()]].concat())
        .when(join(1, None))
        .then_expect_events(vec![joined(1, true)]);
}

#[test]
fn groups_of_one_individual_have_their_number() {
    let full = || {
        let joined = |number| joined(number as u128, number == 0);
        std::iter::once(enrolled()).chain((0..GROUPS_MAX).map(joined))
    };
    let next = GROUPS_MAX as u128;
    given::<Placement>(full()).when(join(next, None)).then_expect_error(PlacementError::TooManyGroups);
    given::<Placement>(full()).when(join(next, Some(0))).then_expect_events(vec![joined(next, false), left(0, false)]);
}

proptest! {
    /// The `unassigned` that subscribers and logs derive from the events alone equals that of the groups.
    #[test]
    fn events_and_state_agree_on_unassigned_individuals(commands in prop::collection::vec(
        prop_oneof![
            (0_u128..4, prop::option::of(0_u128..4)).prop_map(|(to, from)| join(to, from)),
            (0_u128..4).prop_map(leave),
            Just(PlacementCommand::Release),
            Just(enroll()),
        ],
        0..40,
    )) {
        let mut placement = Placement::default();
        let mut unassigned = false;
        for event in commands.into_iter().flat_map(|command| {
            let events = placement.decide(command).unwrap_or_default();
            events.iter().cloned().for_each(|event| placement.apply(event));
            events
        }).collect::<Vec<_>>() {
            match event {
                PlacementEvent::Enrolled { .. } => unassigned = true,
                PlacementEvent::Joined { first, .. } => {
                    prop_assert_eq!(first, unassigned);
                    unassigned = false;
                }
                PlacementEvent::Removed { last, .. } => unassigned |= last,
                PlacementEvent::Released { groups } => {
                    prop_assert_eq!(groups.is_empty(), unassigned);
                    unassigned = false;
                }
            }
        }
        prop_assert_eq!(unassigned, placement.place().is_some_and(|place| place.groups.is_empty()));
    }
}
