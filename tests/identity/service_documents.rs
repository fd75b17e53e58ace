//! Documents that people agree to: their publication, and how they are listed and read. `agreements` has what sign-in
//! asks for.

use crate::app::{Identity, ids};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{List, NOT_CHANGED, Resource};
use crate::ecg_app::{Answer, ISSUER};
use crate::matrix::world::{Request, World};
use crate::suite::Suite;
use crate::{on_both_stores, shapes};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use futures::future::join_all;
use registrar::executor::RequestContext;
use registrar::node::Node;
use registrar::processes::service_documents::{self, translation};
use registrar::processes::{DirectoryError, ProcessResult, Refusal};
use registrar_aggregates::organization::{Organization, OrganizationCommand, OrganizationError, Stamp};
use registrar_aggregates::service_document::{Publication, ServiceDocumentError};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{OrganizationId, ServiceDocumentId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const DOCUMENTS: &str = "/v1/service-documents/";
const ON_THE_COMMAND_LINE: &str = "published on the command line";
const PUBLIC: &str = "documents are public";

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-service-documents", documents_for_all_people_and_of_named_organizations_are_listed::TEST),
        ("get-service-document", a_document_is_read_as_a_record_and_as_a_page::TEST),
    ],
    table: "
        list-service-documents  200 anonymous keys others
        get-service-document    200 anonymous keys others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: "service-documents",
    caller: "system",
    create: Lacks(ON_THE_COMMAND_LINE),
    read: Has("get-service-document"),
    update: Lacks(NOT_CHANGED),
    list: Has(List {
        operation: "list-service-documents",
        rows: |world| {
            Box::pin(async move {
                for _ in 0..2 {
                    notice(world).await;
                }
                "latest=true".to_owned()
            })
        },
        paged: Lacks("the contract has no pages"),
        scope: Lacks(PUBLIC),
    }),
    hidden: Lacks(PUBLIC),
    conflict: Lacks(ON_THE_COMMAND_LINE),
};

/// Publishes a new document that keeps no caller from signing in.
async fn notice(world: &World) -> Uuid {
    let notice = Publication { binding: false, ..version(&world.name("notice"), 1) };
    let [id] = publish(world.identity.node(), [notice]).await;
    id
}

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    match operation {
        "list-service-documents" => Some(Request::to(format!("{DOCUMENTS}?latest=true"))),
        "get-service-document" => Some(Request::to(format!("{DOCUMENTS}{}/", notice(world).await))),
        _ => None,
    }
}

/// A binding version for all people.
pub fn version(name: &str, version: u32) -> Publication {
    let page = format!("<h1>{name} {version}</h1><p>Be kind.</p>");
    Publication {
        id: ServiceDocumentId(Uuid::now_v7()),
        organization_id: None,
        name: name.into(),
        version,
        binding: true,
        translations: vec![translation(Locale::EnUs, name, &page)],
    }
}

/// The version for the people of an organization.
pub fn within(organization: Uuid, publication: Publication) -> Publication {
    Publication { organization_id: Some(OrganizationId(organization)), ..publication }
}

/// Publishes versions one after the other, which must succeed; answers their identifiers.
pub async fn publish<const N: usize>(node: &Node, publications: [Publication; N]) -> [Uuid; N] {
    let ids = publications.each_ref().map(|publication| publication.id.0);
    for publication in publications {
        publishing(node, publication).await.unwrap();
    }
    ids
}

async fn publishing(node: &Node, publication: Publication) -> ProcessResult {
    let context = RequestContext::system().belonging_to(publication.organization_id);
    service_documents::publish(node, &context, &[publication]).await
}

async fn read(it: &Identity, path: &str) -> Answer {
    it.app.call("GET", path).token(None).send().await
}

