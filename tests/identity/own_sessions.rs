//! A person's own sessions: listed, ended one by one or all at once, and ended when a spent refresh token is presented.

use crate::app::{Identity, PASSWORD, Person, refusal};
use crate::on_both_stores;
use crate::shapes;
use crate::sign_in::{sign_in, with_password};
use registrar::processes::sessions::LIVE_MAX;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};
use uuid::Uuid;

const REFRESH: &str = "/v1/refresh-token/";

/// Signs in; answers the person with the tokens.
async fn signed_in(identity: &Identity, email: &str) -> (Person, Value) {
    let info = sign_in(identity, email).await;
    let text = |name: &str| info[name].as_str().unwrap().to_owned();
    let id = text("user-id").parse().unwrap();
    (Person { id, email: email.into(), individual: None, token: text("access-token") }, info)
}

async fn refresh(identity: &Identity, token: &Value, rotate: bool) -> crate::ecg_app::Answer {
    let body = json!({ "refresh-token": token, "rotate": rotate });
    let answer = identity.app.call("POST", REFRESH).token(None).json(&body).send().await;
    shapes::check("POST", REFRESH, &answer);
    answer
}

async fn works(identity: &Identity, person: &Person) -> bool {
    identity.call(person, "GET", "/v1/organizations/").send().await.status == 200
}

