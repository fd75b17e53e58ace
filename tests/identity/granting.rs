//! Callers grant what they hold, and to others; people from other organizations become participants only with consent;
//! members can leave by themselves.

use crate::app::{Identity, Person};
use crate::on_both_stores;
use registrar::auth::Permission;
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::{DirectoryError, ProcessResult, Refusal};
use registrar_aggregates::granting::{GrantError, Granter};
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{OrganizationId, UserId};
use serde_json::json;

impl Identity {
    async fn granter(&self, of: &Person) -> Granter {
        registrar::access::Access::new(self.node().documents.clone()).holder(UserId(of.id)).await.unwrap().granter()
    }

    /// The refusal of a process; asserts that nothing was stored.
    async fn not_granted(&self, done: ProcessResult, before: u64) -> GrantError {
        assert_eq!(self.head().await, before);
        match done.unwrap_err() {
            DirectoryError::Refused(Refusal::Granting(error)) => error,
            error => panic!("{error:?}"),
        }
    }

    async fn joins(
        &self,
        granter: &Granter,
        user: &Person,
        organization: uuid::Uuid,
        role: Option<Role>,
    ) -> ProcessResult {
        let (context, organization) = (RequestContext::system(), OrganizationId(organization));
        membership::join(self.node(), &context, granter, UserId(user.id), organization, role).await
    }
}

