//! Documents that people agree to: published on the command line beside a server, and from the file of the setting.

use crate::on_both_stores;
use crate::process::{Server, fail, fail_after_start, registrar, run};
use crate::support::Database;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use uuid::Uuid;

const PASSWORD: &str = "correct horse battery staple";

/// Writes a file in the data folder.
fn file(database: &Database, name: &str, content: &[u8]) -> PathBuf {
    let path = database.settings.data.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Writes a text; answers the argument that names it.
fn text(database: &Database, locale: &str, content: &[u8]) -> String {
    format!("{locale}={}", file(database, &format!("{locale}.html"), content).display())
}

/// `registrar document publish` for a version of the terms.
fn publish<'a>(version: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["document", "publish", "--name", "terms", "--version", version], more].concat()
}

async fn get(server: &Server, path: &str) -> reqwest::Response {
    reqwest::get(format!("{}/v1/service-documents/{path}", server.url)).await.unwrap()
}

/// The latest documents for all people.
async fn latest(server: &Server, more: &str) -> Vec<Value> {
    let list: Value = get(server, &format!("?latest=true{more}")).await.json().await.unwrap();
    list["data"].as_array().unwrap_or_else(|| panic!("no list: {list}")).clone()
}

async fn sign_in(server: &Server, body: Value) -> reqwest::Response {
    reqwest::Client::new().post(format!("{}/v1/login/", server.url)).json(&body).send().await.unwrap()
}