on_both_stores! {
    async fn a_refresh_token_is_exchanged_and_a_spent_one_ends_the_session(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (ada, info) = signed_in(&identity, "ada@example.com").await;
        let first = &info["refresh-token"];
        let second = refresh(&identity, first, true).await.ok()["refresh-token"].clone();
        assert_ne!(&second, first);
        let third = refresh(&identity, &second, true).await.ok()["refresh-token"].clone();
        // Without a request for an exchange the token stays valid.
        assert!(refresh(&identity, &third, false).await.ok().get("refresh-token").is_none());
        assert_eq!(refresh(&identity, &third, false).await.status, 201);
        assert!(works(&identity, &ada).await);
        refusal(&refresh(&identity, first, false).await, 401, "unauthenticated");
        assert!(!works(&identity, &ada).await, "one of the two that showed it has stolen it");
        refusal(&refresh(&identity, &third, true).await, 401, "unauthenticated");
    }

    async fn one_of_two_concurrent_exchanges_wins_and_the_session_ends(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (ada, info) = signed_in(&identity, "ada@example.com").await;
        let token = &info["refresh-token"];
        let both = futures::future::join_all((0..2).map(|_| refresh(&identity, token, true))).await;
        let won = both.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(won, 1, "{both:?}");
        assert!(!works(&identity, &ada).await);
    }

    async fn an_exchange_is_replayed_for_the_same_key(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (ada, info) = signed_in(&identity, "ada@example.com").await;
        let body = json!({ "refresh-token": info["refresh-token"], "rotate": true });
        let send = || identity.app.call("POST", REFRESH).token(None).header("idempotency-key", "once").json(&body).send();
        let (one, again) = (send().await.ok(), send().await.ok());
        assert_eq!(one, again);
        assert!(works(&identity, &ada).await);
    }

    async fn own_sessions_are_listed_and_ended(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (one, info) = signed_in(&identity, "ada@example.com").await;
        let (two, other) = signed_in(&identity, "ada@example.com").await;
        let list = identity.get(&two, "/v1/sessions/").await;
        let rows = list["data"].as_array().unwrap();
        let ids: Vec<_> = rows.iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, [&other["session-id"], &info["session-id"]], "newest first");
        let current: Vec<_> = rows.iter().map(|row| row["attributes"]["current"].as_bool().unwrap()).collect();
        assert_eq!(current, [true, false]);
        assert_eq!(rows[0]["attributes"]["organization-id"], identity.acme.to_string());
        assert_eq!(identity.get(&two, "/v1/sessions/?page[limit]=1&page[offset]=1").await["data"][0]["id"], info["session-id"]);

        let end = |id: &Value| format!("/v1/sessions/{}/end/", id.as_str().unwrap());
        // Sessions of other people cannot be ended, whatever the caller's role.
        for stranger in [&identity.admin, &identity.system, &identity.service] {
            identity.post_refused(stranger, &end(&info["session-id"]), &json!({}), 404, "not-found").await;
        }
        let unknown = json!(Uuid::now_v7());
        for id in [&unknown, &json!("x")] {
            identity.post_refused(&two, &end(id), &json!({}), 404, "not-found").await;
        }
        identity.post(&two, &end(&info["session-id"]), &json!({})).await;
        assert!(!works(&identity, &one).await && works(&identity, &two).await);
        identity.post_refused(&two, &end(&info["session-id"]), &json!({}), 404, "not-found").await;
        assert_eq!(identity.get(&two, "/v1/sessions/").await["data"].as_array().unwrap().len(), 1);
    }

    async fn all_sessions_end_at_once_but_for_the_one_that_asks_if_it_is_kept(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let (one, _) = signed_in(&identity, "ada@example.com").await;
        let (two, _) = signed_in(&identity, "ada@example.com").await;
        identity.post(&two, "/v1/sessions/end-all/", &json!({ "keep-current": true })).await;
        assert!(!works(&identity, &one).await && works(&identity, &two).await);
        let (three, _) = signed_in(&identity, "ada@example.com").await;
        identity.post(&three, "/v1/sessions/end-all/", &json!({})).await;
        assert!(!works(&identity, &two).await && !works(&identity, &three).await);
    }

    async fn beyond_a_hundred_sessions_the_oldest_ends_as_another_one_begins(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        with_password(&identity, "bob@example.com", Role::Provider, |_| {}).await;
        let (bob, _) = signed_in(&identity, "bob@example.com").await;
        let cost = async |identity: &Identity| {
            let before = identity.head().await;
            let (person, info) = signed_in(identity, "ada@example.com").await;
            (person, info, identity.head().await - before)
        };
        let mut people = vec![];
        let mut events = 0;
        for _ in 0..LIVE_MAX {
            let (person, _, stored) = cost(&identity).await;
            (people, events) = ([people, vec![person]].concat(), stored);
        }
        assert!(works(&identity, &people[0]).await && works(&identity, &people[99]).await);
        // Sessions that programs open for the person are counted separately: they neither end the person's own nor are
        // ended by them.
        let asked = json!({ "data": { "user-id": id } });
        let made = identity.post(&identity.service, "/v1/synthetic-user-tokens/", &asked).await;
        let program = Person { token: made["data"]["access-token"].as_str().unwrap().to_owned(), ..people[0].clone() };
        assert!(works(&identity, &people[0]).await);

        let (last, info, stored) = cost(&identity).await;
        assert_eq!(stored, events + 1, "the end is part of the same act");
        assert!(!works(&identity, &people[0]).await && works(&identity, &people[1]).await);
        assert!(works(&identity, &last).await && works(&identity, &program).await && works(&identity, &bob).await);
        let rows = identity.get(&last, "/v1/sessions/?page[limit]=200").await;
        let begun = rows["data"].as_array().unwrap().iter().filter(|row| row["attributes"]["origin"] == "sign-in");
        assert_eq!(begun.count(), 100);
        let ended = identity.app.call("GET", "/audit/events?eventType=session.ended").send().await.ok();
        let ended = ended["items"].as_array().unwrap();
        assert_eq!(ended.len(), 1, "{ended:?}");
        assert_eq!((&ended[0]["payload"]["reason"], &ended[0]["metadata"]["actor"]["id"]), (&json!("too-many"), &json!(id)));
        assert_eq!(ended[0]["metadata"]["session"], info["session-id"]);

        // Sessions that ended in another way do not count.
        identity.post(&last, "/v1/sessions/end-all/", &json!({})).await;
        let (_, _, stored) = cost(&identity).await;
        assert_eq!(stored, events);
    }

    async fn sessions_that_programs_open_end_oldest_first_as_well(database) {
        let identity = Identity::open(&database).await;
        let asked = json!({ "data": { "user-id": identity.provider.id } });
        let mut programs = vec![];
        for _ in 0..=LIVE_MAX {
            let made = identity.post(&identity.service, "/v1/synthetic-user-tokens/", &asked).await;
            let token = made["data"]["access-token"].as_str().unwrap().to_owned();
            programs.push(Person { token, ..identity.provider.clone() });
        }
        assert!(!works(&identity, &programs[0]).await && works(&identity, &programs[1]).await);
        assert!(works(&identity, &programs[100]).await && works(&identity, &identity.provider).await);
    }

    async fn a_program_that_acts_for_a_user_ends_none_of_its_sessions(database) {
        let identity = Identity::open(&database).await;
        let asked = json!({ "data": { "user-id": identity.provider.id } });
        let made = identity.post(&identity.service, "/v1/synthetic-user-tokens/", &asked).await;
        let token = made["data"]["access-token"].as_str().unwrap().to_owned();
        let acting = Person { token, ..identity.provider.clone() };
        let list = identity.get(&acting, "/v1/sessions/").await;
        let own = list["data"].as_array().unwrap().iter().find(|row| row["attributes"]["origin"] == "sign-in").unwrap();
        let end = format!("/v1/sessions/{}/end/", own["id"].as_str().unwrap());
        for path in [end.as_str(), "/v1/sessions/end-all/"] {
            identity.post_refused(&acting, path, &json!({}), 403, "forbidden").await;
        }
    }

    async fn an_admin_ends_its_sessions_and_its_tokens(database) {
        let identity = Identity::open(&database).await;
        let hash = identity.app.state.passwords.hash(zeroize::Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        crate::app::register_admin(identity.node(), "root@example.com", &hash).await;
        let (one, _) = signed_in(&identity, "root@example.com").await;
        let (two, _) = signed_in(&identity, "root@example.com").await;
        assert_eq!(identity.get(&two, "/v1/sessions/").await["data"].as_array().unwrap().len(), 2);
        identity.post(&two, "/v1/sessions/end-all/", &json!({ "keep-current": true })).await;
        assert!(!works(&identity, &one).await && works(&identity, &two).await);
        // The token that the tests call with belongs to another admin and was issued without a session.
        let token = identity.app.token.clone();
        let by_token = |path: &'static str| identity.app.call("GET", path).token(Some(&token)).send();
        assert_eq!(by_token("/api/ecg-admins").await.status, 200);
        let call = identity.app.call("POST", "/v1/sessions/end-all/").token(Some(&token)).json(&json!({}));
        assert_eq!(call.send().await.status, 201);
        assert_eq!(by_token("/api/ecg-admins").await.status, 401);
    }
}
