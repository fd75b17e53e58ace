//! Agreements: binding documents that people agree to before a session opens or goes on, and documents of the file that
//! earlier releases read at every start.

use crate::app::{Identity, PASSWORD, ids, organize};
use crate::on_both_stores;
use crate::service_documents::{publish, version, within};
use crate::sign_in::{attempt, sign_in, with_password};
use registrar::executor::RequestContext;
use registrar::followers;
use registrar::processes::membership;
use registrar::processes::service_documents::{ImportError, import, import_once_rebuilt};
use registrar_aggregates::granting::Granter;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::service_document::Publication;
use registrar_aggregates::user::{Role, User, UserCommand};
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::service_documents::{CurrentDocuments, owner_key};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const LOGIN: &str = "/v1/login/";
const REFRESH: &str = "/v1/refresh-token/";
const NAME: &str = "ada@example.com";

fn credentials() -> Value {
    json!({ "username": NAME, "password": PASSWORD })
}

fn agreeing_to(documents: &[Uuid]) -> Value {
    let mut body = credentials();
    body["service-document-agreements"] = json!(documents);
    body
}

/// Asserts that a request is refused until these documents are agreed to.
async fn is_asked_for(it: &Identity, path: &str, body: &Value, documents: &[Uuid]) {
    let call = it.app.call("POST", path).token(None).json(body);
    let error = it.refused(call, 403, "agreements-required").await;
    assert_eq!(error["meta"]["service-document-ids"], json!(documents));
}

async fn refreshes(it: &Identity, body: &Value) -> bool {
    it.app.call("POST", REFRESH).token(None).json(body).send().await.status == 201
}

on_both_stores! {
    async fn binding_documents_are_agreed_to_before_a_session_opens(database) {
        let it = Identity::open(&database).await;
        let notice = Publication { binding: false, ..version("notice", 1) };
        let foreign = within(it.other, version("terms", 1));
        let [former, terms, notice, foreign] =
            publish(it.node(), [version("terms", 9), version("terms", 10), notice, foreign]).await;
        let id = with_password(&it, NAME, Role::Provider, |_| {}).await;
        is_asked_for(&it, LOGIN, &credentials(), &[terms]).await;
        // Agreement to a former version, or to a document that is not asked for here, is not enough.
        for other in [former, foreign, Uuid::now_v7()] {
            let call = it.app.call("POST", LOGIN).token(None).json(&agreeing_to(&[other]));
            it.refused(call, 400, "validation-error").await;
        }
        is_asked_for(&it, LOGIN, &agreeing_to(&[notice]), &[terms]).await;
        // A sign-in that is not interactive needs no agreement; an interactive refresh does.
        let mut body = credentials();
        body["interactive"] = json!(false);
        let refresh = attempt(&it, &body).await.ok()["refresh-token"].clone();
        let again = json!({ "refresh-token": refresh, "interactive": true });
        is_asked_for(&it, REFRESH, &again, &[terms]).await;
        assert_eq!(attempt(&it, &agreeing_to(&[terms, notice])).await.status, 201);
        let info = sign_in(&it, NAME).await;
        assert!(refreshes(&it, &again).await);

        // A later version is asked for again, also in a session that is open.
        let [later] = publish(it.node(), [version("terms", 11)]).await;
        is_asked_for(&it, LOGIN, &credentials(), &[later]).await;
        is_asked_for(&it, REFRESH, &again, &[later]).await;
        let call = it.app.call("POST", LOGIN).token(None).json(&agreeing_to(&[terms]));
        it.refused(call, 400, "validation-error").await;
        assert_eq!(attempt(&it, &agreeing_to(&[later])).await.status, 201);
        assert!(refreshes(&it, &again).await);
        // One that is not binding any more is not.
        publish(it.node(), [Publication { binding: false, ..version("terms", 12) }]).await;
        sign_in(&it, NAME).await;

        // Only staff can withdraw consent, and only their own.
        let forget = format!("/v1/users/{id}/delete-service-document-agreements/");
        let token = info["access-token"].as_str().unwrap().to_owned();
        let own = it.app.call("POST", &forget).token(Some(&token)).json(&json!({}));
        it.refused(own, 403, "forbidden").await;
        it.post_refused(&it.admin, &forget, &json!({}), 403, "forbidden").await;
        let system = format!("/v1/users/{}/delete-service-document-agreements/", it.system.id);
        it.post(&it.system, &system, &json!({})).await;
    }

    async fn documents_of_an_organization_are_agreed_to_in_its_sessions(database) {
        let it = Identity::open(&database).await;
        let id = with_password(&it, NAME, Role::Provider, |_| {}).await;
        let (context, granter) = (RequestContext::system(), Granter::system());
        let other = OrganizationId(it.other);
        membership::join(it.node(), &context, &granter, UserId(id), other, None).await.unwrap();
        let [acme, other] =
            publish(it.node(), [within(it.acme, version("terms", 1)), within(it.other, version("terms", 1))]).await;
        // A session begins in Acme.
        is_asked_for(&it, LOGIN, &credentials(), &[acme]).await;
        let info = attempt(&it, &agreeing_to(&[acme])).await.ok();
        let switch = format!("/v1/users/{id}/switch-organization/");
        let body = json!({ "organization-id": it.other, "set-default": false });
        let call = it.app.call("POST", &switch).token(info["access-token"].as_str()).json(&body);
        let switched = call.send().await.ok();
        let mut refresh = json!({ "refresh-token": switched["refresh-token"] });
        assert!(refreshes(&it, &refresh).await);
        refresh["interactive"] = json!(true);
        is_asked_for(&it, REFRESH, &refresh, &[other]).await;
    }
}

