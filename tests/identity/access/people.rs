//! Individuals on whom a user holds a grant, filtered by attributes of the people behind them.

use super::{Clinic, INDIVIDUALS, question, set};
use crate::app::{Identity, Person, creation};
use crate::on_both_stores;
use registrar::executor::RequestContext;
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::user_by_id;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::group::NodeType;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::user::{BirthDate, Names, Phone, Role, UserState};
use registrar_aggregates::values::{OrganizationId, UserId};
use serde_json::json;
use uuid::Uuid;

on_both_stores! {
    async fn an_invisible_group_is_answered_as_an_unknown_one(database) {
        let it = Identity::open(&database).await;
        let clinic = Clinic::open(&it).await;
        // The nurse sees the patient in the ward, but neither the division nor another group.
        let elsewhere = it.node_of_tree(it.other, "Elsewhere", NodeType::Group).await;
        it.put(it.other, elsewhere, clinic.patient.individual.unwrap()).await;
        it.appoint(it.other, elsewhere, Post::Leader, &it.other_admin).await;
        for group in [elsewhere, clinic.division, Uuid::now_v7()] {
            let inside = question(clinic.nurse.id, &["individual::read".into(), format!("group:{group}:contain")]);
            assert!(it.listed(&clinic.nurse, &inside).await.is_empty());
            assert!(it.people(&clinic.nurse, &clinic.nurse, &format!("filter[group-id]={group}")).await.is_empty());
        }
        let patient = set(&[clinic.patient.individual.unwrap()]);
        let of_ward = format!("filter[group-id]={}", clinic.ward);
        assert_eq!(it.people(&clinic.nurse, &clinic.nurse, &of_ward).await, patient);
        let led = |leader: &Person| format!("filter[group-members-with-leader-id]={}", leader.id);
        assert!(it.people(&clinic.nurse, &clinic.nurse, &led(&it.other_admin)).await.is_empty());
        assert_eq!(it.people(&clinic.nurse, &clinic.nurse, &led(&clinic.head)).await, patient);
        // The service account sees both groups, so the same filters find the patient.
        assert_eq!(it.people(&it.service, &clinic.nurse, &format!("filter[group-id]={elsewhere}")).await, patient);
        assert_eq!(it.people(&it.service, &clinic.nurse, &led(&it.other_admin)).await, patient);
    }

    async fn individuals_are_found_by_attributes_of_their_people(database) {
        let it = Identity::open(&database).await;
        let part = Some(FirstGrant::Member(OrganizationId(it.acme), Some(Role::Member)));
        let mut person = creation("ada@example.com", None);
        person.names = Names { first_name: "Ada".into(), last_name: "Lovelace".into() };
        person.birth_date = Some(BirthDate::parse("1815-12-10").unwrap());
        person.contacts.phone = Some(Phone::parse("+4915112345678").unwrap());
        person.contacts.email_verified = false;
        person.state = UserState::Init;
        let id = person.id;
        membership::create(it.node(), &RequestContext::system(), person, part).await.unwrap();
        let user = user_by_id(it.node(), id).await.unwrap().unwrap();
        let ada = user.individuals[0].0;
        let other = it.participant.individual.unwrap();
        let owned = it.individual(it.acme).await;
        // A provider who is also a participant.
        let both = it.person("both", it.acme, Some(Role::Member)).await;
        let (worker, context) = (UserId(both.id), RequestContext::system());
        membership::grant(it.node(), &context, &Granter::system(), worker, OrganizationId(it.acme), Role::Provider).await.unwrap();
        let both = both.individual.unwrap();

        for (filter, expected) in [
            ("", vec![ada, other, owned, both]),
            ("filter[first-name]=ADA", vec![ada]),
            ("filter[first-name]=Ad", vec![]),
            ("filter[last-name]=lovelace", vec![ada]),
            ("filter[last-name]=example", vec![other, both]),
            ("filter[first-name]=ada&filter[last-name]=example", vec![]),
            ("filter[email]=ADA@example.com", vec![ada]),
            ("filter[email]=nonsense", vec![]),
            ("filter[phone]=%2B4915112345678", vec![ada]),
            ("filter[phone]=4915112345678", vec![]),
            ("filter[birth-date]=1815-12-10", vec![ada]),
            ("filter[birth-date]=1815-12-11", vec![]),
            ("filter[email-verified]=true", vec![other, both]),
            ("filter[email-verified]=false", vec![ada]),
            ("filter[phone-verified]=true", vec![]),
            ("filter[registered]=true", vec![other, both]),
            ("filter[registered]=false", vec![ada, owned]),
            ("filter[registered]=false&filter[email-verified]=false", vec![ada]),
            ("filter[account-type]=regular", vec![ada, other]),
            ("filter[account-type]=provider", vec![both]),
        ] {
            assert_eq!(it.people(&it.provider, &it.provider, filter).await, set(&expected), "{filter}");
        }
        let without = format!("filter[exclude-owner-ids]={}&filter[exclude-owner-ids]={}", it.acme, it.participant.id);
        assert_eq!(it.people(&it.provider, &it.provider, &without).await, set(&[ada, both]));
        let here = format!("filter[organization-id]={}", it.acme);
        assert_eq!(it.people(&it.provider, &it.provider, &here).await, set(&[ada, other, owned, both]));
        let there = format!("filter[organization-id]={}", it.other);
        assert!(it.people(&it.provider, &it.provider, &there).await.is_empty());
        let of = format!("{INDIVIDUALS}?operation=write&user-id={}&page[limit]=1&page[offset]=3", it.provider.id);
        let page = it.get(&it.provider, &of).await;
        assert_eq!(page["meta"], json!({ "page[limit]": 1, "page[offset]": 3, "page[total]": 4 }));
        assert_eq!(page["resource-ids"].as_array().unwrap().len(), 1);
        let unknown = Person { id: Uuid::now_v7(), ..it.provider.clone() };
        assert!(it.people(&it.service, &unknown, "").await.is_empty());
    }

    async fn malformed_questions_list_no_individuals(database) {
        let it = Identity::open(&database).await;
        let of = format!("user-id={}", it.provider.id);
        let path = |query: &str| format!("{INDIVIDUALS}?{query}");
        for query in [
            of.clone(), "operation=read".into(), format!("{of}&operation=contain"), "operation=read&user-id=x".into(),
            format!("{of}&operation=read&filter[account-type]=other"),
            format!("{of}&operation=read&page[limit]=100001"),
            format!("{of}&operation=read&filter[birth-date]=1815-2-3"),
            format!("{of}&operation=read&filter[group-id]=x"),
            format!("{of}&operation=read&filter[registered]=perhaps"),
        ] {
            it.get_refused(&it.provider, &path(&query), 400, "validation-error").await;
        }
    }
}
