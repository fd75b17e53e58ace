//! Documents altered in the database, past the journal: none of them decides about a right, and no event is folded upon
//! one. Unaltered documents go on working.

use crate::app::{Identity, PASSWORD, Person, refusal, register_admin, session_of, token};
use crate::cloud_app::{Cloud, PLENTY};
use crate::ecg_app::{ADMINS, Answer, App};
use crate::on_both_stores;
use crate::sign_in::{sign_in, with_password};
use crate::support::Database;
use crate::totp::{code, device};
use chrono::Utc;
use registrar::access::{Access, AccessQuery};
use registrar::api::ApiSettings;
use registrar::auth::permissions::ADMINISTRATOR;
use registrar::executor::{ExecuteError, RequestContext};
use registrar::followers;
use registrar::journal::JournalError;
use registrar::processes::groups::{self, GroupRef, NewGroup};
use registrar_aggregates::group::{GroupKind, NodeType};
use registrar_aggregates::organization::{Organization, OrganizationCommand, Stamp};
use registrar_aggregates::user::{Role, User, UserCommand};
use registrar_aggregates::values::{GroupId, OrganizationId, UserId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

const LOGIN: &str = "/v1/login/";

/// Table of a collection in the serving generation.
async fn table(database: &Database, collection: &str) -> String {
    let generation = database.sql().await.number("SELECT generation FROM journal_head").await;
    format!("{collection}_g{generation}")
}

/// The body of a document.
async fn stored(database: &Database, collection: &str, id: &str) -> Value {
    let query = format!("SELECT body FROM {} WHERE id = '{id}'", table(database, collection).await);
    serde_json::from_str(&database.sql().await.texts(&query).await[0]).unwrap()
}

/// Sets columns of a document.
async fn set(database: &Database, collection: &str, id: &str, columns: &str) {
    let update = format!("UPDATE {} SET {columns} WHERE id = '{id}'", table(database, collection).await);
    assert_eq!(database.sql().await.run(&update).await.unwrap(), 1, "{update}");
}

/// Alters the body of a document and nothing else.
async fn alter(database: &Database, collection: &str, id: &str, edit: impl FnOnce(&mut Value)) {
    let before = stored(database, collection, id).await;
    let mut after = before.clone();
    edit(&mut after);
    assert_ne!(after, before);
    set(database, collection, id, &format!("body = '{}'", after.to_string().replace('\'', "''"))).await;
}

/// The same people on a new server, whose cache is empty.
async fn another_server(identity: Identity, database: &Database) -> Identity {
    let app = App::over(database.open().await, ApiSettings::default()).await;
    Identity { app, ..identity }
}

fn user(person: &Person) -> String {
    format!("/v1/users/{}/", person.id)
}

async fn attempt(identity: &Identity, body: &Value) -> Answer {
    identity.app.call("POST", LOGIN).token(None).json(body).send().await
}

impl Identity {
    /// Every request of this person is refused, and none stores an event.
    async fn decides_nothing_about(&self, person: &Person) {
        self.get_refused(person, &user(person), 500, "internal").await;
        self.patch_refused(
            person,
            &user(person),
            &json!({ "data": { "type": "users", "id": person.id, "attributes": { "first-name": "Eve" } } }),
            500,
            "internal",
        )
        .await;
    }

    async fn works_for(&self, person: &Person) {
        self.get(person, &user(person)).await;
    }
}

on_both_stores! {
    async fn a_user_who_was_made_an_admin_in_the_database_is_refused_everywhere(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "eve@example.com", Role::Member, |_| {}).await;
        let eve = Person { id, email: "eve@example.com".into(), individual: None, token: token(&identity.app, id).await };
        sign_in(&identity, "eve@example.com").await;
        let of_an_admin = stored(&database, "users", &identity.system.id.to_string()).await;
        assert_eq!(of_an_admin["profile"]["systemRoles"].as_array().unwrap().len(), 1);
        alter(&database, "users", &id.to_string(), |body| {
            body["profile"]["systemRoles"] = of_an_admin["profile"]["systemRoles"].clone();
        }).await;

        let identity = another_server(identity, &database).await;
        let before = identity.head().await;
        let credentials = json!({ "username": "eve@example.com", "password": PASSWORD });
        refusal(&attempt(&identity, &credentials).await, 500, "internal");
        assert_eq!(identity.head().await, before, "neither a session nor a failure");
        identity.decides_nothing_about(&eve).await;
        identity.app.refused(identity.app.call("GET", ADMINS).token(Some(&eve.token)), 500).await;
        let access = Access::new(identity.node().documents.clone());
        assert!(matches!(access.holder(UserId(id)).await, Err(JournalError::Corrupt(_))));
        for person in [&identity.system, &identity.admin, &identity.participant, &identity.other_admin] {
            identity.works_for(person).await;
        }
        // A rebuild from the journal restores the original rights.
        followers::rebuild(identity.node(), &|_, _| {}).await.unwrap();
        identity.works_for(&eve).await;
        identity.get_refused(&eve, &user(&identity.system), 404, "not-found").await;
    }

    async fn no_event_is_folded_upon_an_altered_document(database) {
        let identity = Identity::open(&database).await;
        let id = identity.participant.id.to_string();
        let of_an_admin = stored(&database, "users", &identity.system.id.to_string()).await;
        alter(&database, "users", &id, |body| {
            body["profile"]["systemRoles"] = of_an_admin["profile"]["systemRoles"].clone();
        }).await;
        let identity = another_server(identity, &database).await;
        let (before, altered) = (identity.head().await, stored(&database, "users", &id).await);
        // The aggregate accepts the command; folding its event over the altered document fails.
        let context = RequestContext::system();
        let refused = identity.node().executor.execute::<User>(&context, &id, UserCommand::EndSessions, None).await;
        assert!(matches!(refused, Err(ExecuteError::Journal(JournalError::Corrupt(_)))), "{refused:?}");
        assert_eq!((identity.head().await, stored(&database, "users", &id).await), (before, altered));
        // Commands on other users go on.
        let other = identity.provider.id.to_string();
        identity.node().executor.execute::<User>(&context, &other, UserCommand::EndSessions, None).await.unwrap();
    }

    async fn a_row_of_an_admin_in_the_place_of_another_is_refused(database) {
        let identity = Identity::open(&database).await;
        let (users, admin) = (table(&database, "users").await, identity.system.id);
        let of = |column: &str| format!("{column} = (SELECT {column} FROM {users} WHERE id = '{admin}')");
        let columns = [of("body"), of("digest")].join(", ");
        set(&database, "users", &identity.participant.id.to_string(), &columns).await;
        let identity = another_server(identity, &database).await;
        identity.decides_nothing_about(&identity.participant).await;
        identity.works_for(&identity.system).await;
    }

    async fn a_document_without_its_digest_is_refused(database) {
        let identity = Identity::open(&database).await;
        set(&database, "users", &identity.participant.id.to_string(), "digest = NULL").await;
        set(&database, "users", &identity.provider.id.to_string(), "digest = ''").await;
        set(&database, "users", &identity.admin.id.to_string(), "digest = upper(digest)").await;
        let identity = another_server(identity, &database).await;
        for person in [&identity.participant, &identity.provider, &identity.admin] {
            identity.decides_nothing_about(person).await;
        }
        identity.works_for(&identity.other_admin).await;
    }

    async fn a_session_that_was_altered_or_exchanged_is_refused(database) {
        let identity = Identity::open(&database).await;
        let [given, prolonged, exchanged] =
            [&identity.participant, &identity.provider, &identity.admin].map(|person| session_of(&person.token));
        let system = identity.system.id;
        assert_eq!(stored(&database, "sessions", &given).await["state"]["userId"], json!(identity.participant.id));
        alter(&database, "sessions", &given, |body| body["state"]["userId"] = json!(system)).await;
        alter(&database, "sessions", &prolonged, |body| body["state"]["expiresAt"] = json!("2999-01-01T00:00:00Z")).await;
        let (sessions, other) = (table(&database, "sessions").await, session_of(&identity.system.token));
        let of = |column: &str| format!("{column} = (SELECT {column} FROM {sessions} WHERE id = '{other}')");
        set(&database, "sessions", &exchanged, &[of("body"), of("digest")].join(", ")).await;
        let identity = another_server(identity, &database).await;
        for person in [&identity.participant, &identity.provider, &identity.admin] {
            identity.decides_nothing_about(person).await;
        }
        identity.works_for(&identity.other_admin).await;
    }

    async fn an_organization_that_was_opened_again_in_the_database_is_refused(database) {
        let identity = Identity::open(&database).await;
        let acme = identity.acme.to_string();
        let before = stored(&database, "organizations", &acme).await;
        let retire = OrganizationCommand::Retire { grounds: None, stamp: Stamp::at(Utc::now()) };
        let context = RequestContext::system();
        identity.node().executor.execute::<Organization>(&context, &acme, retire, None).await.unwrap();
        identity.get_refused(&identity.admin, &user(&identity.admin), 401, "unauthenticated").await;
        alter(&database, "organizations", &acme, |body| body["status"] = before["status"].clone()).await;
        let identity = another_server(identity, &database).await;
        for person in [&identity.admin, &identity.provider, &identity.participant] {
            identity.decides_nothing_about(person).await;
        }
        identity.works_for(&identity.other_admin).await;
    }

    async fn an_individual_and_a_group_that_were_moved_in_the_database_are_refused(database) {
        let identity = Identity::open(&database).await;
        let (owned, kept) = (identity.individual(identity.acme).await, identity.individual(identity.acme).await);
        let group = GroupRef { organization: OrganizationId(identity.acme), id: GroupId(Uuid::now_v7()) };
        let new = NewGroup {
            group,
            name: "Ward".into(),
            kind: GroupKind::Regular,
            node_type: NodeType::Group,
            tags: BTreeSet::new(),
            individuals: BTreeSet::new(),
            leaders: BTreeSet::new(),
        };
        groups::create(identity.node(), &RequestContext::system(), &new).await.unwrap();
        let other = identity.other;
        alter(&database, "individuals", &owned.to_string(), |body| body["places"] = json!({ other.to_string(): [] })).await;
        alter(&database, "groups", &group.id.to_string(), |body| body["organizationId"] = json!(other)).await;
        let identity = another_server(identity, &database).await;
        let access = Access::new(identity.node().documents.clone());
        let holder = access.holder(UserId(identity.other_admin.id)).await.unwrap();
        for resource in [format!("individual:{owned}:read"), format!("group:{}:write", group.id)] {
            let query = AccessQuery::parse(&resource).unwrap();
            let decided = access.allows(&holder, &query).await;
            assert!(matches!(decided, Err(JournalError::Corrupt(_))), "{resource}: {decided:?}");
        }
        let own = access.holder(UserId(identity.admin.id)).await.unwrap();
        assert!(access.allows(&own, &AccessQuery::parse(&format!("individual:{kept}:read")).unwrap()).await.unwrap());
    }

    async fn an_admin_with_policies_from_the_database_is_refused(database) {
        let identity = Identity::open(&database).await;
        let nobody = identity.app.register(vec![]).await.to_string();
        let token = identity.app.token_of(&nobody, None).await;
        identity.app.refused(identity.app.call("GET", ADMINS).token(Some(&token)), 403).await;
        alter(&database, "admins", &nobody, |body| body["policies"] = json!([ADMINISTRATOR.id])).await;
        let identity = another_server(identity, &database).await;
        identity.app.refused(identity.app.call("GET", ADMINS).token(Some(&token)), 500).await;
        identity.app.get(ADMINS).await.ok();
    }

    async fn a_document_that_was_moved_to_another_key_is_not_taken_for_it(database) {
        let identity = Identity::open(&database).await;
        let [victim, intruder] = [
            register_admin(identity.node(), "victim@example.com", "$argon2id$none").await,
            register_admin(identity.node(), "intruder@example.com", "$argon2id$none").await,
        ];
        let admins = table(&database, "admins").await;
        // Both columns exchange their values with the other row; no digest covers them.
        let moved = format!("UPDATE {admins} SET person_id = CASE person_id WHEN '{victim}' THEN '{intruder}' ELSE '{victim}' END \
             WHERE person_id IN ('{victim}', '{intruder}')");
        assert_eq!(database.sql().await.run(&moved).await.unwrap(), 2);
        let identity = another_server(identity, &database).await;
        for person in [victim, intruder] {
            let path = format!("{ADMINS}/{person}");
            identity.app.refused(identity.app.call("GET", &path), 500).await;
        }
    }

    async fn an_api_key_gets_no_role_from_the_database(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path("/keys");
        cloud.refused(cloud.call(&cloud.developer, "GET", &path), 403).await;
        let id = cloud.developer.id.clone();
        let of_an_admin = stored(&database, "api_keys", &cloud.admin.id).await;
        assert!(of_an_admin["state"]["roles"].is_array(), "{of_an_admin}");
        alter(&database, "api_keys", &id, |body| body["state"]["roles"] = of_an_admin["state"]["roles"].clone()).await;
        let app = App::over(database.open().await, ApiSettings { api_key_rate: PLENTY, ..ApiSettings::default() }).await;
        let cloud = Cloud { app, ..cloud };
        // The roles of a caller are read from the stream, so the forged ones do not count.
        cloud.refused(cloud.call(&cloud.developer, "GET", &path), 403).await;
        let own = format!("{path}/{id}");
        cloud.refused(cloud.call(&cloud.admin, "GET", &own), 500).await;
        cloud.refused(cloud.call(&cloud.admin, "PATCH", &own).json(&json!({ "name": "Other" })), 500).await;
        cloud.read(&format!("{path}/{}", cloud.query.id)).await;
    }

    async fn a_second_factor_is_not_switched_off_in_the_database(database) {
        let identity = Identity::open(&database).await;
        let id = with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let token = sign_in(&identity, "ada@example.com").await["access-token"].as_str().unwrap().to_owned();
        let ada = Person { id, email: "ada@example.com".into(), individual: None, token };
        let device = device(&identity, &ada).await;
        let codes = [code(&device.secret, -1), code(&device.secret, 0)];
        identity.post(&ada, &format!("{}enable/", device.path), &json!({ "password": PASSWORD, "codes": codes })).await;
        let credentials = json!({ "username": "ada@example.com", "password": PASSWORD });
        assert_eq!(attempt(&identity, &credentials).await.status, 401);
        let factor = device.path.trim_end_matches('/').rsplit_once('/').unwrap().1.to_owned();
        assert_eq!(stored(&database, "totp_configurations", &factor).await["state"]["enabled"], true);
        alter(&database, "totp_configurations", &factor, |body| body["state"]["enabled"] = json!(false)).await;
        let identity = another_server(identity, &database).await;
        let before = identity.head().await;
        refusal(&attempt(&identity, &credentials).await, 500, "internal");
        assert_eq!(identity.head().await, before);
    }

    async fn a_second_factor_moved_to_another_user_is_refused(database) {
        let identity = Identity::open(&database).await;
        with_password(&identity, "ada@example.com", Role::Provider, |_| {}).await;
        let token = sign_in(&identity, "ada@example.com").await["access-token"].as_str().unwrap().to_owned();
        let eve = with_password(&identity, "eve@example.com", Role::Provider, |_| {}).await;
        let ada = Person { id: Uuid::nil(), email: "ada@example.com".into(), individual: None, token };
        let device = device(&identity, &ada).await;
        let factor = device.path.trim_end_matches('/').rsplit_once('/').unwrap().1.to_owned();
        sign_in(&identity, "eve@example.com").await;
        set(&database, "totp_configurations", &factor, &format!("user_id = '{eve}'")).await;
        let identity = another_server(identity, &database).await;
        let before = identity.head().await;
        let credentials = json!({ "username": "eve@example.com", "password": PASSWORD });
        refusal(&attempt(&identity, &credentials).await, 500, "internal");
        assert_eq!(identity.head().await, before);
    }
}
