//! Access queries, by example. `access_properties` compares the engine with the rules over random histories.

mod lists;
mod people;
mod refusals;

use crate::app::{Identity, Person, ids};
use crate::matrix::world::{Request, World};
use crate::on_both_stores;
use crate::suite::Suite;
use chrono::Utc;
use registrar::executor::RequestContext;
use registrar::processes::groups::{self, GroupRef, NewGroup};
use registrar::processes::membership;
use registrar::processes::moves;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::group::{GroupKind, NodeType};
use registrar_aggregates::organization::{Authorization, Organization, OrganizationCommand, Stamp};
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, TaskId, UserId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

const CHECK: &str = "/v1/authz-resource-access/";
const BULK: &str = "/v1/bulk-authz-resource-access/";
const RESOURCES: &str = "/v1/authz-get-accessible-resources/";
const INDIVIDUALS: &str = "/v1/authz-individuals/";
const ACCESSORS: &str = "/v1/authz-resource-accessors/";

/// Access queries, by programs, and by users about themselves.
pub const SUITE: Suite = Suite {
    tests: &[
        ("check-resource-access", grants_follow_from_roles_posts_and_participation::TEST),
        ("bulk-check-resource-access", many_users_are_asked_about_at_once::TEST),
        ("list-accessible-resources", lists::the_accessible_resources_are_listed::TEST),
        ("list-authz-individuals", people::individuals_are_found_by_attributes_of_their_people::TEST),
        ("list-resource-accessors", lists::the_users_with_access_are_listed::TEST),
        ("get-authz-user-status", grants_are_never_stale::TEST),
    ],
    table: "
        check-resource-access       201 administrator service system, 403 others
        bulk-check-resource-access  201 administrator service system, 403 others
        list-accessible-resources   201 administrator service system, 403 others
        list-authz-individuals      200 administrator service system, 403 others
        list-resource-accessors     200 administrator service system, 403 others
        get-authz-user-status       200 administrator service system, 404 stranger operator auditor, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[],
};

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    let queries = json!([format!("organization:{acme}:read")]);
    Some(match operation {
        "check-resource-access" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let body = json!({ "user-id": person.id, "access-query": queries });
            Request::to("/v1/authz-resource-access/").json(body)
        }
        "bulk-check-resource-access" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let body = json!({ "multi-user-ids": { "user-ids": [person.id], "access-query": queries } });
            Request::to("/v1/bulk-authz-resource-access/").json(body)
        }
        "list-accessible-resources" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let body = json!({ "user-id": person.id, "access-query": ["individual::read"] });
            Request::to("/v1/authz-get-accessible-resources/").json(body)
        }
        "list-authz-individuals" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/authz-individuals/?operation=read&user-id={}", person.id))
        }
        "list-resource-accessors" => Request::to(format!(
            "/v1/authz-resource-accessors/?operation=read&resource-type=organization&resource-id={acme}"
        )),
        "get-authz-user-status" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/authz-user-status/{}/", person.id))
        }
        _ => return None,
    })
}

fn question(user: Uuid, queries: &[String]) -> Value {
    json!({ "user-id": user, "access-query": queries })
}

fn bulk(users: &[Uuid], queries: &[String], individually: bool) -> Value {
    json!({ "multi-user-ids": { "user-ids": users, "access-query": queries, "individually": individually } })
}

impl Identity {
    /// Asks as the service account whether `user` may do all of `queries`.
    async fn may(&self, user: &Person, queries: &[String]) -> bool {
        let answer = self.post(&self.service, CHECK, &question(user.id, queries)).await;
        answer["allow"].as_bool().unwrap()
    }

    async fn listed(&self, caller: &Person, body: &Value) -> BTreeSet<String> {
        found(&self.post(caller, RESOURCES, body).await)
    }

    /// Individuals on which `user` holds a grant, as listed for `caller`.
    async fn people(&self, caller: &Person, user: &Person, query: &str) -> BTreeSet<String> {
        let path = format!("{INDIVIDUALS}?operation=read&user-id={}&{query}", user.id);
        found(&self.get(caller, &path).await)
    }

    async fn accessors(&self, query: &str) -> BTreeSet<String> {
        ids(&self.get(&self.service, &format!("{ACCESSORS}?{query}")).await).into_iter().collect()
    }

