//! Rights over accounts and over memberships, and visibility of personal data.

use crate::app::{Identity, Person};
use crate::on_both_stores;
use registrar::access::{Access, Holder, find_user};
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar_aggregates::granting::Granter;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::UserDocument;
use std::sync::Arc;

impl Identity {
    async fn found(&self, user: &Person) -> Arc<UserDocument> {
        find_user(&self.node().documents, &user.id.to_string()).await.unwrap().unwrap()
    }

    async fn acting(&self, user: &Person) -> Holder {
        Access::new(self.node().documents.clone()).holder(UserId(user.id)).await.unwrap()
    }

    async fn also_in(&self, user: &Person, organization: uuid::Uuid, role: Role) {
        let (context, granter) = (RequestContext::system(), Granter::system());
        let organization = OrganizationId(organization);
        membership::join(self.node(), &context, &granter, UserId(user.id), organization, Some(role)).await.unwrap();
    }
}

on_both_stores! {
    async fn accounts_are_for_the_home_and_memberships_for_the_organization(database) {
        let it = Identity::open(&database).await;
        it.also_in(&it.provider, it.other, Role::Provider).await;
        let (acme, other) = (OrganizationId(it.acme), OrganizationId(it.other));
        let shared = it.found(&it.provider).await;
        let [home, elsewhere, system] = [&it.admin, &it.other_admin, &it.system];
        let [home, elsewhere, system] = [it.acting(home).await, it.acting(elsewhere).await, it.acting(system).await];
        assert_eq!([&home, &elsewhere, &system].map(|holder| holder.manages_account(&shared)), [true, false, true]);
        assert!(home.is_admin(acme) && !home.is_admin(other));
        assert!(elsewhere.is_admin(other) && !elsewhere.is_admin(acme));
        assert!(system.is_admin(acme) && system.is_admin(other));
        assert!(elsewhere.sees(&shared));
        // Accounts of holders of a system role are managed by the system alone.
        let part = Some(FirstGrant::SystemIn(acme, SystemRole::Support));
        let support = it.person_as("support@example.com", part).await;
        let support_user = it.found(&support).await;
        assert_eq!([&home, &system].map(|holder| holder.manages_account(&support_user)), [false, true]);
        let support = it.acting(&support).await;
        assert!(support.supports() && !support.manages_account(&shared) && !home.supports());
        let service = it.acting(&it.service).await;
        assert!([&support, &service, &system].iter().all(|holder| holder.sees_organization(other)));
        assert!(home.sees_organization(acme) && !home.sees_organization(other));
        // When the person leaves the home organization, another one becomes the home.
        membership::leave(it.node(), &RequestContext::system(), UserId(it.provider.id), acme).await.unwrap();
        let left = it.found(&it.provider).await;
        assert_eq!([&home, &elsewhere].map(|holder| holder.manages_account(&left)), [false, true]);
    }

    async fn personal_data_is_shown_to_few(database) {
        let it = Identity::open(&database).await;
        let access = Access::new(it.node().documents.clone());
        let closed = it.organization("Closed", Authorization::Restricted).await;
        let closed_admin = it.person("closed", closed, Some(Role::Admin)).await;
        let closed_provider = it.person("closed-provider", closed, Some(Role::Provider)).await;
        let colleague = it.person("colleague", it.acme, Some(Role::Member)).await;
        it.also_in(&it.participant, closed, Role::Member).await;
        let participant = it.found(&it.participant).await;
        for (viewer, expected) in [
            (&it.participant, true), (&it.system, true), (&it.service, true),
            // The home organization; a provider of an open organization; an admin with a grant on the individual.
            (&it.admin, true), (&it.provider, true), (&closed_admin, true),
            // No grant.
            (&closed_provider, false), (&colleague, false), (&it.other_admin, false),
        ] {
            let holder = it.acting(viewer).await;
            assert_eq!(access.sees_personal(&holder, &participant).await.unwrap(), expected, "{}", viewer.email);
        }
        // The answer for a whole page equals the single answers.
        let people = [&it.participant, &it.provider, &it.admin, &closed_provider, &colleague, &it.other_admin];
        let page = futures::future::join_all(people.map(|person| it.found(person))).await;
        for viewer in people {
            let holder = it.acting(viewer).await;
            let seen = access.only_personal(&holder, page.iter().map(AsRef::as_ref)).await.unwrap();
            for user in &page {
                let alone = access.sees_personal(&holder, user).await.unwrap();
                assert_eq!(seen.contains(&user.profile.id), alone, "{} {}", viewer.email, user.username_text());
            }
        }
    }
}
