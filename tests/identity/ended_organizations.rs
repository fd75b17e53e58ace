//! Retired organizations take no additions and are hidden from their members; deleted ones are unknown to every caller.

use crate::app::{Identity, Person, ids};
use crate::groups::{V1, V2, path};
use crate::on_both_stores;
use chrono::Utc;
use futures::future::join;
use registrar::access::{Access, AccessQuery, Holder, Operation, PageRequest, Resource, find_user};
use registrar::executor::RequestContext;
use registrar::processes::groups::{self, GroupRef, NewGroup};
use registrar::processes::{DirectoryError, ProcessResult, Refusal, general_messages, membership};
use registrar_aggregates::general_message::Message;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::group::{GroupKind, NodeType};
use registrar_aggregates::individual::Owner;
use registrar_aggregates::organization::{Authorization, Organization, OrganizationCommand, OrganizationError, Stamp};
use registrar_aggregates::user::{Locale, Role};
use registrar_aggregates::values::{GeneralMessageId, GroupId, IndividualId, OrganizationId, UserId};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

/// An organization with people of every kind in a group, some of whom belong to another organization too.
struct Clinic {
    id: OrganizationId,
    group: GroupId,
    admin: Person,
    /// Provider in the clinic, which is the default organization; joins Acme later.
    provider: Person,
    patient: Person,
    owned: IndividualId,
}

fn stamp() -> Stamp {
    Stamp::at(Utc::now())
}

impl Identity {
    async fn clinic(&self) -> Clinic {
        let id = self.organization("Clinic", Authorization::Open).await;
        let admin = self.person("chief", id, Some(Role::Admin)).await;
        let provider = self.person("nurse", id, Some(Role::Provider)).await;
        let patient = self.person("patient", id, Some(Role::Member)).await;
        let owned = IndividualId(self.individual(id).await);
        let clinic = Clinic { id: OrganizationId(id), group: GroupId(Uuid::now_v7()), admin, provider, patient, owned };
        let granter = Granter::system();
        let (context, user) = (RequestContext::system(), UserId(clinic.provider.id));
        membership::join(self.node(), &context, &granter, user, OrganizationId(self.acme), Some(Role::Provider))
            .await
            .unwrap();
        groups::create(self.node(), &context, &clinic.new_group(clinic.group, "Ward")).await.unwrap();
        clinic
    }

    async fn change(&self, id: OrganizationId, command: OrganizationCommand) {
        let (context, id) = (RequestContext::system(), id.to_string());
        self.node().executor.execute::<Organization>(&context, &id, command, None).await.unwrap();
    }

    pub async fn retire(&self, id: OrganizationId) {
        self.change(id, OrganizationCommand::Retire { grounds: None, stamp: stamp() }).await;
    }

    pub async fn delete(&self, id: OrganizationId) {
        self.change(id, OrganizationCommand::Delete(stamp())).await;
    }

    fn access(&self) -> Access {
        Access::new(self.node().documents.clone())
    }

    async fn holder(&self, of: &Person) -> Holder {
        self.access().holder(UserId(of.id)).await.unwrap()
    }

    /// Every act that would add to the clinic, each with its name.
    async fn additions(&self, clinic: &Clinic) -> Vec<(&'static str, ProcessResult)> {
        let (node, context, granter) = (self.node(), &RequestContext::system(), &Granter::system());
        let (stranger, provider) = (UserId(self.other_admin.id), UserId(clinic.provider.id));
        let group = GroupRef { organization: clinic.id, id: clinic.group };
        let owner = Owner::Organization(clinic.id);
        let individuals = BTreeSet::from([clinic.owned]);
        let message = Message {
            id: GeneralMessageId(Uuid::now_v7()),
            organization_id: clinic.id,
            name: "contact".to_owned(),
            locale: Locale::EnUs,
            message: "Call us.".to_owned(),
        };
        vec![
            ("join", membership::join(node, context, granter, stranger, clinic.id, None).await),
            ("grant", membership::grant(node, context, granter, provider, clinic.id, Role::Admin).await),
            ("create", groups::create(node, context, &clinic.new_group(GroupId(Uuid::now_v7()), "Other")).await),
            ("individuals", groups::add_individuals(node, context, group, &individuals, None).await),
            ("appoint", groups::appoint(node, context, group, Post::Member, &BTreeSet::from([provider]), None).await),
            ("record", membership::record_individual(node, context, IndividualId(Uuid::now_v7()), owner).await),
            ("message", general_messages::create(node, context, &message).await),
        ]
    }
}