on_both_stores! {
    async fn processes_refuse_grants_beyond_those_of_the_granter(database) {
        let it = Identity::open(&database).await;
        let (admin, system) = (it.granter(&it.admin).await, it.granter(&it.system).await);
        let context = &RequestContext::system();
        let acme = OrganizationId(it.acme);
        let before = it.head().await;
        for (granter, user, organization, role, expected) in [
            (&admin, &it.admin, it.acme, Some(Role::Provider), GrantError::Oneself),
            (&admin, &it.admin, it.acme, None, GrantError::Oneself),
            (&admin, &it.provider, it.other, None, GrantError::NotHeld),
            (&admin, &it.other_admin, it.acme, Some(Role::Member), GrantError::NotAccepted),
            (&system, &it.system, it.acme, Some(Role::Admin), GrantError::Oneself),
        ] {
            let done = it.joins(granter, user, organization, role).await;
            assert_eq!(it.not_granted(done, before).await, expected, "{} {role:?}", user.email);
        }
        let provider = it.granter(&it.provider).await;
        for role in Role::ALL {
            let participant = UserId(it.participant.id);
            let done = membership::grant(it.node(), context, &provider, participant, acme, role).await;
            assert_eq!(it.not_granted(done, before).await, GrantError::NotHeld);
            let own = membership::grant(it.node(), context, &admin, UserId(it.admin.id), acme, role).await;
            assert_eq!(it.not_granted(own, before).await, GrantError::Oneself);
        }
        for role in SystemRole::ALL {
            let done = membership::grant_system(it.node(), context, &admin, UserId(it.provider.id), role).await;
            assert_eq!(it.not_granted(done, before).await, GrantError::NotHeld);
            let done = membership::grant_system(it.node(), context, &system, UserId(it.system.id), role).await;
            assert_eq!(it.not_granted(done, before).await, GrantError::Oneself);
        }
    }

    async fn people_from_elsewhere_take_part_with_consent_or_by_the_system(database) {
        let it = Identity::open(&database).await;
        let (admin, system) = (it.granter(&it.admin).await, it.granter(&it.system).await);
        // They may become providers without consent.
        it.joins(&admin, &it.other_admin, it.acme, Some(Role::Provider)).await.unwrap();
        let before = it.head().await;
        let done = it.joins(&admin, &it.other_admin, it.acme, Some(Role::Member)).await;
        assert_eq!(it.not_granted(done, before).await, GrantError::NotAccepted);
        it.joins(&admin.with_consent(), &it.other_admin, it.acme, Some(Role::Member)).await.unwrap();
        let elsewhere = it.person("elsewhere", it.other, Some(Role::Member)).await;
        it.joins(&system, &elsewhere, it.acme, Some(Role::Member)).await.unwrap();
        // In the home organization no consent is needed.
        let acme_admin = it.granter(&it.admin).await;
        it.joins(&acme_admin, &it.provider, it.acme, Some(Role::Member)).await.unwrap();
    }

    async fn the_api_forbids_grants_to_oneself_and_of_records_of_others(database) {
        let it = Identity::open(&database).await;
        let role = |role: Role| role.id(OrganizationId(it.acme));
        let own = json!({"data": {"type": "role-users", "attributes": {
            "user-id": it.admin.id, "role-id": role(Role::Provider),
        }}});
        it.post_refused(&it.admin, "/v1/role-users/", &own, 403, "forbidden").await;
        let foreign = json!({"data": {"type": "organizations", "attributes": {
            "email": it.other_admin.email, "role-id": role(Role::Member),
        }}});
        it.post_refused(&it.admin, &format!("/v1/organizations/{}/add-user/", it.acme), &foreign, 403, "forbidden").await;
        let own_system = json!({"data": {"type": "role-users", "attributes": {
            "user-id": it.system.id, "role-id": SystemRole::Service.id(),
        }}});
        it.post_refused(&it.system, "/v1/role-users/", &own_system, 403, "forbidden").await;
    }

    async fn an_admin_with_fewer_permissions_does_not_take_over_the_account_of_a_system_admin(database) {
        let it = Identity::open(&database).await;
        let token = it.app.token_of(&it.app.caller, Some(vec![Permission::IdentityAdmin])).await;
        let lesser = Person { token, ..it.system.clone() };
        let path = |user: &Person, act: &str| format!("/v1/users/{}/{act}", user.id);
        let password = json!({ "context": "carium-support", "new-password": "a-new-and-long-one" });
        let body = |user: &Person| json!({ "data": { "type": "users", "id": user.id, "attributes": { "first-name": "Eve" } } });
        it.post_refused(&lesser, &path(&it.system, "change-password/"), &password, 403, "forbidden").await;
        let email = json!({ "email": "eve@example.com" });
        it.post_refused(&lesser, &path(&it.system, "change-email/"), &email, 403, "forbidden").await;
        it.post_refused(&lesser, &path(&it.system, "disable/"), &json!({}), 403, "forbidden").await;
        it.patch_refused(&lesser, &path(&it.system, ""), &body(&it.system), 403, "forbidden").await;
        // The lesser admin may do it to other users, and a holder of every permission may do it to anyone.
        it.patch(&lesser, &path(&it.provider, ""), &body(&it.provider)).await;
        let whole = Person { token: it.app.token.clone(), ..it.system.clone() };
        it.patch(&whole, &path(&it.system, ""), &body(&it.system)).await;
    }

    async fn members_leave_by_themselves(database) {
        let it = Identity::open(&database).await;
        let leave = format!("/v1/organizations/{}/remove-user/", it.acme);
        let own = |user: &Person| json!({"data": {"type": "organizations", "attributes": {"user-id": user.id}}});
        // Other members are removed by admins, and the last admin stays.
        it.post_refused(&it.provider, &leave, &own(&it.participant), 403, "forbidden").await;
        it.post_refused(&it.admin, &leave, &own(&it.admin), 409, "conflict").await;
        let both = it.person_as("both@example.com", Some(FirstGrant::Member(OrganizationId(it.other), None))).await;
        it.joins(&Granter::system(), &both, it.acme, None).await.unwrap();
        for user in [&it.participant, &it.provider, &both] {
            let answer = it.call(user, "POST", &leave).json(&own(user)).send().await;
            assert_eq!(answer.status, 201, "{answer:?}");
            let held = it.granter(user).await;
            assert_eq!(held, Granter::new(Some(UserId(user.id)), false, [].into()));
        }
        let pairs = it.get(&it.system, &format!("/v1/user-organizations/?user-id={}", both.id)).await;
        assert_eq!(pairs["meta"]["page[total]"], 1);
    }
}
