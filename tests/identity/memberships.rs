//! Memberships and roles: three resources for one fact.

use crate::app::Identity;
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Create, LISTED_ONLY, List, NOT_CHANGED, Resource, member, people, query};
use crate::matrix::world::{Caller, Request, World, document};
use crate::on_both_stores;
use crate::suite::Suite;
use futures::future::join_all;
use registrar::processes::membership::FirstGrant;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;

const PAIRS: &str = "/v1/user-organizations/";
const ASSIGNMENTS: &str = "/v1/role-users/";

/// Operations on the members of an organization and their roles. `records` gives a role that opens the records of a
/// person of B; `unseen` names a user whom an admin of A does not see.
pub const SUITE: Suite = Suite {
    tests: &[
        ("add-organization-user", twin_resources_are_views_of_one_fact::TEST),
        ("remove-organization-user", twin_resources_are_views_of_one_fact::TEST),
        ("list-user-organizations", pairs_are_made_and_listed::TEST),
        ("create-user-organization", pairs_are_made_and_listed::TEST),
        ("list-roles", roles_are_listed_by_name::TEST),
        ("list-role-users", twin_resources_are_views_of_one_fact::TEST),
        ("create-role-user", twin_resources_are_views_of_one_fact::TEST),
        ("add-role-user", a_role_is_given_and_taken_away::TEST),
        ("remove-role-user", a_role_is_given_and_taken_away::TEST),
    ],
    table: "
        add-organization-user             201 managers, 404 stranger sharing, 403 others
        add-organization-user:unseen      201 administrator system, 400 admin narrowed, 404 stranger sharing, 403 others
        add-organization-user:records     201 administrator system, 404 stranger sharing, 403 others
        remove-organization-user          201 managers, 404 stranger sharing operator auditor, 403 others
        remove-organization-user:oneself  201 participant provider leader, 409 admin, 404 others
        list-user-organizations           403 participant provider leader, 200 others
        list-user-organizations:user      403 participant provider leader, 200 others
        create-user-organization          201 managers, 400 stranger sharing, 403 others
        list-roles                        200 others
        list-role-users                   200 stranger sharing managers, 403 others
        create-role-user                  201 managers, 400 stranger sharing, 403 others
        create-role-user:records          201 administrator system, 400 stranger sharing, 403 others
        add-role-user:records             201 administrator system, 404 stranger sharing, 403 others
        add-role-user                     201 managers, 404 stranger sharing, 403 others
        add-role-user:system              201 administrator system, 403 others
        add-role-user:oneself             400 administrator narrowed, 404 stranger sharing, 403 others
        remove-role-user                  201 managers, 404 stranger sharing, 403 others
    ",
    request: |world, operation, caller| Box::pin(valid_request(world, operation, caller)),
    resources: &[ROLES, ROLE_USERS, USER_ORGANIZATIONS],
};

const ROLES: Resource = Resource {
    kind: "roles",
    caller: "system",
    create: Lacks("roles are built in"),
    read: Lacks(LISTED_ONLY),
    update: Lacks(NOT_CHANGED),
    list: Has(List {
        operation: "list-roles",
        rows: |world| query(format!("organization-id={}", world.identity.acme)),
        paged: Lacks("there are three"),
        scope: Has("organization-id"),
    }),
    hidden: Lacks(LISTED_ONLY),
    conflict: Lacks("roles are built in"),
};

const ROLE_USERS: Resource = Resource {
    kind: "role-users",
    caller: "system",
    create: Has(Create {
        operation: "create-role-user",
        listed: Has(|_, data| {
            query(format!("role-id={}", data["attributes"]["role"]["id"].as_str().unwrap_or_default()))
        }),
    }),
    read: Lacks(LISTED_ONLY),
    update: Lacks(NOT_CHANGED),
    list: Has(List {
        operation: "list-role-users",
        rows: |world| {
            Box::pin(async move {
                people(world, 3).await;
                let acme = OrganizationId(world.identity.acme);
                format!("role-id={}", Role::Provider.id(acme))
            })
        },
        paged: Has(()),
        scope: Has("role-id"),
    }),
    hidden: Lacks(LISTED_ONLY),
    conflict: Lacks("a role that is given twice is given once"),
};

