//! Posts require a role: they are given to providers and admins, and end with the last such role, with the membership,
//! and with the user.

use crate::app::{Identity, Person};
use crate::groups::V1;
use crate::on_both_stores;
use futures::future::join;
use registrar::access::find_user;
use registrar::executor::RequestContext;
use registrar::journal::codec;
use registrar::processes::groups::{self, GroupRef};
use registrar::processes::{DirectoryError, ProcessResult, Refusal, membership};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::group::staffing::{Post, Staffing, StaffingError, StaffingEvent, stream};
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{GroupId, OrganizationId, UserId};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

impl Identity {
    fn group_ref(&self, group: &str) -> GroupRef {
        GroupRef { organization: OrganizationId(self.acme), id: GroupId(Uuid::parse_str(group).unwrap()) }
    }

    async fn give_post(&self, group: &str, post: Post, user: &Person) -> ProcessResult {
        let (context, users) = (RequestContext::system(), BTreeSet::from([UserId(user.id)]));
        groups::appoint(self.node(), &context, self.group_ref(group), post, &users, None).await
    }

    /// Groups of Acme where the user has a post according to the journal, in force or not.
    async fn recorded_posts(&self, user: &Person) -> Staffing {
        let id = stream(OrganizationId(self.acme), UserId(user.id));
        self.node().executor.state::<Staffing>(&id).await.unwrap().1
    }

    async fn has_posts(&self, user: &Person) -> bool {
        let recorded = self.recorded_posts(user).await != Staffing::default();
        let user = find_user(&self.node().documents, &user.id.to_string()).await.unwrap().unwrap();
        assert_eq!(user.standing_posts().next().is_some(), recorded, "{user:?}");
        recorded
    }

    async fn take_role(&self, user: &Person, role: Role) -> ProcessResult {
        let organization = OrganizationId(self.acme);
        membership::revoke(self.node(), &RequestContext::system(), UserId(user.id), organization, role).await
    }

    async fn give_role(&self, user: &Person, role: Role) -> ProcessResult {
        let (context, organization) = (RequestContext::system(), OrganizationId(self.acme));
        membership::grant(self.node(), &context, &Granter::system(), UserId(user.id), organization, role).await
    }
}