    async fn node_of_tree(&self, organization: Uuid, name: &str, node_type: NodeType) -> Uuid {
        let id = Uuid::now_v7();
        let new = NewGroup {
            group: GroupRef { organization: OrganizationId(organization), id: GroupId(id) },
            name: name.into(),
            kind: GroupKind::Regular,
            node_type,
            tags: BTreeSet::new(),
            individuals: BTreeSet::new(),
            leaders: BTreeSet::new(),
        };
        groups::create(self.node(), &RequestContext::system(), &new).await.unwrap();
        id
    }

    async fn hang(&self, organization: Uuid, group: Uuid, under: Uuid) {
        let (node, task) = (self.node(), TaskId(Uuid::now_v7()));
        let group = GroupRef { organization: OrganizationId(organization), id: GroupId(group) };
        moves::queue(node, &RequestContext::system(), task, group, Some(GroupId(under))).await.unwrap();
        moves::carry_out(node, task).await.unwrap();
    }

    async fn put(&self, organization: Uuid, group: Uuid, individual: Uuid) {
        let group = GroupRef { organization: OrganizationId(organization), id: GroupId(group) };
        let individuals = BTreeSet::from([IndividualId(individual)]);
        groups::add_individuals(self.node(), &RequestContext::system(), group, &individuals, None).await.unwrap();
    }

    async fn appoint(&self, organization: Uuid, group: Uuid, post: Post, user: &Person) {
        let group = GroupRef { organization: OrganizationId(organization), id: GroupId(group) };
        let users = BTreeSet::from([UserId(user.id)]);
        groups::appoint(self.node(), &RequestContext::system(), group, post, &users, None).await.unwrap();
    }
}

