//! The largest event of every type of those who sign in, their groups and what they may.

use super::*;
use crate::feature::setting::Target;
use crate::group::staffing::Post;
use crate::group::{GroupKind, Node, NodeType};
use crate::individual::Owner;
use crate::user::Home;
use crate::values::{GroupId, IndividualId, OrganizationId, UserId};
use crate::{checkin, feature, session, task, totp, user};
use uuid::Uuid;

pub(super) fn events() -> Vec<DomainEvent> {
    let user_id = UserId(Uuid::from_u128(1));
    let organization_id = OrganizationId(Uuid::from_u128(2));
    let individual_id = IndividualId(Uuid::from_u128(3));
    let [group, other] = [4, 5].map(|number| GroupId(Uuid::from_u128(number)));
    let mut events: Vec<DomainEvent> = user::tests::full_events().into_iter().map(Into::into).collect();
    events.extend([RosterEvent::Added { user_id }.into(), RosterEvent::Removed { user_id }.into()]);
    events.extend(session::tests::full_events().into_iter().map(DomainEvent::from));
    let subject = session::guard::Subject::Network;
    events.extend([
        GuardEvent::Failed { subject, at: time(), locked: true }.into(),
        GuardEvent::FailuresCounted { subject, failures: 12, at: time() }.into(),
        GuardEvent::Passed { network: "digest".into(), at: time() }.into(),
    ]);
    events.extend(totp::tests::full_events().into_iter().map(DomainEvent::from));
    events.extend(feature::tests::full_events().into_iter().map(DomainEvent::from));
    events.extend(feature::tests::full_setting_events().into_iter().map(DomainEvent::from));
    events.push(IndividualEvent::Recorded { id: individual_id, owner: Owner::User(user_id) }.into());
    let node = Node {
        id: group,
        organization_id,
        name: "North".into(),
        kind: GroupKind::Regular,
        node_type: NodeType::Group,
        tags: ["trial".to_owned()].into(),
        parent: Some(other),
    };
    events.extend([
        GroupEvent::Created(Box::new(node)).into(),
        GroupEvent::Renamed { organization_id, parent: Some(other), from: "North".into(), to: "South".into() }.into(),
        GroupEvent::Tagged { tags: ["trial".to_owned()].into() }.into(),
        GroupEvent::LeadersReplaced { leaders: [user_id].into() }.into(),
        GroupEvent::Moved { organization_id, name: "North".into(), from: Some(other), to: Some(group) }.into(),
        TreeEvent::NodeMoved { node: group, under: Some(other) }.into(),
        PlacementEvent::Enrolled { organization_id, individual_id }.into(),
        PlacementEvent::Joined { group, first: true }.into(),
        PlacementEvent::Removed { group, last: true }.into(),
        PlacementEvent::Released { groups: [group].into() }.into(),
        StaffingEvent::Appointed { organization_id, user_id, post: Post::Leader, group }.into(),
        StaffingEvent::Relieved { post: Post::Leader, group }.into(),
    ]);
    events.extend(checkin::tests::full_events().into_iter().map(DomainEvent::from));
    events.extend(task::tests::full_events().into_iter().map(DomainEvent::from));
    events
}

/// Events of types that are among [`events`], with members that exclude those of the samples there.
pub(super) fn alternatives() -> Vec<DomainEvent> {
    let user_id = UserId(Uuid::from_u128(1));
    let organization_id = OrganizationId(Uuid::from_u128(2));
    let owner = Owner::Organization(organization_id);
    let mut events = vec![IndividualEvent::Recorded { id: IndividualId(Uuid::from_u128(3)), owner }.into()];
    for mut sample in user::tests::full_events() {
        if let UserEvent::Created(creation) = &mut sample {
            creation.home = Some(Home::of(organization_id));
            events.push(sample.into());
        }
    }
    for sample in feature::tests::full_setting_events() {
        for target in
            [Target::Organization(organization_id), Target::User(user_id), Target::UserIn(user_id, organization_id)]
        {
            let mut sample = sample.clone();
            if let SettingEvent::Created { setting, .. } | SettingEvent::Removed { setting } = &mut sample {
                setting.target = target;
            }
            events.push(sample.into());
        }
    }
    events
}

pub(super) fn names() -> Vec<&'static str> {
    [
        UserEvent::NAMES,
        RosterEvent::NAMES,
        SessionEvent::NAMES,
        GuardEvent::NAMES,
        TotpEvent::NAMES,
        FeatureEvent::NAMES,
        SettingEvent::NAMES,
        IndividualEvent::NAMES,
        GroupEvent::NAMES,
        TreeEvent::NAMES,
        PlacementEvent::NAMES,
        StaffingEvent::NAMES,
        CheckinEvent::NAMES,
        TaskEvent::NAMES,
    ]
    .concat()
}

/// Stored events bear these names for ever: a name may be added here, but none changed or taken away.
#[test]
fn the_names_are_those_of_their_first_release() {
    assert_eq!(
        names(),
        [
            "user.created",
            "user.names-amended",
            "user.birth-date-amended",
            "user.email-amended",
            "user.phone-amended",
            "user.phone-confirmed",
            "user.username-selected",
            "user.locale-selected",
            "user.time-zone-selected",
            "user.preferences-amended",
            "user.classified",
            "user.password-changed",
            "user.disabled",
            "user.enabled",
            "user.archived",
            "user.organization-joined",
            "user.organization-removed",
            "user.default-organization-changed",
            "user.role-granted",
            "user.role-revoked",
            "user.system-role-granted",
            "user.system-role-revoked",
            "user.documents-agreed",
            "user.agreements-deleted",
            "user.individual-added",
            "user.email-confirmed",
            "user.email-restored",
            "user.phone-restored",
            "user.home-changed",
            "user.sessions-ended",
            "admin-roster.added",
            "admin-roster.removed",
            "session.opened",
            "session.refreshed",
            "session.switched",
            "session.renewed",
            "session.ended",
            "sign-in-guard.failed",
            "sign-in-guard.failures-counted",
            "sign-in-guard.passed",
            "totp-configuration.created",
            "totp-configuration.enabled",
            "totp-configuration.code-used",
            "totp-configuration.recovery-code-used",
            "totp-configuration.disabled",
            "totp-configuration.deleted",
            "feature.created",
            "feature.amended",
            "feature-setting.created",
            "feature-setting.switched",
            "feature-setting.removed",
            "individual.recorded",
            "individual-group.created",
            "individual-group.renamed",
            "individual-group.tagged",
            "individual-group.leaders-replaced",
            "individual-group.moved",
            "group-tree.node-moved",
            "individual-placement.enrolled",
            "individual-placement.joined",
            "individual-placement.removed",
            "individual-placement.released",
            "group-staffing.appointed",
            "group-staffing.relieved",
            "user-checkin.recorded",
            "task.queued",
            "task.started",
            "task.finished",
            "task.failed",
        ]
    );
}