const USER_ORGANIZATIONS: Resource = Resource {
    kind: "user-organizations",
    caller: "system",
    create: Has(Create {
        operation: "create-user-organization",
        listed: Has(|_, data| query(format!("user-id={}", member(data, "user-id")))),
    }),
    read: Lacks(LISTED_ONLY),
    update: Lacks(NOT_CHANGED),
    list: Has(List {
        operation: "list-user-organizations",
        rows: |world| {
            Box::pin(async move {
                people(world, 3).await;
                format!("organization-id={}", world.identity.acme)
            })
        },
        paged: Has(()),
        scope: Has("organization-id"),
    }),
    hidden: Lacks(LISTED_ONLY),
    conflict: Lacks("a member who is made one again stays one"),
};

async fn valid_request(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    if let Some(request) = of_members(world, operation, caller).await {
        return Some(request);
    }
    of_roles(world, operation, caller).await
}

async fn of_members(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    let acme = world.identity.acme;
    let role = |role: Role| role.id(OrganizationId(acme));
    let act = |organization: Uuid, act: &str, attributes: Value| {
        let path = format!("/v1/organizations/{organization}/{act}-user/");
        Request::to(path).json(document("organizations", attributes))
    };
    Some(match operation {
        "add-organization-user" => {
            let person = world.shared_person(None).await;
            act(acme, "add", json!({ "user-id": person.id, "role-id": role(Role::Provider) }))
        }
        "add-organization-user:unseen" => act(acme, "add", json!({ "user-id": world.outsider().await.id })),
        "add-organization-user:records" => {
            let guest = world.guest().await;
            act(acme, "add", json!({ "user-id": guest.id, "role-id": role(Role::Member) }))
        }
        "remove-organization-user" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            act(acme, "remove", json!({ "user-id": person.id }))
        }
        "remove-organization-user:oneself" => {
            let (organization, authorization) = world.organization_like_a(caller).await;
            act(organization, "remove", json!({ "user-id": caller.id })).sent_with(authorization)
        }
        "list-user-organizations" => Request::to(format!("/v1/user-organizations/?organization-id={acme}")),
        "list-user-organizations:user" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/user-organizations/?user-id={}", person.id))
        }
        "create-user-organization" => {
            let person = world.shared_person(None).await;
            let attributes = json!({ "user-id": person.id, "organization-id": acme });
            Request::to("/v1/user-organizations/").json(document("user-organizations", attributes))
        }
        _ => return None,
    })
}

async fn of_roles(world: &World, operation: &str, caller: &Caller) -> Option<Request> {
    let acme = world.identity.acme;
    let (role, participant) = (Role::Provider.id(OrganizationId(acme)), Role::Member.id(OrganizationId(acme)));
    let named = |role: Uuid, act: &str, user: Uuid| {
        Request::to(format!("/v1/roles/{role}/{act}-user/")).json(document("roles", json!({ "user-id": user })))
    };
    Some(match operation {
        "list-roles" => Request::to(format!("/v1/roles/?organization-id={acme}")),
        "list-role-users" => Request::to(format!("/v1/role-users/?role-id={role}")),
        "create-role-user" => {
            let person = world.shared_person(None).await;
            let attributes = json!({ "user-id": person.id, "role-id": role });
            Request::to("/v1/role-users/").json(document("role-users", attributes))
        }
        "create-role-user:records" => {
            let attributes = json!({ "user-id": world.guest().await.id, "role-id": participant });
            Request::to("/v1/role-users/").json(document("role-users", attributes))
        }
        "add-role-user:records" => named(participant, "add", world.guest().await.id),
        "add-role-user" => named(role, "add", world.shared_person(None).await.id),
        "add-role-user:system" => {
            named(SystemRole::Support.id(), "add", world.shared_person(Some(Role::Provider)).await.id)
        }
        "add-role-user:oneself" => named(role, "add", caller.id).personal(),
        "remove-role-user" => named(role, "remove", world.shared_person(Some(Role::Provider)).await.id),
        _ => return None,
    })
}

fn role(organization: Uuid, role: Role) -> Uuid {
    role.id(OrganizationId(organization))
}