on_both_stores! {
    async fn posts_are_given_to_providers_and_admins_alone(database) {
        let it = Identity::open(&database).await;
        let (ward, bare) = (it.ward("Ward 7").await, it.person("bare", it.acme, None).await);
        for post in [Post::Leader, Post::Member] {
            for user in [&it.participant, &bare, &it.other_admin] {
                let head = it.head().await;
                let refused = it.give_post(&ward, post, user).await.unwrap_err();
                let expected = DirectoryError::Refused(Refusal::Staffing(StaffingError::NotEligible));
                assert_eq!(refused.to_string(), expected.to_string(), "{}", user.email);
                assert_eq!(it.head().await, head);
            }
            for user in [&it.provider, &it.admin] {
                it.give_post(&ward, post, user).await.unwrap();
                assert!(it.has_posts(user).await);
            }
        }
        for act in ["add-leaders", "add-members"] {
            let path = format!("{V1}{ward}/{act}/");
            let body = json!({"user-ids": [it.participant.id]});
            let error = it.post_refused(&it.admin, &path, &body, 400, "validation-error").await;
            assert_eq!(error["detail"], "/user-ids/0 names no enabled provider or admin of the organization");
        }
    }

    async fn posts_end_in_the_commit_that_takes_the_last_role_away(database) {
        let it = Identity::open(&database).await;
        let (ward, user) = (it.ward("Ward 7").await, &it.provider);
        it.give_role(user, Role::Admin).await.unwrap();
        it.give_post(&ward, Post::Leader, user).await.unwrap();
        it.give_post(&ward, Post::Member, user).await.unwrap();
        // The remaining role keeps the posts.
        it.take_role(user, Role::Provider).await.unwrap();
        assert!(it.has_posts(user).await);
        let before = it.head().await;
        it.take_role(user, Role::Admin).await.unwrap();
        assert!(!it.has_posts(user).await);
        let events = codec::decode(&it.node().vault, &it.node().journal.read(before, 100).await.unwrap()).await.unwrap();
        let ended = events.iter().filter(|event| {
            matches!(&*event.event, DomainEvent::Staffing(StaffingEvent::Relieved { .. }))
        });
        assert_eq!(ended.count(), 2);
        assert_eq!(it.head().await, before + events.len() as u64);
        // A role that is given again restores no post.
        it.give_role(user, Role::Provider).await.unwrap();
        assert!(!it.has_posts(user).await);
    }

    async fn posts_end_with_the_membership_and_with_the_user(database) {
        let it = Identity::open(&database).await;
        let (ward, context) = (it.ward("Ward 7").await, RequestContext::system());
        let second = it.person("second", it.acme, Some(Role::Provider)).await;
        for user in [&it.provider, &second] {
            it.give_post(&ward, Post::Leader, user).await.unwrap();
        }
        membership::leave(it.node(), &context, UserId(it.provider.id), OrganizationId(it.acme)).await.unwrap();
        assert!(!it.has_posts(&it.provider).await);
        // Disabled users keep their posts and are shown as disabled.
        it.shut_out(&second).await;
        assert!(it.has_posts(&second).await);
        assert_eq!(it.shown(&it.admin, &ward).await["leaders"][0]["enabled"], false);
        membership::archive(it.node(), &context, UserId(second.id)).await.unwrap();
        assert!(!it.has_posts(&second).await);
        assert_eq!(it.shown(&it.admin, &ward).await["leaders"], json!([]));
    }

    async fn a_user_who_loses_the_role_meanwhile_keeps_no_post(database) {
        let it = Identity::open(&database).await;
        let ward = it.ward("Ward 7").await;
        for number in 0..8 {
            let user = it.person(&format!("racer{number}"), it.acme, Some(Role::Provider)).await;
            let (given, taken) = join(it.give_post(&ward, Post::Leader, &user), it.take_role(&user, Role::Provider)).await;
            taken.unwrap();
            assert!(!it.has_posts(&user).await, "{given:?}");
            it.give_role(&user, Role::Provider).await.unwrap();
            assert!(!it.has_posts(&user).await);

            let context = RequestContext::system();
            let leave = membership::leave(it.node(), &context, UserId(user.id), OrganizationId(it.acme));
            let (given, left) = join(it.give_post(&ward, Post::Member, &user), leave).await;
            left.unwrap();
            assert!(!it.has_posts(&user).await, "{given:?}");
        }
    }

    async fn removing_people_skips_groups_that_take_none(database) {
        let it = Identity::open(&database).await;
        let division = it.new_division("Division").await;
        let staff_only = it.new_node("Staff", &json!({"type": "provider_only"})).await;
        let head = it.head().await;
        it.staffed(&division, "remove-members", &json!({"user-ids": [it.provider.id, Uuid::now_v7()]})).await;
        let individuals = json!({"individual-ids": [it.participant.individual, Uuid::now_v7()]});
        it.staffed(&staff_only, "remove-individuals", &individuals).await;
        it.staffed(&division, "remove-individuals", &individuals).await;
        assert_eq!(it.head().await, head);
        let system = crate::groups::system_group(registrar_aggregates::group::SystemGroup::AllParticipants, it.acme);
        for (act, body) in [("remove-individuals", individuals), ("remove-members", json!({"user-ids": [it.provider.id]}))] {
            it.post_refused(&it.admin, &format!("{V1}{system}/{act}/"), &body, 409, "conflict").await;
        }
    }

    async fn admins_are_providers_too(database) {
        let it = Identity::open(&database).await;
        let admin = find_user(&it.node().documents, &it.admin.id.to_string()).await.unwrap().unwrap();
        let holder = registrar::access::Holder::user(admin);
        assert!(holder.is_provider(OrganizationId(it.acme)) && !holder.is_provider(OrganizationId(it.other)));
    }
}
