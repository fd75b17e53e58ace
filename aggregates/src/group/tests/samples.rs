//! The largest event of every type.

use super::*;
use crate::group::placement::PlacementEvent;
use crate::group::staffing::StaffingEvent;
use crate::group::tree::TreeEvent;
use crate::samples::Samples;
use crate::values::IndividualId;

impl Samples for GroupEvent {
    fn samples() -> Vec<Self> {
        let organization_id = organization();
        let [below, division] = [group(4), group(5)];
        let node = Node {
            id: below,
            organization_id,
            name: "North".into(),
            kind: GroupKind::Regular,
            node_type: NodeType::Group,
            tags: ["trial".to_owned()].into(),
            parent: Some(division),
        };
        vec![
            GroupEvent::Created(Box::new(node)),
            GroupEvent::Renamed { organization_id, parent: Some(division), from: "North".into(), to: "South".into() },
            GroupEvent::Tagged { tags: ["trial".to_owned()].into() },
            GroupEvent::LeadersReplaced { leaders: [UserId(Uuid::from_u128(1))].into() },
            GroupEvent::Moved { organization_id, name: "North".into(), from: Some(division), to: Some(below) },
        ]
    }
}

impl Samples for TreeEvent {
    fn samples() -> Vec<Self> {
        vec![TreeEvent::NodeMoved { node: group(4), under: Some(group(5)) }]
    }
}

impl Samples for PlacementEvent {
    fn samples() -> Vec<Self> {
        let group = group(4);
        vec![
            PlacementEvent::Enrolled {
                organization_id: organization(),
                individual_id: IndividualId(Uuid::from_u128(3)),
            },
            PlacementEvent::Joined { group, first: true },
            PlacementEvent::Removed { group, last: true },
            PlacementEvent::Released { groups: [group].into() },
        ]
    }
}

impl Samples for StaffingEvent {
    fn samples() -> Vec<Self> {
        let (user_id, post, group) = (UserId(Uuid::from_u128(1)), Post::Leader, group(4));
        vec![
            StaffingEvent::Appointed { organization_id: organization(), user_id, post, group },
            StaffingEvent::Relieved { post, group },
        ]
    }
}