on_both_stores! {
    async fn twin_resources_are_views_of_one_fact(database) {
        let identity = Identity::open(&database).await;
        let stranger = identity.person_as("stranger@example.com", None).await;
        let (acme, admin) = (identity.acme, &identity.admin);
        let add = format!("/v1/organizations/{acme}/add-user/");
        // A user whom the caller cannot see is added by address.
        identity.post_refused(admin, &add, &document("organizations", json!({ "user-id": stranger.id })), 400, "validation-error").await;
        let by_address = document("organizations", json!({ "email": "Stranger@example.com", "role-id": role(acme, Role::Provider) }));
        assert_eq!(identity.post(admin, &add, &by_address).await, json!(null));
        let pairs = identity.get(admin, &format!("{PAIRS}?user-id={}", stranger.id)).await;
        assert_eq!(pairs["data"][0]["attributes"]["organization-id"], json!(acme));
        let assignments = identity.get(admin, &format!("{ASSIGNMENTS}?role-id={}", role(acme, Role::Provider))).await;
        let holders: Vec<_> = assignments["data"].as_array().unwrap().iter().map(|row| row["attributes"]["user"]["id"].clone()).collect();
        assert!(holders.contains(&json!(stranger.id)), "{holders:?}");
        let user = identity.get(admin, &format!("/v1/users/{}/?with-roles=true", stranger.id)).await;
        assert_eq!(user["data"]["attributes"]["roles"][0]["id"], json!(role(acme, Role::Provider)));

        let by_id = json!({ "user-id": stranger.id });
        identity.post(admin, &format!("/v1/roles/{}/remove-user/", role(acme, Role::Provider)), &document("roles", by_id.clone())).await;
        let given = document("role-users", json!({ "user-id": stranger.id, "role-id": role(acme, Role::Member) }));
        // Admins may not give the participant role, which opens records, to people from other organizations.
        identity.post_refused(admin, ASSIGNMENTS, &given, 403, "forbidden").await;
        let row = identity.post(&identity.system, ASSIGNMENTS, &given).await;
        let head = identity.head().await;
        assert_eq!(identity.post(&identity.system, ASSIGNMENTS, &given).await, row);
        assert_eq!(identity.head().await, head);
        // A participant has an individual.
        let user = identity.get(admin, &format!("/v1/users/{}/", stranger.id)).await;
        assert!(user["data"]["attributes"]["primary-individual-id"].is_string());

        identity.post(admin, &format!("/v1/organizations/{acme}/remove-user/"), &document("organizations", by_id)).await;
        let pairs = identity.get(&identity.system, &format!("{PAIRS}?user-id={}", stranger.id)).await;
        assert_eq!(pairs["data"], json!([]));
        let assignments = identity.get(admin, &format!("{ASSIGNMENTS}?role-id={}", role(acme, Role::Member))).await;
        assert!(!assignments.to_string().contains(&stranger.id.to_string()));
    }

    async fn a_role_is_given_and_taken_away(database) {
        let identity = Identity::open(&database).await;
        let (acme, admin) = (identity.acme, &identity.admin);
        let (add, remove) = ("add-user", "remove-user");
        let act = |verb: &str| format!("/v1/roles/{}/{verb}/", role(acme, Role::Admin));
        let holders = async || {
            let list = identity.get(admin, &format!("{ASSIGNMENTS}?role-id={}", role(acme, Role::Admin))).await;
            let rows = list["data"].as_array().unwrap().clone();
            rows.iter().map(|row| row["attributes"]["user"]["id"].clone()).collect::<Vec<_>>()
        };
        let by_id = document("roles", json!({ "user-id": identity.provider.id }));
        let by_address = document("roles", json!({ "email": "PROVIDER@example.com" }));
        assert_eq!(identity.post(admin, &act(add), &by_id).await, json!(null));
        assert_eq!(holders().await, [json!(admin.id), json!(identity.provider.id)]);
        let head = identity.head().await;
        identity.post(admin, &act(add), &by_address).await;
        assert_eq!(identity.head().await, head);
        assert_eq!(identity.post(admin, &act(remove), &by_address).await, json!(null));
        assert_eq!(holders().await, [json!(admin.id)]);
    }

    async fn an_organization_keeps_an_admin(database) {
        let identity = Identity::open(&database).await;
        let (acme, admin) = (identity.acme, &identity.admin);
        let own = json!({ "user-id": admin.id });
        let remove = format!("/v1/organizations/{acme}/remove-user/");
        let revoke = format!("/v1/roles/{}/remove-user/", role(acme, Role::Admin));
        identity.post_refused(admin, &remove, &document("organizations", own.clone()), 409, "conflict").await;
        identity.post_refused(admin, &revoke, &document("roles", own.clone()), 409, "conflict").await;
        let system = format!("/v1/roles/{}/remove-user/", SystemRole::Admin.id());
        let last = document("roles", json!({ "user-id": identity.system.id }));
        identity.post_refused(&identity.system, &system, &last, 409, "conflict").await;
        // Of two admins removed at once, one stays.
        let second = identity.person("second", acme, Some(Role::Admin)).await;
        let both = [admin.id, second.id].map(|id| document("roles", json!({ "user-id": id })));
        let calls = both.iter().map(|body| identity.call(&identity.system, "POST", &revoke).json(body).send());
        let mut statuses: Vec<_> = join_all(calls).await.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }

    async fn admins_who_are_disabled_do_not_count(database) {
        let identity = Identity::open(&database).await;
        let second = identity.person("second", identity.acme, Some(Role::Admin)).await;
        identity.post(&identity.admin, &format!("/v1/users/{}/disable/", second.id), &json!({})).await;
        let remove = format!("/v1/organizations/{}/remove-user/", identity.acme);
        let own = document("organizations", json!({ "user-id": identity.admin.id }));
        identity.post_refused(&identity.system, &remove, &own, 409, "conflict").await;
        identity.post(&identity.admin, &format!("/v1/users/{}/enable/", second.id), &json!({})).await;
        identity.post(&identity.system, &remove, &own).await;
    }

    async fn callers_without_the_right_are_refused_and_nothing_changes(database) {
        let identity = Identity::open(&database).await;
        let (acme, provider) = (identity.acme, &identity.provider);
        let body = document("organizations", json!({ "user-id": identity.participant.id }));
        for verb in ["add-user", "remove-user"] {
            let path = format!("/v1/organizations/{acme}/{verb}/");
            identity.post_refused(provider, &path, &body, 403, "forbidden").await;
            identity.post_refused(&identity.other_admin, &path, &body, 404, "not-found").await;
            let neither = document("organizations", json!({}));
            identity.post_refused(&identity.admin, &path, &neither, 400, "validation-error").await;
            let both = document("organizations", json!({ "user-id": provider.id, "email": provider.email }));
            identity.post_refused(&identity.admin, &path, &both, 400, "validation-error").await;
        }
        let add = format!("/v1/organizations/{acme}/add-user/");
        for attributes in [
            json!({ "email": "nobody@example.com" }), json!({ "user-id": Uuid::now_v7() }),
            json!({ "user-id": provider.id, "role-id": role(identity.other, Role::Admin) }),
            json!({ "user-id": provider.id, "role-id": SystemRole::Admin.id() }),
        ] {
            identity.post_refused(&identity.admin, &add, &document("organizations", attributes), 400, "validation-error").await;
        }
        let remove = format!("/v1/organizations/{acme}/remove-user/");
        for attributes in [json!({ "user-id": identity.other_admin.id }), json!({ "email": "nobody@example.com" }), json!({ "email": identity.other_admin.email })] {
            identity.post_refused(&identity.admin, &remove, &document("organizations", attributes), 404, "not-found").await;
        }
        // Callers cannot grant roles that they do not hold.
        let system = document("role-users", json!({ "user-id": provider.id, "role-id": SystemRole::Admin.id() }));
        identity.post_refused(&identity.admin, ASSIGNMENTS, &system, 403, "forbidden").await;
        let foreign = document("role-users", json!({ "user-id": provider.id, "role-id": role(identity.other, Role::Admin) }));
        identity.post_refused(&identity.admin, ASSIGNMENTS, &foreign, 400, "validation-error").await;
        let outsider = document("role-users", json!({ "email": identity.other_admin.email, "role-id": role(acme, Role::Admin) }));
        identity.post_refused(&identity.admin, ASSIGNMENTS, &outsider, 400, "validation-error").await;
        identity.get_refused(&identity.admin, ASSIGNMENTS, 400, "validation-error").await;
        identity.find_nothing(&identity.admin, &format!("{ASSIGNMENTS}?role-id={}", role(identity.other, Role::Admin))).await;
        identity.find_nothing(&identity.admin, &format!("{ASSIGNMENTS}?role-id={}", Uuid::now_v7())).await;
        let unknown = format!("/v1/roles/{}/add-user/", Uuid::now_v7());
        identity.post_refused(&identity.admin, &unknown, &document("roles", json!({ "user-id": provider.id })), 404, "not-found").await;
        let not_seen = format!("/v1/roles/{}/add-user/", role(identity.other, Role::Admin));
        identity.post_refused(&identity.admin, &not_seen, &document("roles", json!({ "user-id": provider.id })), 404, "not-found").await;
    }

    async fn pairs_are_made_and_listed(database) {
        let identity = Identity::open(&database).await;
        let stranger = identity.person_as("stranger@example.com", None).await;
        let pair = |organization: Uuid, user: Uuid| document("user-organizations", json!({ "organization-id": organization, "user-id": user }));
        let made = identity.post(&identity.system, PAIRS, &pair(identity.acme, stranger.id)).await;
        let attributes = &made["data"]["attributes"];
        assert_eq!((&attributes["organization-count"], &attributes["organization-name"]), (&json!(1), &json!("acme")));
        let head = identity.head().await;
        assert_eq!(identity.post(&identity.system, PAIRS, &pair(identity.acme, stranger.id)).await, made);
        assert_eq!(identity.head().await, head);
        assert_eq!(identity.get(&stranger, PAIRS).await["data"], json!([made["data"]]));
        let all = identity.get(&identity.admin, &format!("{PAIRS}?organization-id={}&page[limit]=3", identity.acme)).await;
        assert_eq!((all["data"].as_array().unwrap().len(), &all["meta"]["page[total]"]), (3, &json!(4)));
        for (caller, query) in [
            (&identity.provider, format!("organization-id={}", identity.acme)),
            (&identity.provider, format!("user-id={}", identity.admin.id)),
        ] {
            identity.get_refused(caller, &format!("{PAIRS}?{query}"), 403, "forbidden").await;
        }
        for query in [
            format!("organization-id={}", identity.other),
            format!("organization-id={}", Uuid::now_v7()),
            format!("user-id={}", identity.other_admin.id),
            format!("user-id={}", Uuid::now_v7()),
        ] {
            identity.find_nothing(&identity.admin, &format!("{PAIRS}?{query}")).await;
        }
        for (organization, user) in [(Uuid::now_v7(), stranger.id), (identity.acme, Uuid::now_v7())] {
            identity.post_refused(&identity.system, PAIRS, &pair(organization, user), 400, "validation-error").await;
        }
        identity.post_refused(&identity.admin, PAIRS, &pair(identity.other, identity.provider.id), 400, "validation-error").await;
        identity.post_refused(&identity.provider, PAIRS, &pair(identity.acme, stranger.id), 403, "forbidden").await;
    }

    async fn roles_are_listed_by_name(database) {
        let identity = Identity::open(&database).await;
        let list = async |query: &str| identity.get(&identity.participant, &format!("/v1/roles/?{query}")).await;
        let own = list(&format!("organization-id={}", identity.acme)).await;
        assert_eq!(own["data"].as_array().unwrap().len(), 3);
        assert_eq!(own["data"][0]["attributes"]["organization"]["display-name"], "Acme");
        let one = list(&format!("organization-id={}&filter[name]=org.admin", identity.acme)).await;
        assert_eq!(one["data"][0]["id"], json!(role(identity.acme, Role::Admin)));
        assert_eq!(list("").await["data"].as_array().unwrap().len(), 3);
        for organization in [identity.other, Uuid::now_v7()] {
            identity.find_nothing(&identity.participant, &format!("/v1/roles/?organization-id={organization}")).await;
        }
    }

    async fn a_holder_of_a_system_role_may_belong_to_an_organization_too(database) {
        let identity = Identity::open(&database).await;
        let part = Some(FirstGrant::SystemIn(OrganizationId(identity.acme), SystemRole::Support));
        let support = identity.person_as("support@example.com", part).await;
        let who = identity.post(&support, "/v1/authenticate/", &json!({})).await;
        assert_eq!(who["data"]["roles"], json!(["system.support"]));
        assert_eq!(who["data"]["organization-id"], json!(identity.acme));
    }
}
