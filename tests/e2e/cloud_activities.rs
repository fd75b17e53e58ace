//! Activities: the events of an organization in the vocabulary of the published log.

use crate::cloud_app::{Cloud, context_of, key_of, register, result};
use crate::on_both_stores;
use crate::support::request_of;
use chrono::{DateTime, TimeDelta, Utc};
use registrar::committer::ExpectedVersion;
use registrar::executor::RequestContext;
use registrar::journal::StreamId;
use registrar::processes::membership;
use registrar_aggregates::api_key::{ApiKeyEvent, Role};
use registrar_aggregates::granting::Granter;
use registrar_aggregates::organization::{Organization, OrganizationCommand, Stamp};
use registrar_aggregates::user::{Contacts, Creation, Locale, Names, Role as MemberRole, UserState, Username};
use registrar_aggregates::values::{EmailAddress, OrganizationId, UserId};
use registrar_aggregates::{Actor, ActorType};
use serde_json::{Value, json};
use std::collections::HashSet;
use uuid::Uuid;

async fn rename(cloud: &Cloud, mut context: RequestContext, name: &str) {
    context.metadata.organization_id = Some(cloud.acme.to_string());
    let command = OrganizationCommand::Rename { name: name.into(), stamp: Stamp::at(Utc::now()) };
    cloud.node().executor.execute::<Organization>(&context, &cloud.acme.to_string(), command, None).await.unwrap();
}

fn types(activities: &Value) -> Vec<&str> {
    activities.as_array().unwrap().iter().map(|activity| activity["type"].as_str().unwrap()).collect()
}