on_both_stores! {
    async fn a_version_is_published_beside_a_server_and_asked_for_at_the_next_sign_in(database) {
        let server = Server::start(&database.settings);
        let create = ["user", "create", "--email", "ada@example.com", "--role", "system.support", "--password"];
        run(&database.settings, &[&create[..], &[PASSWORD]].concat());
        let mut body = json!({ "username": "ada@example.com", "password": PASSWORD });
        assert_eq!(sign_in(&server, body.clone()).await.status(), StatusCode::CREATED);

        let english = b"<title>Terms</title><p onload=alert(1)>Be kind.<script>alert(1)</script>";
        let english = text(&database, "en_US", english);
        let spanish = text(&database, "es_US", "<h1>Condiciones</h1><p>Sé amable.".as_bytes());
        let both = ["--binding", "--html", &spanish, "--html", &english];
        let printed = |version: &str| -> Value {
            serde_json::from_str(&run(&database.settings, &publish(version, &both))).unwrap()
        };
        let [nine, ten] = ["9", "10"].map(printed);
        let shown = json!({ "id": ten["id"], "name": "terms", "version": 10, "binding": true, "organizationId": null });
        assert_eq!(ten, shown);

        let listed = latest(&server, "").await;
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!((&listed[0]["id"], &listed[0]["attributes"]["version"]), (&ten["id"], &json!("10")));
        assert_eq!(listed[0]["attributes"]["title"], "Terms");
        // The link leads to the text.
        let link = listed[0]["attributes"]["translations"][1]["html-link"].as_str().unwrap();
        let page = reqwest::get(link).await.unwrap().text().await.unwrap();
        assert!(page.contains("<h1>Condiciones</h1><p>Sé amable.</p>"), "{page}");
        let page = get(&server, &format!("{}/?html=true", ten["id"].as_str().unwrap())).await.text().await.unwrap();
        assert!(page.contains("<p>Be kind.</p>") && !page.contains("alert"), "{page}");

        let refused = sign_in(&server, body.clone()).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["errors"][0]["meta"]["service-document-ids"], json!([ten["id"]]));
        body["service-document-agreements"] = json!([nine["id"]]);
        assert_eq!(sign_in(&server, body.clone()).await.status(), StatusCode::BAD_REQUEST);
        body["service-document-agreements"] = json!([ten["id"]]);
        assert_eq!(sign_in(&server, body).await.status(), StatusCode::CREATED);
    }

    async fn a_publication_that_cannot_be_is_refused_in_plain_words_and_stores_nothing(database) {
        let settings = &database.settings;
        let html = text(&database, "en_US", b"<p>Be kind.");
        let organization = Uuid::now_v7().to_string();
        run(settings, &publish("3", &["--html", &html]));
        let head = run(settings, &["journal", "verify"]);
        let large = "x".repeat(256 * 1024 + 1);
        let marks = "\"".repeat(130_000);
        let named = |locale: &str, name: &str, content: &[u8]| {
            format!("{locale}={}", file(&database, name, content).display())
        };
        let missing = format!("en_US={}", settings.data.join("missing.html").display());
        for (version, more, told) in [
            ("3", vec!["--html", &html], "the document was not published: this version is published already"),
            ("03", vec!["--binding", "--html", &html], "this version is published already"),
            (
                "4",
                vec!["--organization", &organization, "--html", &html],
                "the document was not published: organization not found",
            ),
            ("4", vec!["--html", &missing], "missing.html cannot be used: No such file"),
            ("4", vec!["--html", &named("en_US", "large.html", large.as_bytes())], "it is larger than 256 KiB"),
            ("4", vec!["--html", &named("en_US", "latin.html", b"<p>S\xe9 amable.")], "it is not UTF-8"),
            (
                "4",
                vec!["--html", &named("en_US", "script.html", b"<script>alert(1)</script>")],
                "translations[0].html should not be empty",
            ),
            (
                "4",
                vec!["--html", &named("en_US", "marks.html", marks.as_bytes())],
                "translations must not be larger than 256000 bytes as JSON",
            ),
            (
                "4",
                vec!["--html", &html, "--html", &html],
                "translations[1].locale must not be the same as another one",
            ),
        ] {
            let error = fail(registrar(settings, &publish(version, &more)));
            assert!(error.starts_with("registrar: ") && error.contains(told), "{error}");
        }
        for unclear in [
            publish("4", &[]),
            publish("four", &["--html", &html]),
            publish("4294967296", &["--html", &html]),
            publish("4", &["--html", "terms.html"]),
            publish("4", &["--html", "de_AT=terms.html"]),
            publish("4", &["--html", &html, "--organization", "acme"]),
        ] {
            assert!(!registrar(settings, &unclear).output().unwrap().status.success(), "{unclear:?}");
        }
        let blank = ["document", "publish", "--name", " ", "--version", "1", "--html", &html];
        let error = fail(registrar(settings, &blank));
        assert_eq!(error, "registrar: the document was not published: name should not be empty\n");
        assert_eq!(run(settings, &["journal", "verify"]), head, "something was stored");
    }

    async fn documents_of_the_file_are_published_at_the_first_start_and_ignored_at_later_ones(database) {
        let (terms, notice) = (Uuid::new_v4(), Uuid::new_v4());
        let listed = json!([
            { "id": terms, "name": "terms", "version": 2, "binding": true, "html": { "es_US": "<p>Sé amable." } },
            { "id": notice, "name": "notice", "version": 1 },
        ]);
        let path = file(&database, "documents.json", b"no JSON");
        let serve = || -> Command {
            let mut command = registrar(&database.settings, &["serve"]);
            command.env("REGISTRAR_SERVICE_DOCUMENTS", &path);
            command
        };
        let mut unusable = serve();
        let told = fail_after_start({
            unusable.env("REGISTRAR_LISTEN", "127.0.0.1:0");
            unusable
        });
        assert!(told.contains("registrar: REGISTRAR_SERVICE_DOCUMENTS") && told.contains("documents.json"), "{told}");

        file(&database, "documents.json", listed.to_string().as_bytes());
        let server = Server::spawn(serve());
        let ids = |documents: Vec<Value>| documents.iter().map(|document| document["id"].clone()).collect::<Vec<_>>();
        let published = ids(latest(&server, "").await);
        assert_eq!(published.len(), 2);
        assert!(published.contains(&json!(terms)) && published.contains(&json!(notice)), "{published:?}");
        let (status, log) = server.stop();
        assert!(status.success());
        assert!(log.iter().any(|line| line.contains("are published; later it is ignored")), "{log:?}");

        // Neither another file nor a broken or missing one has an effect.
        let later = json!([{ "id": Uuid::new_v4(), "name": "terms", "version": 3, "binding": true }]);
        for content in [Some(later.to_string()), Some("no JSON".to_owned()), None] {
            match content {
                Some(content) => drop(file(&database, "documents.json", content.as_bytes())),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let server = Server::spawn(serve());
            assert_eq!(ids(latest(&server, "").await), published);
            let (_, log) = server.stop();
            assert!(log.iter().any(|line| line.contains("REGISTRAR_SERVICE_DOCUMENTS is ignored")), "{log:?}");
        }

        // The documents of the journal go on from there.
        let html = text(&database, "en_US", b"<p>Be kind.");
        run(&database.settings, &publish("3", &["--html", &html]));
        let server = Server::start(&database.settings);
        let latest = latest(&server, "").await;
        let versions: Vec<_> = latest.iter().map(|document| document["attributes"]["version"].clone()).collect();
        assert!(versions.contains(&json!("3")) && !versions.contains(&json!("2")), "{versions:?}");
    }
}
