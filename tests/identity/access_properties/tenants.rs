//! Tenants are isolated: no act of an admin of one organization changes a person's roles or rights in another one, and
//! no response names an organization that the viewer does not see.

use crate::app::{Identity, Person};
use crate::groups::{V1, V2, change};
use crate::support::Database;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use registrar::access::{Access, AccessQuery, Operation, Resource, find_user};
use registrar::executor::RequestContext;
use registrar::processes::membership;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::{IndividualDocument, groups::GroupDocument};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use uuid::Uuid;

const CASES: u32 = 3;

/// An attempt by an admin of Other, by number: the person, and the organization whose role or membership it names.
#[derive(Debug, Clone)]
struct Attempt {
    act: &'static str,
    person: usize,
    role: usize,
    home: bool,
}

const ACTS: [&str; 17] = [
    "add-user",
    "add-by-email",
    "pair",
    "assign",
    "give-role",
    "take-role",
    "remove-user",
    "rename-group",
    "add-leaders",
    "remove-leaders",
    "add-members",
    "remove-individuals",
    "amend",
    "change-email",
    "confirm-phone",
    "disable",
    "enable",
];

fn attempt() -> impl Strategy<Value = Attempt> {
    (prop::sample::select(&ACTS[..]), 0..60_usize, 0..60_usize, any::<bool>())
        .prop_map(|(act, person, role, home)| Attempt { act, person, role, home })
}

/// Acme with a group, and people of Acme who belong to Other as well.
struct Tenants {
    it: Identity,
    group: String,
    people: Vec<Person>,
}

impl Tenants {
    async fn open(database: &Database) -> Self {
        let it = Identity::open(database).await;
        let more = json!({"leader-ids": [it.provider.id], "individual-ids": [it.participant.individual]});
        let group = it.new_node("Ward", &more).await;
        let both = it.person("both", it.acme, Some(Role::Provider)).await;
        let (context, granter, other) = (RequestContext::system(), Granter::system(), OrganizationId(it.other));
        for (person, role) in [(&it.provider, None), (&both, Some(Role::Admin))] {
            membership::join(it.node(), &context, &granter, UserId(person.id), other, role).await.unwrap();
        }
        let people = vec![it.admin.clone(), it.provider.clone(), it.participant.clone(), both];
        Tenants { it, group, people }
    }

    /// The state of all people of Acme within Acme, as one JSON value.
    async fn acme(&self) -> Value {
        let (it, acme) = (&self.it, OrganizationId(self.it.acme));
        let (documents, access) = (&it.node().documents, Access::new(it.node().documents.clone()));
        let mut found = vec![json!(documents.find::<GroupDocument>(&self.group).await.unwrap().value.as_deref())];
        let patient = self.it.participant.individual.unwrap();
        let individual = documents.find::<IndividualDocument>(&patient.to_string()).await.unwrap().value.unwrap();
        found.push(json!(individual.places.get(&acme)));
        for person in &self.people {
            let user = find_user(documents, &person.id.to_string()).await.unwrap().unwrap();
            let holder = access.holder(UserId(person.id)).await.unwrap();
            let mut may = Vec::new();
            for resource in [
                Resource::Group(Some(GroupId(Uuid::parse_str(&self.group).unwrap()))),
                Resource::Organization(Some(acme)),
                Resource::Individual(Some(IndividualId(patient))),
            ] {
                for operation in [Operation::Read, Operation::Write] {
                    let query = AccessQuery { resource: resource.clone(), operation };
                    may.push(access.allows(&holder, &query).await.unwrap());
                }
            }
            let home = user.home();
            let roles = user.memberships.get(&acme).map(|membership| (membership.number, &membership.roles));
            found.push(json!({
                "state": user.state, "names": user.names, "contacts": user.contacts, "username": user.username,
                "epoch": user.epoch, "default": user.default_organization, "home": home, "acme": roles,
                "system": user.system_roles, "individuals": user.individuals, "posts": user.posts.get(&acme), "may": may,
            }));
        }
        json!(found)
    }