/// Writes the documents of the setting; answers the file.
fn file(folder: &Path, documents: &Value) -> PathBuf {
    let path = folder.join("documents.json");
    std::fs::write(&path, documents.to_string()).unwrap();
    path
}

async fn listed(it: &Identity, query: &str) -> Vec<String> {
    ids(&it.app.call("GET", &format!("/v1/service-documents/?{query}")).token(None).send().await.ok())
}

on_both_stores! {
    async fn agreements_to_documents_of_the_file_still_count_once_these_are_published(database) {
        let it = Identity::open(&database).await;
        let id = with_password(&it, NAME, Role::Provider, |_| {}).await;
        let (terms, former, acme) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        let agree = UserCommand::Agree([terms].into());
        it.node().executor.execute::<User>(&RequestContext::system(), &id.to_string(), agree, None).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = file(
            folder.path(),
            &json!([
                { "id": terms, "name": "terms", "version": 2, "binding": true, "html": { "en_US": "<p>Kind.<svg>" } },
                { "id": former, "name": "terms", "version": 1, "binding": true },
                { "id": acme, "name": "terms", "version": 1, "organization-id": it.acme },
                { "id": Uuid::new_v4(), "name": "terms", "version": 1, "organization-id": Uuid::new_v4() },
            ]),
        );
        import(it.node(), &path).await.unwrap();
        sign_in(&it, NAME).await;
        let all = listed(&it, &format!("latest=true&organizations={}", it.acme)).await;
        assert_eq!(all.len(), 2);
        assert!(all.contains(&terms.to_string()) && all.contains(&acme.to_string()), "{all:?}");
        let page = it.app.call("GET", &format!("/v1/service-documents/{terms}/?html=true")).token(None).send().await;
        assert!(page.text.contains("<p>Kind.</p>"), "{}", page.text);

        // From now on the file is not read, whatever is in it.
        let head = it.head().await;
        let later = json!([{ "id": Uuid::new_v4(), "name": "terms", "version": 3, "binding": true }]);
        import(it.node(), &file(folder.path(), &later)).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        import(it.node(), &path).await.unwrap();
        assert_eq!(it.head().await, head, "something was stored");
        sign_in(&it, NAME).await;
    }

    async fn a_file_that_is_at_fault_is_refused_as_a_whole(database) {
        let it = Identity::open(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let document = |name: &str| json!({ "id": Uuid::new_v4(), "name": name, "version": 1 });
        let head = it.head().await;
        let missing = import(it.node(), &folder.path().join("missing.json")).await;
        assert!(matches!(missing, Err(ImportError::File { .. })), "{missing:?}");
        for (documents, is_read) in [
            (json!({}), false),
            (json!([document("terms"), { "name": "terms", "version": 2 }]), false),
            (json!([{ "id": Uuid::new_v4(), "name": "terms", "version": -1 }]), false),
            (json!([{ "id": Uuid::new_v4(), "name": "terms", "version": 1, "html": { "de_AT": "<p>" } }]), false),
            (json!([document("terms"), document("terms")]), true),
            (json!([document("terms"), document(" ")]), true),
        ] {
            let done = import(it.node(), &file(folder.path(), &documents)).await;
            let (unread, refused) = (matches!(done, Err(ImportError::File { .. })), done.is_err());
            assert!(refused && unread != is_read, "{documents}: {done:?}");
        }
        assert_eq!(it.head().await, head, "something was stored");
        // An empty file publishes nothing, and the next start reads it again.
        import(it.node(), &file(folder.path(), &json!([]))).await.unwrap();
        assert_eq!(it.head().await, head, "something was stored");
        import(it.node(), &file(folder.path(), &json!([document("terms")]))).await.unwrap();
        assert_eq!(listed(&it, "latest=true").await.len(), 1);
    }

    async fn documents_of_the_file_are_published_once_former_read_models_are_rebuilt(database) {
        let node = database.open().await;
        organize(&node, "Acme", Authorization::Open).await;
        drop(node);
        database.sql().await.run("UPDATE generations SET signature = 'admins:0'").await.unwrap();
        let node = database.open().await;
        assert!(node.needs_rebuild());
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), &json!([{ "id": Uuid::new_v4(), "name": "terms", "version": 1 }]));
        let importing = tokio::spawn(import_once_rebuilt(Arc::clone(&node), path));
        tokio::spawn(followers::keep_documents(Arc::clone(&node)));
        tokio::time::timeout(Duration::from_secs(60), importing).await.unwrap().unwrap();
        let published = node.documents.find::<CurrentDocuments>(&owner_key(None)).await.unwrap().value.unwrap();
        assert_eq!(published.versions.keys().collect::<Vec<_>>(), ["terms"]);
    }

    async fn one_of_two_nodes_that_read_the_file_at_once_publishes_it(database) {
        let it = Identity::open(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let document = |number: u128| {
            json!({ "id": Uuid::from_u128(number), "name": format!("terms {number}"), "version": 1 })
        };
        let path = file(folder.path(), &json!([document(1), document(2)]));
        let before = it.head().await;
        let (one, other) = tokio::join!(import(it.node(), &path), import(it.node(), &path));
        one.unwrap();
        other.unwrap();
        assert_eq!(it.head().await, before + 2);
    }
}
