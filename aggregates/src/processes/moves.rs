//! Moves of groups: a task is queued, and its move is committed later together with its end.

use super::groups::{GroupRef, check_changeable};
use super::{Step, Streams, refused};
use crate::Decide;
use crate::group::tree::{Tree, TreeCommand};
use crate::group::{Group, GroupCommand, GroupError, SystemGroup};
use crate::task::{Task, TaskCommand, Work};
use crate::values::{GroupId, TaskId};

/// Queues a move of a group under a division, or to the top, if the present state allows it.
///
/// # Errors
/// `OfTheSystem`, `OtherOrganization`, `NotADivision`, `Cycle`, `TooDeep`.
pub fn queue(streams: &mut Streams, task: TaskId, group: GroupRef, to: Option<GroupId>) -> Step<()> {
    let organization = group.organization;
    check_changeable(streams, group)?;
    if let Some(to) = to {
        if SystemGroup::of(to, organization).is_some() {
            return refused(GroupError::NotADivision);
        }
        match streams.state::<Group>(to)?.node() {
            Some(division) => division.check_holds_nodes_of(organization)?,
            None => return refused(GroupError::NotFound),
        }
    }
    // A check only: the tree decides again when the move is carried out.
    streams.state::<Tree>(organization)?.decide(TreeCommand::Hang { node: group.id, under: to })?;
    let work = Work::MoveGroup { organization_id: organization, group_id: group.id, to };
    streams.execute::<Task>(task, TaskCommand::Queue { id: task, work })?;
    Ok(())
}

/// Moves a group, and ends the task.
///
/// # Errors
/// `Ended`; refusals of the group and of the tree in their state at that time.
pub fn carry_out(streams: &mut Streams, task: TaskId, group: GroupRef, to: Option<GroupId>) -> Step<()> {
    streams.execute::<Task>(task, TaskCommand::Finish)?;
    // The organization may have been deleted meanwhile.
    check_changeable(streams, group)?;
    streams.execute::<Tree>(group.organization, TreeCommand::Hang { node: group.id, under: to })?;
    streams.execute::<Group>(group.id, GroupCommand::Hang { under: to })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::tree::{TreeError, TreeEvent};
    use crate::group::{GroupEvent, GroupKind, Node, NodeType};
    use crate::processes::testing::*;
    use crate::task::{TaskError, TaskEvent};
    use crate::values::OrganizationId;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    const TASK: TaskId = TaskId(Uuid::from_u128(0xF));
    const WARD: GroupRef = GroupRef { organization: ACME, id: GroupId(Uuid::from_u128(0xC1)) };
    const DIVISION: GroupId = GroupId(Uuid::from_u128(0xC2));
    const WORK: Work = Work::MoveGroup { organization_id: ACME, group_id: WARD.id, to: Some(DIVISION) };

    fn node(id: GroupId, organization_id: OrganizationId, node_type: NodeType) -> History {
        let (kind, name) = (GroupKind::Regular, format!("Node {id}"));
        let node = Node { id, organization_id, name, kind, node_type, tags: BTreeSet::new(), parent: None };
        events::<Group>(id, [GroupEvent::Created(Box::new(node))])
    }

    fn ward() -> History {
        node(WARD.id, ACME, NodeType::Group)
    }

    fn division() -> History {
        node(DIVISION, ACME, NodeType::Division)
    }

    fn task(happened: impl IntoIterator<Item = TaskEvent>) -> History {
        events::<Task>(TASK, happened)
    }

    fn queued() -> TaskEvent {
        TaskEvent::Queued { id: TASK, work: WORK }
    }

    fn hung(node: GroupId, under: GroupId) -> History {
        events::<Tree>(ACME, [TreeEvent::NodeMoved { node, under: Some(under) }])
    }

    #[test]
    fn a_move_that_can_be_made_is_queued_and_moves_nothing_yet() {
        given([organization(ACME), ward(), division()])
            .when(|streams| queue(streams, TASK, WARD, Some(DIVISION)))
            .then([task([queued()])]);
    }

    #[test]
    fn moves_that_cannot_be_made_are_not_queued() {
        let queue_to = |streams: Vec<History>, to| given(streams).when(move |streams| queue(streams, TASK, WARD, to));
        let to = Some(DIVISION);
        queue_to(vec![organization(ACME), ward()], to).then_refused(GroupError::NotFound);
        queue_to(vec![organization(ACME), division()], to).then_refused(GroupError::NotFound);
        queue_to(vec![deleted(ACME), ward(), division()], to).then_refused(GroupError::NotFound);
        queue_to(vec![organization(ACME), ward(), node(DIVISION, ACME, NodeType::Group)], to)
            .then_refused(GroupError::NotADivision);
        queue_to(vec![organization(ACME), ward(), node(DIVISION, OTHER, NodeType::Division)], to)
            .then_refused(GroupError::OtherOrganization);
        let system = SystemGroup::AllParticipants.id(ACME);
        queue_to(vec![organization(ACME), ward()], Some(system)).then_refused(GroupError::NotADivision);
        let ring = vec![organization(ACME), ward(), division(), hung(DIVISION, WARD.id)];
        queue_to(ring, to).then_refused(TreeError::Cycle);
        given([organization(ACME)])
            .when(|streams| queue(streams, TASK, GroupRef { id: system, ..WARD }, to))
            .then_refused(GroupError::OfTheSystem);
    }

    #[test]
    fn a_move_ends_its_task_and_changes_the_tree_and_the_group() {
        let moved = GroupEvent::Moved {
            organization_id: ACME,
            name: format!("Node {}", WARD.id),
            from: None,
            to: Some(DIVISION),
        };
        given([organization(ACME), ward(), task([queued(), TaskEvent::Started {}])])
            .when(|streams| carry_out(streams, TASK, WARD, Some(DIVISION)))
            .then([
                task([TaskEvent::Finished { work: WORK }]),
                events::<Group>(WARD.id, [moved]),
                hung(WARD.id, DIVISION),
            ]);
    }

    #[test]
    fn a_move_is_made_once() {
        let ended = task([queued(), TaskEvent::Started {}, TaskEvent::Finished { work: WORK }]);
        given([organization(ACME), ward(), ended])
            .when(|streams| carry_out(streams, TASK, WARD, Some(DIVISION)))
            .then_refused(TaskError::Ended);
    }

    #[test]
    fn a_move_is_decided_by_the_tree_as_it_is_by_then() {
        let started = || task([queued(), TaskEvent::Started {}]);
        given([organization(ACME), ward(), started(), hung(DIVISION, WARD.id)])
            .when(|streams| carry_out(streams, TASK, WARD, Some(DIVISION)))
            .then_refused(TreeError::Cycle);
        given([deleted(ACME), ward(), started()])
            .when(|streams| carry_out(streams, TASK, WARD, Some(DIVISION)))
            .then_refused(GroupError::NotFound);
    }
}