    async fn play(&self, attempt: &Attempt) {
        let it = &self.it;
        let person = &self.people[attempt.person % self.people.len()];
        let organization = if attempt.home { it.acme } else { it.other };
        let named = OrganizationId(organization);
        let role = match attempt.role % 4 {
            3 => SystemRole::ALL[attempt.person % 3].id(),
            number => Role::ALL[number].id(named),
        };
        let document = |kind: &str, attributes: Value| json!({"data": {"type": kind, "attributes": attributes}});
        let user = |act: &str| format!("/v1/users/{}/{act}", person.id);
        let of_group = |act: &str| format!("{V1}{}/{act}/", self.group);
        let (by_id, users) = (json!({"user-id": person.id}), json!({"user-ids": [person.id]}));
        let (method, path, body) = match attempt.act {
            "add-user" => {
                let body = json!({"user-id": person.id, "role-id": role});
                ("POST", format!("/v1/organizations/{organization}/add-user/"), document("organizations", body))
            }
            "add-by-email" => {
                let body = json!({"email": person.email, "role-id": role});
                ("POST", format!("/v1/organizations/{organization}/add-user/"), document("organizations", body))
            }
            "pair" => {
                let body = json!({"user-id": person.id, "organization-id": organization});
                ("POST", "/v1/user-organizations/".to_owned(), document("user-organizations", body))
            }
            "assign" => {
                let body = json!({"user-id": person.id, "role-id": role});
                ("POST", "/v1/role-users/".to_owned(), document("role-users", body))
            }
            "give-role" => ("POST", format!("/v1/roles/{role}/add-user/"), document("roles", by_id)),
            "take-role" => ("POST", format!("/v1/roles/{role}/remove-user/"), document("roles", by_id)),
            "remove-user" => {
                ("POST", format!("/v1/organizations/{organization}/remove-user/"), document("organizations", by_id))
            }
            "rename-group" => {
                ("PATCH", format!("{V1}{}/", self.group), change(&self.group, &json!({"name": "Theirs"})))
            }
            "add-leaders" | "remove-leaders" | "add-members" => ("POST", of_group(attempt.act), users),
            "remove-individuals" => {
                ("POST", of_group("remove-individuals"), json!({"individual-ids": [it.participant.individual]}))
            }
            "amend" => {
                let body = json!({"data": {"type": "users", "id": person.id, "attributes": {"last-name": "Theirs"}}});
                ("PATCH", user(""), body)
            }
            "change-email" => ("POST", user("change-email/"), json!({"email": "theirs@other.example.com"})),
            "confirm-phone" => ("POST", user("confirm-phone/"), json!({"phone-number": "+12025550123"})),
            "disable" | "enable" => ("POST", user(&format!("{}/", attempt.act)), json!({})),
            unknown => panic!("{unknown}"),
        };
        let answer = it.call(&it.other_admin, method, &path).json(&body).send().await;
        assert!(!answer.status.is_server_error(), "{attempt:?}: {answer:?}");
    }

    /// Requests every list as every viewer, and looks for organizations that the viewer does not see.
    async fn look_for_foreign_names(&self) {
        let it = &self.it;
        let access = Access::new(it.node().documents.clone());
        let viewers = self.people.iter().chain([&it.other_admin, &it.service, &it.system]);
        for viewer in viewers {
            let holder = access.holder(UserId(viewer.id)).await.unwrap();
            let all = [it.acme, it.other];
            let foreign = all.into_iter().filter(|one| !holder.sees_organization(OrganizationId(*one)));
            let foreign: Vec<_> = foreign
                .flat_map(|one| [one].into_iter().chain(Role::ALL.map(|role| role.id(OrganizationId(one)))))
                .map(|id| id.to_string())
                .collect();
            for path in &self.lists(&all) {
                let answer = it.call(viewer, "GET", path).send().await;
                assert!(!answer.status.is_server_error(), "{path}: {answer:?}");
                if answer.status == 200 {
                    let text = answer.json().to_string();
                    let named = foreign.iter().find(|id| text.contains(*id));
                    assert_eq!(named, None, "{} {path}: {text}", viewer.email);
                }
            }
        }
    }

    fn lists(&self, organizations: &[Uuid]) -> Vec<String> {
        let mut paths = vec![
            "/v1/users/?with-roles=true&filter[include-participants]=true".to_owned(),
            "/v1/users/?filter[include-participants]=true".to_owned(),
            "/v1/user-organizations/".to_owned(),
            "/v1/organizations/".to_owned(),
            "/v1/roles/".to_owned(),
            V1.to_owned(),
            V2.to_owned(),
            format!("{V1}{}/?with-individuals=true&with-members=true", self.group),
            format!("/v1/individual-group-leaders/?individual-group-id={}", self.group),
        ];
        for person in self.people.iter().chain([&self.it.other_admin]) {
            paths.push(format!("/v1/users/{}/?with-roles=true", person.id));
            paths.push(format!("/v1/user-organizations/?user-id={}", person.id));
        }
        for one in organizations {
            paths.push(format!("/v1/organizations/{one}/"));
            paths.push(format!("/v1/roles/?organization-id={one}"));
            paths.push(format!("/v1/user-organizations/?organization-id={one}"));
            let holders = Role::ALL.map(|role| role.id(OrganizationId(*one)));
            paths.extend(holders.map(|role| format!("/v1/role-users/?role-id={role}")));
        }
        paths
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_of_one_organization_change_and_learn_nothing_of_another() {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 30, ..Config::default() };
    let histories = proptest::collection::vec(attempt(), 30..50);
    let case = |attempts: Vec<Attempt>| {
        Handle::current().block_on(async {
            let database = Database::sqlite_with_tables();
            let tenants = Tenants::open(&database).await;
            let before = tenants.acme().await;
            for attempt in &attempts {
                tenants.play(attempt).await;
                let after = tenants.acme().await;
                assert_eq!(after, before, "{attempt:?}");
            }
            tenants.look_for_foreign_names().await;
            tenants.it.node().close().await;
        });
        Ok(())
    };
    tokio::task::block_in_place(|| TestRunner::new(config).run(&histories, case)).unwrap();
}