fn found(answer: &Value) -> BTreeSet<String> {
    let ids = answer["resource-ids"].as_array().unwrap();
    assert!(answer["meta"]["page[total]"].as_u64().unwrap() >= ids.len() as u64);
    ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn set(ids: &[Uuid]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn individual(id: Uuid, operation: &str) -> String {
    format!("individual:{id}:{operation}")
}

/// A group under a division of `Other`, which is restricted, with the leaders and individuals of both.
struct Clinic {
    division: Uuid,
    ward: Uuid,
    head: Person,
    nurse: Person,
    patient: Person,
    /// In no group.
    visitor: Person,
}

impl Clinic {
    async fn open(it: &Identity) -> Self {
        let head = it.person("head", it.other, Some(Role::Provider)).await;
        let nurse = it.person("nurse", it.other, Some(Role::Provider)).await;
        let patient = it.person("patient", it.other, Some(Role::Member)).await;
        let visitor = it.person("visitor", it.other, Some(Role::Member)).await;
        let division = it.node_of_tree(it.other, "Division", NodeType::Division).await;
        let ward = it.node_of_tree(it.other, "Ward", NodeType::Group).await;
        it.hang(it.other, ward, division).await;
        it.put(it.other, ward, patient.individual.unwrap()).await;
        it.appoint(it.other, division, Post::Leader, &head).await;
        it.appoint(it.other, ward, Post::Member, &nurse).await;
        Clinic { division, ward, head, nurse, patient, visitor }
    }
}

on_both_stores! {
    async fn grants_follow_from_roles_posts_and_participation(database) {
        let it = Identity::open(&database).await;
        let clinic = Clinic::open(&it).await;
        let patient = clinic.patient.individual.unwrap();
        for operation in ["read", "write"] {
            let open = [individual(it.participant.individual.unwrap(), operation)];
            for (user, allowed) in [
                (&it.participant, true), (&it.provider, true), (&it.admin, true), (&it.system, true),
                (&it.other_admin, false), (&clinic.nurse, false), (&it.service, false),
            ] {
                assert_eq!(it.may(user, &open).await, allowed, "{} {operation}", user.email);
            }
            let restricted = [individual(patient, operation)];
            for (user, allowed) in [
                (&clinic.patient, true), (&clinic.nurse, true), (&clinic.head, true), (&it.other_admin, true),
                (&clinic.visitor, false), (&it.provider, false), (&it.admin, false),
            ] {
                assert_eq!(it.may(user, &restricted).await, allowed, "{} {operation}", user.email);
            }
            let alone = [individual(clinic.visitor.individual.unwrap(), operation)];
            assert!(!it.may(&clinic.nurse, &alone).await && !it.may(&clinic.head, &alone).await);
        }
        let (division, ward) = (clinic.division, clinic.ward);
        for (query, who) in [
            (format!("group:{ward}:read"), vec![&clinic.head, &clinic.nurse, &it.other_admin]),
            (format!("group:{ward}:write"), vec![&clinic.head, &it.other_admin]),
            (format!("group:{division}:read"), vec![&clinic.head, &it.other_admin]),
            (format!("group:{division}:contain"), vec![&clinic.patient]),
            (format!("group:{ward}:contain"), vec![&clinic.patient]),
            (format!("organization:{}:read", it.other), vec![
                &clinic.head, &clinic.nurse, &clinic.patient, &clinic.visitor, &it.other_admin,
            ]),
            (format!("organization:{}:write", it.other), vec![&it.other_admin]),
            ("system:service:read".into(), vec![&it.service]),
            ("app.diary:1:read".into(), vec![]),
            (format!("individual:{}:read", Uuid::now_v7()), vec![]),
            (format!("group:{}:read", Uuid::now_v7()), vec![]),
            (format!("organization:{}:read", Uuid::now_v7()), vec![]),
        ] {
            let everybody = [
                &clinic.head, &clinic.nurse, &clinic.patient, &clinic.visitor, &it.other_admin, &it.provider, &it.admin,
                &it.participant, &it.service,
            ];
            for user in everybody {
                let expected = who.iter().any(|one| one.id == user.id);
                assert_eq!(it.may(user, std::slice::from_ref(&query)).await, expected, "{} {query}", user.email);
            }
        }
        for query in ["system:service:read", "system:anything:write", "app.diary:1:read"] {
            assert!(it.may(&it.system, &[query.into()]).await, "{query}");
        }
    }

    async fn all_queries_must_hold(database) {
        let it = Identity::open(&database).await;
        let own = individual(it.participant.individual.unwrap(), "read");
        let member = format!("organization:{}:read", it.acme);
        let admin = format!("organization:{}:write", it.acme);
        assert!(it.may(&it.participant, &[own.clone(), member.clone()]).await);
        assert!(!it.may(&it.participant, &[own, member, admin]).await);
        // A query without an identifier asks for at least one resource.
        for (query, expected) in [
            ("individual::read", true),
            ("organization::write", false),
            ("group::contain", true),
            ("group::write", false),
        ] {
            assert_eq!(it.may(&it.participant, &[query.into()]).await, expected, "{query}");
        }
        assert!(!it.may(&it.other_admin, &["individual::read".into()]).await);
    }

    async fn a_committed_change_affects_access_at_once(database) {
        let it = Identity::open(&database).await;
        let query = [individual(it.participant.individual.unwrap(), "read")];
        let context = RequestContext::system();
        let (provider, by) = (UserId(it.provider.id), UserId(it.admin.id));
        membership::disable(it.node(), &context, provider, by).await.unwrap();
        assert!(!it.may(&it.provider, &query).await);
        membership::enable(it.node(), &context, provider).await.unwrap();
        assert!(it.may(&it.provider, &query).await);
        membership::leave(it.node(), &context, provider, OrganizationId(it.acme)).await.unwrap();
        assert!(!it.may(&it.provider, &query).await);
    }

    async fn members_of_a_deleted_organization_hold_no_grants_there(database) {
        let it = Identity::open(&database).await;
        let context = RequestContext::system();
        let gone = it.organization("Gone", Authorization::Open).await;
        let admin = it.person("chief", gone, Some(Role::Admin)).await;
        let provider = it.person("nurse", gone, Some(Role::Provider)).await;
        let patient = it.person("patient", gone, Some(Role::Member)).await;
        let ward = it.node_of_tree(gone, "Ward", NodeType::Group).await;
        let individual_id = patient.individual.unwrap();
        it.put(gone, ward, individual_id).await;
        it.appoint(gone, ward, Post::Leader, &provider).await;
        // A member of a second organization, signed in there.
        let both = &it.provider;
        membership::join(it.node(), &context, &Granter::system(), UserId(both.id), OrganizationId(gone), Some(Role::Admin)).await.unwrap();

        let staff = [&admin, &provider, both];
        let queries =
            [individual(individual_id, "read"), format!("group:{ward}:write"), format!("organization:{gone}:read")];
        let accessors = format!("resource-type=individual&operation=read&resource-id={individual_id}");
        let groups = question(provider.id, &["group::write".to_owned()]);
        for user in staff {
            assert!(it.may(user, &queries).await, "{}", user.email);
            assert!(it.people(&it.service, user, "").await.contains(&individual_id.to_string()));
        }
        assert_eq!(it.accessors(&accessors).await, set(&[admin.id, provider.id, both.id, patient.id, it.system.id]));
        assert_eq!(it.listed(&it.service, &groups).await, set(&[ward]));

        let delete = OrganizationCommand::Delete(Stamp::at(Utc::now()));
        it.node().executor.execute::<Organization>(&context, &gone.to_string(), delete, None).await.unwrap();
        for user in staff {
            for query in &queries {
                assert!(!it.may(user, std::slice::from_ref(query)).await, "{} {query}", user.email);
            }
            assert!(!it.people(&it.service, user, "").await.contains(&individual_id.to_string()));
        }
        assert!(it.may(&patient, &queries[..1]).await, "it is their own");
        assert_eq!(it.accessors(&accessors).await, set(&[patient.id, it.system.id]));
        assert!(it.listed(&it.service, &groups).await.is_empty());
        // Sessions in the deleted organization end; sessions elsewhere go on. A new sign-in has no organization.
        let own = |user: &Person| format!("/v1/users/{}/", user.id);
        it.get_refused(&admin, &own(&admin), 401, "unauthenticated").await;
        let shown = it.get(both, &own(both)).await;
        assert_eq!(shown["data"]["attributes"]["organization-ids"], json!([it.acme]));
        let again = Person { token: crate::app::token(&it.app, admin.id).await, ..admin };
        let shown = it.get(&again, &own(&again)).await;
        assert_eq!(shown["data"]["attributes"]["organization-count"], 0);
        assert_eq!(shown["data"]["attributes"]["default-organization-id"], Value::Null);
    }

    async fn many_users_are_asked_about_at_once(database) {
        let it = Identity::open(&database).await;
        let own = individual(it.participant.individual.unwrap(), "read");
        let admin = format!("organization:{}:write", it.acme);
        let (queries, unknown) = ([own.clone(), admin.clone()], Uuid::now_v7());
        let users = [it.admin.id, it.participant.id, unknown, it.admin.id];
        let verdict = |queries: &[String], allow: bool, user: Uuid| {
            json!({ "access-query": queries, "allow": allow, "user-id": user })
        };
        let answer = it.post(&it.service, BULK, &bulk(&users, &queries, false)).await;
        let expected = [(true, it.admin.id), (false, it.participant.id), (false, unknown)];
        assert_eq!(answer, json!({ "access-queries": expected.map(|(allow, user)| verdict(&queries, allow, user)) }));
        let answer = it.post(&it.service, BULK, &bulk(&users, &queries, true)).await;
        let mut expected = vec![];
        let allowed =
            [(it.admin.id, [true, true]), (it.participant.id, [true, false]), (unknown, [false, false])];
        for (user, allowed) in allowed {
            expected.push(verdict(std::slice::from_ref(&own), allowed[0], user));
            expected.push(verdict(std::slice::from_ref(&admin), allowed[1], user));
        }
        assert_eq!(answer, json!({ "access-queries": expected }));
    }

    async fn grants_are_never_stale(database) {
        let it = Identity::open(&database).await;
        let path = |user: &str| format!("/v1/authz-user-status/{user}/");
        let status = async |caller: &Person, user: Uuid| it.get(caller, &path(&user.to_string())).await;
        let before = status(&it.service, it.provider.id).await;
        assert_eq!(before["data"]["type"], "authz-user-status");
        assert_eq!(before["data"]["id"], json!(it.provider.id));
        assert_eq!(before["data"]["attributes"]["up-to-date"], true);
        assert_eq!(status(&it.provider, it.provider.id).await, before);
        let context = RequestContext::system();
        let (user, organization) = (UserId(it.provider.id), OrganizationId(it.acme));
        let granted = membership::grant(it.node(), &context, &Granter::system(), user, organization, Role::Admin).await.unwrap();
        let at = granted.events[0].recorded_at.format("%Y-%m-%d %H:%M:%S").to_string();
        let shown = status(&it.service, it.provider.id).await["data"]["attributes"].clone();
        assert_eq!(shown, json!({ "last-populated-at": at, "latest-event-at": at, "up-to-date": true }));

        for id in [Uuid::now_v7().to_string(), "nonsense".into()] {
            it.get_refused(&it.service, &path(&id), 404, "not-found").await;
            it.get_refused(&it.admin, &path(&id), 404, "not-found").await;
        }
        it.get_refused(&it.admin, &path(&it.participant.id.to_string()), 403, "forbidden").await;
        it.get_refused(&it.other_admin, &path(&it.participant.id.to_string()), 404, "not-found").await;
    }
}
