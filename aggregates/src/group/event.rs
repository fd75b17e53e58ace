//! Events of a node of an organization's tree.

use super::Node;
use crate::facts::{EventFacts, event_names};
use crate::values::{GroupId, OrganizationId, UserId};
use crate::{Claim, ClaimKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Events of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum GroupEvent {
    /// A group was created at the top of its organization's tree.
    #[serde(rename = "individual-group.created")]
    Created(Box<Node>),
    /// A group was renamed.
    #[serde(rename = "individual-group.renamed")]
    Renamed {
        /// The organization.
        organization_id: OrganizationId,
        /// The parent division; absent at the top.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<GroupId>,
        /// The former name.
        from: String,
        /// The new name.
        to: String,
    },
    /// The tags of a group changed.
    #[serde(rename = "individual-group.tagged")]
    Tagged {
        /// All tags after the change.
        tags: BTreeSet<String>,
    },
    /// The leaders of a group were replaced; the posts of the users change in the same commit. The event orders
    /// concurrent replacements.
    #[serde(rename = "individual-group.leaders-replaced")]
    LeadersReplaced {
        /// All leaders after the change.
        leaders: BTreeSet<UserId>,
    },
    /// A group was moved, with its whole subtree.
    #[serde(rename = "individual-group.moved")]
    Moved {
        /// The organization.
        organization_id: OrganizationId,
        /// Name of the group.
        name: String,
        /// The former parent; absent at the top.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<GroupId>,
        /// The new parent; absent at the top.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<GroupId>,
    },
}

event_names!(GroupEvent {
    Created => "individual-group.created" @ "1.0" Insert, clear [
        "/id", "/organizationId", "/name", "/kind", "/nodeType", "/tags/*", "/parent",
    ];
    Renamed => "individual-group.renamed" @ "1.0" Update, clear ["/organizationId", "/parent", "/from", "/to"];
    Tagged => "individual-group.tagged" @ "1.0" Update, clear ["/tags/*"];
    LeadersReplaced => "individual-group.leaders-replaced" @ "1.0" Update, clear ["/leaders/*"];
    Moved => "individual-group.moved" @ "1.0" Update, clear ["/organizationId", "/name", "/from", "/to"];
});

impl EventFacts for GroupEvent {
    fn claims(&self) -> Vec<Claim> {
        let key = ClaimKey::group_name;
        match self {
            GroupEvent::Created(node) => vec![Claim::Take(key(node.organization_id, node.parent, &node.name))],
            GroupEvent::Renamed { organization_id, parent, from, to } => {
                let (from, to) = (key(*organization_id, *parent, from), key(*organization_id, *parent, to));
                // A name that differs only in letter case is the same name.
                if from == to { vec![] } else { vec![Claim::Release(from), Claim::Take(to)] }
            }
            GroupEvent::Moved { organization_id, name, from, to } => {
                vec![Claim::Release(key(*organization_id, *from, name)), Claim::Take(key(*organization_id, *to, name))]
            }
            GroupEvent::Tagged { .. } | GroupEvent::LeadersReplaced { .. } => vec![],
        }
    }
}