on_both_stores! {
    async fn a_rename_by_a_key_is_logged_with_all_that_is_known_of_it(database) {
        let cloud = Cloud::open(&database).await;
        let call = cloud.call(&cloud.admin, "PATCH", &cloud.path("")).json(&json!({"name": "New"}));
        result(call.peer("203.0.113.9:4711").header("user-agent", "agent/1").send().await);
        let activities = cloud.read(&cloud.path("/activities")).await;
        let activity = &activities[0];
        assert_eq!(*activity, json!({
            "id": activity["id"],
            "createdAt": activity["createdAt"],
            "type": "organization_update_name",
            "actorType": "api",
            "actorId": cloud.admin.id,
            "actorDetails": "admin",
            "actorIpAddress": "203.0.113.9",
            "organizationId": cloud.acme,
            "userAgent": "agent/1",
        }));
        assert!(activity["id"].as_str().unwrap().len() >= 20);
        assert!(activity["createdAt"].as_str().unwrap().ends_with('Z'));
        let one = cloud.path(&format!("/activities/{}", activity["id"].as_str().unwrap()));
        assert_eq!(cloud.read(&one).await, *activity);
        // A read logs no activity.
        assert_eq!(cloud.read(&cloud.path("/activities")).await, activities);
    }

    async fn members_who_join_leave_or_change_roles_are_logged(database) {
        let cloud = Cloud::open(&database).await;
        let (node, acme) = (cloud.node(), OrganizationId(cloud.acme));
        let creation = Creation {
            home: None,
            sign_up_code: None,
            id: UserId(Uuid::now_v7()),
            state: UserState::Confirmed,
            names: Names { first_name: "Ada".into(), last_name: "Lovelace".into() },
            birth_date: None,
            contacts: Contacts { email: EmailAddress::parse("ada@example.com").ok(), ..Contacts::default() },
            username: Username::Email,
            locale: Locale::default(),
            time_zone: None,
            classification: None,
            onboarding: None,
            password_hash: None,
            password_expires_at: None,
        };
        let (id, context) = (creation.id, RequestContext::system());
        membership::create(node, &context, creation, None).await.unwrap();
        let before = types(&cloud.read(&cloud.path("/activities")).await).len();
        membership::join(node, &context, &Granter::system(), id, acme, Some(MemberRole::Provider)).await.unwrap();
        membership::revoke(node, &context, id, acme, MemberRole::Provider).await.unwrap();
        membership::leave(node, &context, id, acme).await.unwrap();
        let activities = cloud.read(&cloud.path("/activities")).await;
        let told = types(&activities);
        let expected = ["delete", "update_role", "update_role", "add"].map(|what| format!("organization_member_{what}"));
        assert_eq!(told[..told.len() - before], expected);
        assert!(!activities.to_string().contains("Lovelace") && !activities.to_string().contains("ada@example.com"));
    }

    async fn each_kind_of_change_has_its_type_newest_first(database) {
        let cloud = Cloud::open(&database).await;
        let (keys, made) = (cloud.path("/keys"), json!({"name": "n", "roles": ["developer"]}));
        let key = cloud.write("POST", &keys, &made).await["keyId"].as_str().unwrap().to_owned();
        let path = format!("{keys}/{key}");
        let end = (Utc::now() + TimeDelta::days(1)).to_rfc3339();
        for body in [json!({"name": "m"}), json!({"roles": ["admin"]}), json!({"state": "disabled"}), json!({"expireAt": end})] {
            cloud.write("PATCH", &path, &body).await;
        }
        let holder = registrar::auth::api_keys::Credentials::generate(registrar_aggregates::values::ApiKeyId(key.parse().unwrap()));
        registrar::auth::api_keys::roll(cloud.node(), &context_of(cloud.acme), &holder).await.unwrap();
        cloud.write("PATCH", &path, &json!({"name": "n", "state": "enabled"})).await;
        result(cloud.call(&cloud.admin, "DELETE", &path).send().await);

        let activities = cloud.read(&cloud.path("/activities")).await;
        let told: Vec<_> = activities.as_array().unwrap().iter().map(|activity| (activity["type"].as_str().unwrap(), activity["keyUpdateType"].as_str())).collect();
        let update = |kind| ("openapi_key_update", Some(kind));
        assert_eq!(told, [
            ("key_delete", None),
            update("state-changed"),
            update("name-changed"),
            ("openapi_key_update", None),
            update("date-changed"),
            update("state-changed"),
            update("role-changed"),
            update("name-changed"),
            ("key_create", None),
            ("key_create", None),
            ("key_create", None),
            ("key_create", None),
            ("create_organization", None),
        ]);
        for activity in activities.as_array().unwrap() {
            let is_update = activity["type"] == "openapi_key_update";
            assert_eq!(activity.get("targetKeyId"), is_update.then(|| json!(key)).as_ref());
        }
    }

    async fn addresses_are_logged_of_users_and_keys_only(database) {
        let cloud = Cloud::open(&database).await;
        let person = cloud.app.register(vec![]).await;
        let support = |context: RequestContext| RequestContext {
            metadata: registrar_aggregates::Metadata { actor: Actor { kind: ActorType::Support, ..context.metadata.actor.clone() }, ..context.metadata },
            ..context
        };
        rename(&cloud, request_of(person), "By a user").await;
        rename(&cloud, support(request_of(person)), "By support").await;
        rename(&cloud, RequestContext::system(), "By the system").await;
        let activities = cloud.read(&cloud.path("/activities")).await;
        let told: Vec<_> = (0..3).map(|index| {
            let activity = &activities[index];
            let text = |name: &str| activity.get(name).map(|text| text.as_str().unwrap());
            (text("actorType").unwrap(), text("actorDetails"), text("actorIpAddress"), text("userAgent"))
        }).collect();
        assert_eq!(told, [
            ("system", Some("Registrar"), None, None),
            ("support", Some("Marked Actor"), None, None),
            ("user", Some("Marked Actor"), Some("203.0.113.77"), Some("MarkedAgent/1.0")),
        ]);
    }

    async fn a_period_has_both_its_ends(database) {
        let cloud = Cloud::open(&database).await;
        for name in ["A", "B", "C"] {
            cloud.write("PATCH", &cloud.path(""), &json!({"name": name})).await;
            let now = Utc::now();
            while Utc::now().timestamp_millis() == now.timestamp_millis() {
                tokio::task::yield_now().await;
            }
        }
        let all = cloud.read(&cloud.path("/activities")).await;
        let times: Vec<_> = (0..3).map(|index| all[index]["createdAt"].as_str().unwrap().to_owned()).collect();
        let list = async |query: String| cloud.read(&cloud.path(&format!("/activities?{query}"))).await.as_array().unwrap().len();
        let total = all.as_array().unwrap().len();
        assert_eq!(list(format!("from_date={}", times[1])).await, 2);
        assert_eq!(list(format!("to_date={}", times[1])).await, total - 1);
        assert_eq!(list(format!("from_date={0}&to_date={0}", times[1])).await, 1);
        assert_eq!(list(format!("from_date={}&to_date={}", times[2], times[0])).await, 3);
        let later = (DateTime::parse_from_rfc3339(&times[0]).unwrap() + TimeDelta::hours(2)).to_rfc3339().replace('+', "%2B");
        assert_eq!(list(format!("from_date={later}")).await, 0);
        assert_eq!(list("x=1".into()).await, total);
    }

    async fn a_malformed_period_is_refused(database) {
        let cloud = Cloud::open(&database).await;
        for query in [
            "from_date=",
            "from_date=2026-03-04",
            "to_date=2026-03-04T17:27:05",
            "to_date=2026-03-04+17:27:05Z",
            "from_date=2026-03-04T17:27:05Z&from_date=2026-03-04T17:27:05Z",
            "from_date=2026-03-04T17:27:05.001Z&to_date=2026-03-04T18:27:05%2B01:00",
            "from_date=%",
        ] {
            let call = cloud.call(&cloud.developer, "GET", &cloud.path(&format!("/activities?{query}")));
            assert!(cloud.refused(call, 400).await.starts_with("BAD_REQUEST: "), "{query}");
        }
    }

    async fn activities_of_other_organizations_are_absent(database) {
        let cloud = Cloud::open(&database).await;
        let foreign = register(cloud.node(), "Foreign").await;
        let theirs = key_of(cloud.node(), foreign, Role::Admin).await;
        let path = format!("/v1/organizations/{foreign}");
        let activities = result(cloud.call(&theirs, "GET", &format!("{path}/activities")).send().await);
        assert_eq!(types(&activities), ["key_create", "create_organization"]);
        let id = activities[0]["id"].as_str().unwrap();
        for id in [id, "act0000000000000000001", &Uuid::now_v7().to_string(), &Uuid::new_v4().to_string(), &"x".repeat(3000)] {
            let call = cloud.call(&cloud.admin, "GET", &cloud.path(&format!("/activities/{id}")));
            assert_eq!(cloud.refused(call, 404).await, "NOT_FOUND", "{id}");
        }
        assert_eq!(cloud.read(&cloud.path("/activities")).await.as_array().unwrap().len(), 4);
    }

    /// Several pages of the journal's reads, in one commit and in many.
    async fn a_long_log_is_listed_in_full(database) {
        let cloud = Cloud::open(&database).await;
        let stream = StreamId { aggregate_type: "api-key", aggregate_id: cloud.developer.id.clone() };
        for round in 0..4 {
            let events = (0..400).map(|index| ApiKeyEvent::Renamed { name: format!("{round}/{index}") }.into()).collect();
            let append = vec![(stream.clone(), ExpectedVersion::Any, events)];
            cloud.node().executor.append(&context_of(cloud.acme), append).await.unwrap();
        }
        let activities = cloud.read(&cloud.path("/activities")).await;
        let list = activities.as_array().unwrap();
        assert_eq!(list.len(), 1604);
        let ids: Vec<_> = list.iter().map(|activity| activity["id"].as_str().unwrap()).collect();
        assert!(ids.is_sorted_by(|earlier, later| earlier > later), "not newest first");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        let times = |activity: &Value| activity["createdAt"].as_str().unwrap().to_owned();
        assert!(list.iter().map(times).is_sorted_by(|earlier, later| earlier >= later));
        for index in [0, 499, 500, 501, 1603] {
            assert_eq!(cloud.read(&cloud.path(&format!("/activities/{}", ids[index]))).await, list[index]);
        }
    }
}