impl Clinic {
    fn new_group(&self, id: GroupId, name: &str) -> NewGroup {
        NewGroup {
            group: GroupRef { organization: self.id, id },
            name: name.to_owned(),
            kind: GroupKind::Regular,
            node_type: NodeType::Group,
            tags: BTreeSet::new(),
            individuals: BTreeSet::from([IndividualId(self.patient.individual.unwrap())]),
            leaders: BTreeSet::from([UserId(self.provider.id)]),
        }
    }

    fn queries(&self) -> [AccessQuery; 4] {
        let patient = IndividualId(self.patient.individual.unwrap());
        [
            Resource::Group(Some(self.group)),
            Resource::Organization(Some(self.id)),
            Resource::Individual(Some(self.owned)),
            Resource::Individual(Some(patient)),
        ]
        .map(|resource| AccessQuery { resource, operation: Operation::Read })
    }
}

on_both_stores! {
    async fn nothing_is_added_to_a_retired_organization(database) {
        let it = Identity::open(&database).await;
        let clinic = it.clinic().await;
        it.retire(clinic.id).await;
        let before = it.head().await;
        for (name, done) in it.additions(&clinic).await {
            let refused = Refusal::Organization(OrganizationError::Retired);
            assert!(matches!(&done, Err(DirectoryError::Refused(error)) if *error == refused), "{name}: {done:?}");
        }
        assert_eq!(it.head().await, before);
        let add = format!("/v1/organizations/{}/add-user/", clinic.id);
        let body = json!({"data": {"type": "organizations", "attributes": {"user-id": it.provider.id}}});
        let error = it.post_refused(&it.system, &add, &body, 409, "conflict").await;
        assert_eq!(error["detail"], "the organization is retired");
        // Roles given earlier can still be revoked.
        let (context, admin) = (RequestContext::system(), UserId(clinic.provider.id));
        membership::revoke(it.node(), &context, admin, clinic.id, Role::Provider).await.unwrap();
        membership::leave(it.node(), &context, admin, clinic.id).await.unwrap();
    }

    async fn retired_organizations_grant_access_to_the_system_alone(database) {
        let it = Identity::open(&database).await;
        let clinic = it.clinic().await;
        for user in [&clinic.admin, &clinic.provider, &it.system] {
            assert!(it.access().allows_all(&it.holder(user).await, &clinic.queries()).await.unwrap(), "{}", user.email);
        }
        it.retire(clinic.id).await;
        for user in [&clinic.admin, &clinic.provider] {
            for query in &clinic.queries() {
                assert!(!it.access().allows(&it.holder(user).await, query).await.unwrap(), "{} {query:?}", user.email);
            }
        }
        assert!(it.access().allows_all(&it.holder(&it.system).await, &clinic.queries()).await.unwrap());
        // People keep access to their own individuals, and individuals keep their places in groups.
        let own = AccessQuery { resource: Resource::Individual(None), operation: Operation::Read };
        let part = PageRequest { limit: 10, offset: 0 };
        let listed = it.access().list(&it.holder(&clinic.patient).await, &own, &[], None, part).await.unwrap().unwrap();
        assert_eq!(listed.items, [clinic.patient.individual.unwrap().to_string()]);
        let accessors = it.access().accessors_of_individuals(&[clinic.owned], None, part).await.unwrap();
        assert_eq!(accessors.items, [it.system.id.to_string()]);
        let shown = it.shown(&it.system, &clinic.group.to_string()).await;
        assert_eq!(shown["individuals-count"], 1);
        // The user document keeps the membership, but it confers no rights.
        let shown = find_user(&it.node().documents, &clinic.admin.id.to_string()).await.unwrap().unwrap();
        assert!(shown.memberships.contains_key(&clinic.id));
        assert!(!it.holder(&clinic.admin).await.is_member(clinic.id));
        let foreign = json!({"data": {"type": "organizations", "attributes": {"user-id": clinic.patient.id}}});
        let remove = format!("/v1/organizations/{}/remove-user/", clinic.id);
        it.post(&it.system, &remove, &foreign).await;
    }

    async fn deleted_organizations_are_unknown_to_every_caller(database) {
        let it = Identity::open(&database).await;
        let clinic = it.clinic().await;
        let group = clinic.group.to_string();
        assert!(ids(&it.get(&it.system, V2).await).contains(&group));
        it.delete(clinic.id).await;
        let before = it.head().await;
        for (name, done) in it.additions(&clinic).await {
            assert!(matches!(&done, Err(DirectoryError::Refused(error)) if error.to_string().ends_with("not found")), "{name}: {done:?}");
        }
        assert_eq!(it.head().await, before);
        for caller in [&it.system, &it.service] {
            for query in &clinic.queries()[..3] {
                assert!(!it.access().allows(&it.holder(caller).await, query).await.unwrap(), "{query:?}");
            }
        }
        // The patient as a person continues to exist.
        assert!(it.access().allows(&it.holder(&it.system).await, &clinic.queries()[3]).await.unwrap());
        for version in [V1, V2] {
            it.get_refused(&it.system, &format!("{version}{group}/"), 404, "not-found").await;
            assert!(!ids(&it.get(&it.system, version).await).contains(&group));
        }
        let renamed = crate::groups::change(&group, &json!({"name": "Again"}));
        it.patch_refused(&it.system, &path(&group), &renamed, 404, "not-found").await;
        it.get_refused(&it.system, &format!("/v1/individuals/{}/", clinic.owned), 404, "not-found").await;
        let part = PageRequest { limit: 100, offset: 0 };
        let open = AccessQuery { resource: Resource::Individual(None), operation: Operation::Read };
        let (access, system) = (it.access(), it.holder(&it.system).await);
        let listed = access.list(&system, &open, &[], None, part).await.unwrap().unwrap();
        assert!(!listed.items.contains(&clinic.owned.to_string()));
        assert_eq!(listed.total, listed.items.len() as u64);
        let listed = access.list(&system, &open, &[], Some(clinic.id), part).await.unwrap().unwrap();
        assert_eq!(listed.total, 0);
        let accessors = access.accessors_of_individuals(&[clinic.owned], None, part).await.unwrap();
        assert_eq!(accessors.items, Vec::<String>::new());
    }

    async fn people_of_a_deleted_organization_keep_their_other_memberships(database) {
        let it = Identity::open(&database).await;
        let clinic = it.clinic().await;
        it.delete(clinic.id).await;
        let user = find_user(&it.node().documents, &clinic.provider.id.to_string()).await.unwrap().unwrap();
        assert_eq!(user.memberships.keys().collect::<Vec<_>>(), [&OrganizationId(it.acme)]);
        assert_eq!(user.default_organization, Some(OrganizationId(it.acme)));
        assert_eq!(user.home(), Some(OrganizationId(it.acme)));
        assert_eq!(user.posts.len(), 0);
        let alone = find_user(&it.node().documents, &clinic.admin.id.to_string()).await.unwrap().unwrap();
        assert_eq!((alone.memberships.len(), alone.default_organization), (0, None));
        assert_eq!(alone.home(), None);
        // The rule that an organization keeps an admin no longer applies.
        let by = UserId(it.system.id);
        membership::disable(it.node(), &RequestContext::system(), UserId(clinic.admin.id), by).await.unwrap();
        membership::archive(it.node(), &RequestContext::system(), UserId(clinic.admin.id)).await.unwrap();
    }

    async fn no_addition_passes_a_retirement_or_a_deletion(database) {
        let it = Identity::open(&database).await;
        for number in 0..6 {
            for retires in [true, false] {
                let id = OrganizationId(it.organization(&format!("{number}{retires}"), Authorization::Open).await);
                let command = || if retires {
                    OrganizationCommand::Retire { grounds: None, stamp: stamp() }
                } else {
                    OrganizationCommand::Delete(stamp())
                };
                let (context, granter, user) = (RequestContext::system(), Granter::system(), UserId(it.provider.id));
                let join_it = membership::join(it.node(), &context, &granter, user, id, Some(Role::Provider));
                let (done, ()) = join(join_it, it.change(id, command())).await;
                // In the journal the addition comes before the end of the organization, or is absent.
                let stored = it.node().journal.read(0, usize::MAX).await.unwrap();
                let events = registrar::journal::codec::decode(&it.node().vault, &stored).await.unwrap();
                let place = |name: &str, stream: &str| events.iter().rposition(|event| {
                    event.event.event_type() == name && event.aggregate_id == stream
                });
                let ended = if retires { "organization.status-changed" } else { "organization.deleted" };
                let ended = place(ended, &id.to_string()).unwrap();
                let joined = events.iter().position(|event| {
                    matches!(&*event.event, registrar_aggregates::DomainEvent::User(
                        registrar_aggregates::user::UserEvent::OrganizationJoined { organization_id, .. }
                    ) if *organization_id == id)
                });
                assert_eq!(joined.is_some(), done.is_ok(), "{done:?}");
                assert!(joined.is_none_or(|joined| joined < ended), "{done:?}");
            }
        }
    }
}