/// Identifiers of the listed documents, in order.
async fn listed(it: &Identity, query: &str) -> Vec<String> {
    let answer = read(it, &format!("{DOCUMENTS}?{query}")).await;
    shapes::check("GET", DOCUMENTS, &answer);
    ids(&answer.ok())
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

on_both_stores! {
    async fn documents_for_all_people_and_of_named_organizations_are_listed(database) {
        let it = Identity::open(&database).await;
        assert!(listed(&it, "latest=true").await.is_empty());
        let [nine, ten, privacy, acme, other] = publish(
            it.node(),
            [
                version("terms", 9),
                version("terms", 10),
                version("privacy", 1),
                within(it.acme, version("terms", 1)),
                within(it.other, version("terms", 1)),
            ],
        )
        .await;
        // Numbers are compared, not texts.
        assert_eq!(listed(&it, "latest=true").await, texts(&[ten, privacy]));
        assert_eq!(listed(&it, "latest=false").await, texts(&[nine, ten, privacy]));
        let both = format!("organizations={}&organizations={}", it.acme, it.other);
        assert_eq!(listed(&it, &format!("latest=true&{both}")).await, texts(&[ten, privacy, acme, other]));
        assert_eq!(listed(&it, &format!("latest=false&{both}")).await, texts(&[nine, ten, privacy, acme, other]));
        let twice = format!("organizations={0}&organizations={0}&organizations={1}", it.acme, Uuid::now_v7());
        assert_eq!(listed(&it, &format!("latest=true&{twice}")).await, texts(&[ten, privacy, acme]));
        // Unknown codes add nothing.
        let codes = "latest=true&organization-code=ACME&referral-code=abcdefghijklmnopqrst";
        assert_eq!(listed(&it, codes).await, texts(&[ten, privacy]));
        // An older version that is published later is no latest one.
        publish(it.node(), [version("terms", 8)]).await;
        assert_eq!(listed(&it, "latest=true").await, texts(&[ten, privacy]));
    }

    async fn documents_of_the_organization_of_a_sign_up_code_are_listed(database) {
        let it = Identity::open(&database).await;
        let [terms, acme] = publish(it.node(), [version("terms", 1), within(it.acme, version("rules", 1))]).await;
        it.sign_up_code("Spring", json!({})).await;
        it.sign_up_code("Expired", json!({ "expires-at": "2000-01-01 00:00:00" })).await;
        for latest in [true, false] {
            let listed = async |query: &str| listed(&it, &format!("latest={latest}&{query}")).await;
            assert_eq!(listed("organization-code=SPRING").await, texts(&[terms, acme]));
            let twice = format!("organization-code=spring&organizations={}", it.acme);
            assert_eq!(listed(&twice).await, texts(&[terms, acme]));
            assert_eq!(listed("organization-code=expired").await, texts(&[terms]));
        }
    }

    async fn a_list_without_latest_or_of_more_than_ten_organizations_is_refused(database) {
        let it = Identity::open(&database).await;
        let many = |count| {
            let named: String = (0..count).map(|_| format!("&organizations={}", Uuid::now_v7())).collect();
            format!("latest=true{named}")
        };
        assert!(listed(&it, &many(10)).await.is_empty());
        for (query, parameter) in [
            (String::new(), "latest"),
            ("latest=yes".to_owned(), "latest"),
            (many(11), "organizations"),
            ("latest=true&organizations=acme".to_owned(), "organizations"),
            (format!("latest=true&organization-code={}", "x".repeat(21)), "organization-code"),
            (format!("latest=true&referral-code={}", "x".repeat(21)), "referral-code"),
            ("latest=true&page[limit]=1".to_owned(), "page[limit]"),
        ] {
            let call = it.app.call("GET", &format!("{DOCUMENTS}?{query}")).token(None);
            let error = it.refused(call, 400, "validation-error").await;
            assert_eq!(error["source"]["parameter"], parameter, "{query}");
        }
    }

    async fn a_document_is_read_as_a_record_and_as_a_page(database) {
        let it = Identity::open(&database).await;
        let english = "<title>Terms &amp; more</title><h1>Be kind</h1><script>alert(1)</script>";
        let spanish = "<h1>Condiciones</h1><p onclick=\"alert(1)\">Sé amable.</p>";
        let translations =
            vec![translation(Locale::EsUs, "terms", spanish), translation(Locale::EnUs, "terms", english)];
        let [id] = publish(it.node(), [within(it.acme, Publication { translations, ..version("terms", 3) })]).await;
        let path = format!("{DOCUMENTS}{id}/");
        let answer = read(&it, &path).await;
        shapes::check("GET", &path, &answer);
        assert!(answer.header("etag").starts_with('"'));
        let record = answer.ok();
        let (page, attributes) = (format!("{ISSUER}{path}?html=true"), &record["data"]["attributes"]);
        let translated = |locale: &str, title: &str| {
            json!({ "html-link": format!("{page}&locale={locale}"), "locale": locale, "title": title })
        };
        assert_eq!(attributes["created-time"].as_str().unwrap().len(), 19);
        let shown = json!({
            "created-time": attributes["created-time"],
            "html-link": page,
            "organization": { "id": it.acme },
            "title": "Terms & more",
            "translations": [translated("en_US", "Terms & more"), translated("es_US", "Condiciones")],
            "type": "terms",
            "version": "3",
        });
        assert_eq!(*attributes, shown);
        assert_eq!(read(&it, &format!("{path}?html=false&locale=es_US&reflow=true")).await.ok(), record);

        for (query, language) in
            [("", "en-US"), ("&locale=en_US", "en-US"), ("&locale=es_US", "es-US"), ("&locale=de_AT", "en-US")]
        {
            let answer = read(&it, &format!("{path}?html=true{query}")).await;
            assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/html; charset=utf-8"));
            assert!(answer.text.contains(&format!("<html lang=\"{language}\">")), "{query}: {}", answer.text);
            let text = if language == "en-US" { "<h1>Be kind</h1>" } else { "<p>Sé amable.</p>" };
            assert!(answer.text.contains(text) && !answer.text.contains("alert"), "{query}: {}", answer.text);
        }
        let answer = read(&it, &format!("{path}?html=true")).await;
        assert!(answer.text.contains("<title>Terms &amp; more</title>") && !answer.text.contains("<style>"));
    }

    async fn a_page_may_load_and_run_nothing_and_has_no_style_but_its_own(database) {
        let it = Identity::open(&database).await;
        let [id] = publish(it.node(), [version("terms", 1)]).await;
        let page = read(&it, &format!("{DOCUMENTS}{id}/?html=true&reflow=true")).await;
        let policy: Vec<_> = page.header("content-security-policy").split("; ").collect();
        assert!(policy.contains(&"default-src 'none'") && !policy.iter().any(|part| part.starts_with("script-src")));
        assert!(["base-uri 'none'", "form-action 'none'"].iter().all(|part| policy.contains(part)), "{policy:?}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert!(page.text.contains("<meta name=\"viewport\""));
        let (_, rest) = page.text.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let digest = BASE64_STANDARD.encode(&Sha256::digest(style)[..]);
        assert!(policy.contains(&format!("style-src 'sha256-{digest}'").as_str()), "{policy:?}");
    }

    async fn an_unknown_document_and_the_text_of_a_document_without_one_are_not_found(database) {
        let it = Identity::open(&database).await;
        let [bare] = publish(it.node(), [Publication { translations: vec![], ..version("terms", 1) }]).await;
        let record = read(&it, &format!("{DOCUMENTS}{bare}/")).await.ok();
        assert_eq!(record["data"]["attributes"]["title"], "terms");
        assert_eq!(record["data"]["attributes"]["organization"], Value::Null);
        let unknown = Uuid::now_v7();
        for path in [format!("{unknown}/"), format!("{unknown}/?html=true"), format!("{bare}/?html=true")] {
            let call = it.app.call("GET", &format!("{DOCUMENTS}{path}")).token(None);
            it.refused(call, 404, "not-found").await;
        }
        let call = it.app.call("GET", &format!("{DOCUMENTS}{bare}/?locale={}", "x".repeat(17))).token(None);
        it.refused(call, 400, "validation-error").await;
    }

    async fn documents_of_a_retired_or_deleted_organization_are_unknown_and_get_no_versions(database) {
        let it = Identity::open(&database).await;
        let [acme, other] = [it.acme, it.other].map(|organization| within(organization, version("terms", 1)));
        let documents = publish(it.node(), [acme, other]).await;
        let query = format!("latest=true&organizations={}&organizations={}", it.acme, it.other);
        assert_eq!(listed(&it, &query).await, texts(&documents));
        let stamp = || Stamp::at(Utc::now());
        for (organization, command, error) in [
            (it.acme, OrganizationCommand::Retire { grounds: None, stamp: stamp() }, OrganizationError::Retired),
            (it.other, OrganizationCommand::Delete(stamp()), OrganizationError::NotFound),
        ] {
            let (context, id) = (RequestContext::system(), organization.to_string());
            it.node().executor.execute::<Organization>(&context, &id, command, None).await.unwrap();
            let head = it.head().await;
            let done = publishing(it.node(), within(organization, version("terms", 2))).await;
            let refusal = Refusal::Organization(error);
            assert!(matches!(&done, Err(DirectoryError::Refused(refused)) if *refused == refusal), "{done:?}");
            assert_eq!(it.head().await, head);
        }
        assert!(listed(&it, &query).await.is_empty());
        for document in documents {
            let call = it.app.call("GET", &format!("{DOCUMENTS}{document}/")).token(None);
            it.refused(call, 404, "not-found").await;
        }
    }

    async fn a_version_is_published_once_whatever_its_text(database) {
        let it = Identity::open(&database).await;
        let is_refused = |done: &ProcessResult| {
            let refusal = Refusal::ServiceDocument(ServiceDocumentError::AlreadyPublished);
            matches!(done, Err(DirectoryError::Refused(refused)) if *refused == refusal)
        };
        // Of several at once one is published.
        let at_once = join_all((0..4).map(|_| publishing(it.node(), version("terms", 3)))).await;
        assert_eq!(at_once.iter().filter(|done| done.is_ok()).count(), 1, "{at_once:?}");
        assert!(at_once.iter().all(|done| done.is_ok() || is_refused(done)), "{at_once:?}");
        let [notice] = publish(it.node(), [version("notice", 1)]).await;
        let head = it.head().await;
        for again in [
            version("terms", 3),
            Publication { name: " terms ".into(), binding: false, translations: vec![], ..version("", 3) },
            Publication { id: ServiceDocumentId(notice), ..version("notice", 2) },
        ] {
            let done = publishing(it.node(), again).await;
            assert!(is_refused(&done), "{done:?}");
        }
        assert_eq!(it.head().await, head, "something was stored");
        publish(it.node(), [version("Terms", 3), within(it.acme, version("terms", 3))]).await;
    }

    async fn a_text_that_is_too_large_is_refused_and_the_largest_is_stored(database) {
        let it = Identity::open(&database).await;
        // A quotation mark takes two bytes as JSON.
        let sized = |marks: usize| {
            let translations = vec![translation(Locale::EnUs, "terms", &format!("<p>{}</p>", "\"".repeat(marks)))];
            Publication { translations, ..version("terms", 1) }
        };
        let head = it.head().await;
        let done = publishing(it.node(), sized(130_000)).await;
        assert!(matches!(&done, Err(DirectoryError::Refused(Refusal::ServiceDocument(_)))), "{done:?}");
        assert_eq!(it.head().await, head, "something was stored");
        let [id] = publish(it.node(), [sized(127_900)]).await;
        let page = read(&it, &format!("{DOCUMENTS}{id}/?html=true")).await;
        assert!(page.text.contains(&"\"".repeat(127_900)));
    }
}
