//! Refusals of the identity dialect that the schemas of the contract allow.

use super::{Dialect, Request, Rule, RunningServer};
use crate::process::{Server, registrar, run};
use crate::support::Database;
use registrar::api::identity::routes::ROUTES;
use registrar_aggregates::user::Role;
use registrar_aggregates::values::OrganizationId;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use uuid::Uuid;

pub(super) const IDENTITY: Dialect = Dialect {
    contract: include_str!("../../contracts/identity.openapi.json"),
    file: "identity.openapi.json",
    document: "identity",
    rules: RULES,
    messages,
    // The body names a user, who may be unknown where the organization is not.
    excused: &[("ensure_resource_availability", "`POST /v1/organizations/{id}/remove-user/`")],
    scarce: SCARCE,
    serve,
};

const SCARCE: &[(&str, usize, usize)] = &[
    // Only current codes enable a device; the stock clients compute them.
    ("POST /v1/mfa-totp/{id}/enable/", 10, 0),
    // Few generated bodies have the one number that waits for confirmation.
    ("POST /v1/users/{id}/confirm-phone/", 10, 1),
    // A removed user cannot be removed again.
    ("POST /v1/organizations/{id}/remove-user/", 10, 1),
    // Codes are sent, and no generated one is right.
    ("POST /v1/confirm-forgot-password/", 10, 0),
    ("POST /v1/confirm-sign-up/", 10, 0),
    // A path with only an identifier yields few cases.
    ("DELETE /v1/mfa-totp/{id}/", 5, 1),
];

const PASSWORD: &str = "correct horse battery staple";
/// The token of the workload, and its SHA-512.
const TOKEN: &str = "a workload's token";

/// A server with one resource of each kind, for a system admin who belongs to an organization.
fn serve(database: &Database) -> RunningServer {
    person(database, "root", None, "system.admin");
    let service = person(database, "service", None, "system.service");
    let digest: String = Sha512::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    let workloads = database.settings.data.join("workloads.json");
    let workload = json!([{ "namespace": "clinic", "name": "records", "token-sha512": digest, "user": service }]);
    crate::support::write_private(&workloads, &workload.to_string());
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_WORKLOADS", workloads).env("REGISTRAR_LINK_HOSTS", "links.example.org");
    // The requests name networks of their own.
    command.env("REGISTRAR_TRUSTED_PROXIES", "127.0.0.1");
    let server = Server::spawn(command);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (token, mut known) = runtime.block_on(populate(database, &server.url));
    known["workload"] = json!({ "namespace": "clinic", "sa-name": "records", "sa-token-sha512": digest });
    known["workload-token"] = json!(TOKEN);
    known["password"] = json!(PASSWORD);
    let offered = ROUTES.iter().map(|route| route.operation).collect::<Vec<_>>().join(" ");
    let variables = vec![
        ("REGISTRAR_URL", server.url.clone()),
        ("REGISTRAR_TOKEN", token.clone()),
        ("REGISTRAR_TEST_OFFERED", offered),
        ("REGISTRAR_TEST_KNOWN", known.to_string()),
    ];
    RunningServer { server, authorization: format!("Bearer {token}"), variables }
}

/// Creates `name@example.com`; answers the identifier.
fn person(database: &Database, name: &str, organization: Option<&str>, role: &str) -> Value {
    let email = format!("{name}@example.com");
    let mut arguments = vec!["user", "create", "--email", &email, "--password", PASSWORD, "--role", role];
    arguments.extend(organization.into_iter().flat_map(|organization| ["--organization", organization]));
    serde_json::from_str::<Value>(&run(&database.settings, &arguments)).unwrap()["id"].clone()
}

/// Publishes a document that is not binding; answers its identifier.
fn notice(database: &Database) -> Value {
    let file = database.settings.data.join("notice.html");
    std::fs::write(&file, "<h1>Notice</h1><p>Be kind.</p>").unwrap();
    let html = format!("en_US={}", file.display());
    let arguments = ["document", "publish", "--name", "notice", "--version", "1", "--html", &html];
    serde_json::from_str::<Value>(&run(&database.settings, &arguments)).unwrap()["id"].clone()
}

/// A client of the server.
struct Client<'s> {
    url: &'s str,
    token: String,
}

impl<'s> Client<'s> {
    async fn signed_in(url: &'s str, email: &str) -> (Self, Value) {
        let nobody = Client { url, token: "none".into() };
        let session = nobody.send("POST", "login/", &json!({ "username": email, "password": PASSWORD })).await;
        (Client { url, token: session["access-token"].as_str().unwrap().into() }, session)
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method.parse().unwrap(), format!("{}/v1/{path}", self.url));
        let answer = request.bearer_auth(&self.token).json(body).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// Creates a resource; answers its identifier.
    async fn create(&self, kind: &str, attributes: Value) -> Value {
        let body = json!({ "data": { "type": kind, "attributes": attributes } });
        self.send("POST", &format!("{kind}/"), &body).await["data"]["id"].clone()
    }

    async fn feature(&self, id: &str) -> Value {
        let feature = json!({ "id": id, "stage": "alpha", "global-enabled": false, "assignable": true });
        self.create("features", feature).await
    }
}

/// Fills the directory; answers the caller's token and known values. An identifier is found by the path of its
/// resource, so that the hooks need no list of their own. A resource without one here has the identifier of the first
/// that the run creates.
async fn populate(database: &Database, url: &str) -> (String, Value) {
    let (root, _) = Client::signed_in(url, "root@example.com").await;
    let organization = root.create("organizations", json!({ "name": "Acme" })).await;
    let of = organization.as_str().unwrap();
    let member = |name: &str, role: &str| person(database, name, Some(of), role);
    let caller = member("caller", "system.admin");
    member("admin", "org.admin");
    let (provider, participant) = (member("provider", "org.provider"), member("participant", "org.member"));
    // Users of their own for operations that would disturb the others.
    let (leaver, phoned) = (member("leaver", "org.provider"), member("phoned", "org.provider"));
    let phone = json!({ "data": { "type": "users", "id": phoned, "attributes": { "phone": "+12025550123" } } });
    root.send("PATCH", &format!("users/{}/", phoned.as_str().unwrap()), &phone).await;

    let (client, session) = Client::signed_in(url, "caller@example.com").await;
    let group = |name: &str, kind: &str| {
        let attributes = json!({ "name": name, "organization-id": of, "type": "regular", "node-type": kind });
        client.create("individual-groups", attributes)
    };
    let feature = client.feature("known").await;
    let mut spare = vec![];
    for number in 0..40 {
        spare.push(client.feature(&format!("spare-{number}")).await);
    }
    let setting = |whose: &str, id: &Value| json!({ "feature-name": "known", whose: id, "state": "enabled" });
    let message = json!({ "name": "contact", "locale": "en_US", "message": "Call us.", "organization-id": of });
    let document = notice(database);
    let owned = json!({ "individual-id": Uuid::now_v7(), "owner-id": participant });
    let target = json!({ "netloc": "links.example.org", "full-path": "/a", "organization-id": organization });
    let text_message =
        json!({ "organization-id": of, "type": "onboarding", "locale": "en_US", "template": "{{ link }}" });
    let sign_up_code = client.create("organization-codes", json!({ "id": "Known", "organization-id": of })).await;
    let patient = async |more: Value| {
        let owned = json!({ "individual-id": Uuid::now_v7(), "owner-id": of });
        let mut attributes = json!({ "organization": of, "patient": root.create("individuals", owned).await });
        attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = json!({ "data": { "type": "onboarding-requests", "attributes": attributes } });
        client.send("POST", "onboarding-requests/", &body).await["data"].take()
    };
    // The first is changed, so that the codes of the others stay valid.
    let onboarded = patient(json!({ "patient-email": "ada@unknown.example" })).await;
    let texted = patient(json!({ "phone-number": "+12025550199", "email-user-now": true })).await;
    patient(json!({ "patient-email": "eve@unknown.example", "email-user-now": true })).await;
    let message_to_eve = run(&database.settings, &["inbox", "--to", "eve@unknown.example"]);
    let link = serde_json::from_str::<Value>(&message_to_eve).unwrap()["link"].take();
    let (_, onboarding_code) = link.as_str().unwrap().split_once("referral-code=").unwrap();
    let mut email = text_message.clone();
    (email["format"], email["subject"]) = (json!("txt"), json!("Welcome"));
    let known = json!({
        "caller": caller,
        "leaver": leaver,
        "phoned": phoned,
        "other-group": group("Other ward", "group").await,
        "division": group("North", "division").await,
        "spare-features": spare,
        "refresh-token": session["refresh-token"],
        "authz-user-status": provider,
        "users": provider,
        "organizations": organization,
        "individuals": client.create("individuals", owned).await,
        "roles": Role::Member.id(OrganizationId(of.parse().unwrap())),
        "individual-groups": group("Ward", "group").await,
        "features": feature,
        "onboarding-code": { "code": onboarding_code, "email": "eve@unknown.example" },
        "onboarding-requests": onboarded["id"],
        "onboarding-texts": texted["attributes"]["last-invite"]["sms"]["id"],
        "organization-code-info": sign_up_code,
        "organization-codes": sign_up_code,
        "organization-themes": client.create("organization-themes", json!({ "domain": "known.example.com" })).await,
        "service-documents": document,
        "organization-features":
            client.create("organization-features", setting("organization-id", &organization)).await,
        "organization-general-messages": client.create("organization-general-messages", message).await,
        "user-features": client.create("user-features", setting("user-id", &participant)).await,
        "url-shorteners": client.create("url-shorteners", target).await,
        "organization-email-templates": client.create("organization-email-templates", email).await,
        "organization-sms-templates": client.create("organization-sms-templates", text_message).await,
        "sessions": session["session-id"],
    });
    (client.token, known)
}

fn messages(answer: &Value) -> Option<Vec<String>> {
    answer["errors"].as_array()?.iter().map(|error| error["detail"].as_str().map(str::to_owned)).collect()
}

fn writes(request: &Request) -> bool {
    request.operation.starts_with("POST ") || request.operation.starts_with("PATCH ")
}

/// A rule that any body can break.
const fn rule(name: &'static str, end: &'static str) -> Rule {
    Rule { name, message: ("", end), deserved: writes }
}

/// The rule that a resource named in the body must exist and be visible to the caller.
const fn named(end: &'static str) -> Rule {
    rule("what is named is there", end)
}

/// Operations that take a code which is sent to people.
const CODES: [&str; 2] = ["POST /v1/confirm-forgot-password/", "POST /v1/confirm-sign-up/"];

/// Commands with an empty body.
const EMPTY: [&str; 4] = ["/mfa-totp/", "/disable/", "/enable/", "/delete-service-document-agreements/"];

const RULES: &[Rule] = &[
    Rule {
        name: "U+0000 is not stored",
        message: ("", " must not contain the character U+0000"),
        deserved: |request| request.body.contains(r"\u0000"),
    },
    Rule {
        name: "U+0000 is not stored, so it is not looked for either",
        message: ("", " is not encoded as it must be"),
        deserved: |request| request.uri.contains("%00"),
    },
    Rule {
        name: "a time is compared in a way that the list knows",
        message: ("filter[cmp-", " and a time"),
        deserved: |request| request.uri.contains("filter%5Bcmp-"),
    },
    Rule {
        name: "a window is between two times",
        message: ("filter[timestamp][", " must be a time (YYYY-MM-DD hh:mm:ss, or RFC 3339)"),
        deserved: |request| request.uri.contains("filter%5Btimestamp%5D"),
    },
    Rule {
        name: "pages are at most so long",
        message: ("page[limit] must be a whole number from 0 to ", ""),
        deserved: |request| request.query("page[limit]").is_some(),
    },
    Rule {
        name: "rows are counted in 63 bits, and none is before the first",
        message: ("page[offset] must be a ", ""),
        deserved: |request| {
            request
                .query("page[offset]")
                .is_some_and(|offset| offset.parse::<i64>().is_err() || offset.starts_with('-'))
        },
    },
    Rule {
        name: "a limit is a number of 64 bits",
        message: ("page[limit] must be a whole number", ""),
        deserved: |request| request.query("page[limit]").is_some_and(|limit| limit.parse::<i64>().is_err()),
    },
    Rule {
        name: "there are two types of account",
        message: ("filter[account-type] must be one of ", ""),
        deserved: |request| request.query("filter[account-type]").is_some(),
    },
    Rule {
        name: "a log is that of something",
        message: ("individual-group-id or another scope is required", ""),
        deserved: |request| request.operation == "GET /v1/individual-group-logs/",
    },
    Rule {
        name: "telephone numbers are E.164",
        message: ("filter[phone-number] must be an E.164 telephone number", ""),
        deserved: |request| request.query("filter[phone-number]").is_some(),
    },
    Rule {
        name: "what may be accessed is of one type",
        message: ("/access-query must have exactly one query for a group, individual or organization without an ", ""),
        deserved: |request| request.operation == "POST /v1/authz-get-accessible-resources/",
    },
    Rule {
        name: "a command that says nothing but itself has no members",
        message: ("/", " is not known"),
        deserved: |request| EMPTY.iter().any(|end| request.operation.ends_with(end)),
    },
    Rule {
        name: "a command that says nothing but itself has an empty body",
        message: ("body is not as it must be", ""),
        deserved: |request| EMPTY.iter().any(|end| request.operation.ends_with(end)),
    },
    Rule { name: "tags are words", message: ("/data/attributes/tags a tag ", ""), deserved: writes },
    Rule {
        name: "templates keep to their language",
        message: ("/data/attributes/template breaks a rule in line ", ""),
        deserved: writes,
    },
    Rule {
        name: "templates keep to their language",
        message: ("/data/attributes/subject breaks a rule in line ", ""),
        deserved: writes,
    },
    rule("templates have no control characters", " must not contain control characters"),
    rule("telephone numbers are E.164", " must be an E.164 telephone number"),
    rule("telephone numbers are those of a country", " its country's code (E.164)"),
    rule(
        "telephone numbers that are confirmed are American",
        " must be an E.164 telephone number of the country code 1",
    ),
    rule("time zones are those of the database", " must be a name of the IANA time zone database"),
    rule("addresses are those of e-mail", "email must be an email"),
    rule("addresses are those of e-mail", "email must not be longer than 254 characters"),
    rule("there are two locales", "locale must be one of en_US, es_US"),
    rule("required texts are not blank", " should not be empty"),
    rule("domains are names of two labels or more", "/data/attributes/domain must be a domain name"),
    rule("names in headers have one line", " must not contain control characters"),
    rule("features are named plainly", "/data/attributes/id must consist of letters, digits, '.', '_' and '-'"),
    rule("a user is named once", "user-id or email is required, and not both"),
    rule("users are named in one way", " is required, and not both"),
    rule("passwords are not guessed", "/new-password must have at least 8 characters"),
    rule("passwords are not guessed", "/new-password is too easily guessed"),
    rule("passwords are not guessed", "/new-password must be another one"),
    rule("passwords are not guessed", "/password must have at least 8 characters"),
    rule("passwords are not guessed", "/password is too easily guessed"),
    Rule {
        name: "codes are not guessed",
        message: ("the code is wrong, has expired, or was used before", ""),
        deserved: |request| CODES.contains(&request.operation.as_str()),
    },
    Rule {
        name: "codes to sign up by are not guessed",
        message: ("/", "-code is unknown or no longer good"),
        deserved: |request| request.operation == "POST /v1/sign-up/",
    },
    rule("a sign-up is for one address of each kind", " must be the same as the username"),
    rule("codes go to an address that is known", " names a contact that is not known"),
    rule("a sign-up is found by its name", "/username is required"),
    rule("addresses are those of e-mail", "/username must be an email"),
    Rule {
        name: "what people fill in is bounded",
        message: ("/enrollment-data ", ""),
        deserved: |request| request.operation == "POST /v1/sign-up/",
    },
    rule("texts have a greatest length", " characters"),
    rule("one signs in with what there is", "/data/attributes/username the user has no such contact"),
    rule("claims of ours are not made by others", " must not be reserved or given twice"),
    rule("divisions hold groups, groups hold people", " the group takes no individuals"),
    rule("links lead to hosts of the operator", "/netloc is none of the hosts that links may lead to"),
    rule("links lead to a path", " other characters than those of a path encoded (RFC 3986)"),
    rule("links end in the future", "/expires-at must be in the future"),
    rule(
        "sign-up codes are written plainly",
        "/data/attributes/id must consist of letters from A to Z, digits, '_' and '-'",
    ),
    Rule {
        name: "forms are JSON Schemas that refer to themselves alone",
        message: ("/data/attributes/enrollment-schema is no form: ", ""),
        deserved: writes,
    },
    Rule { name: "forms are bounded", message: ("/data/attributes/enrollment-schema must not ", ""), deserved: writes },
    rule("times are read in two ways", " must be a time (YYYY-MM-DD hh:mm:ss, or RFC 3339)"),
    named(" names no theme"),
    named(" names no document"),
    named(" names no group"),
    named(" names a group that takes no individuals"),
    named(" names no group of the organization that the caller may change"),
    named(" names no organization"),
    named(" names no user"),
    named(" names no feature"),
    named(" names no role"),
    named(" names no individual"),
    named(" names no individual of the organization"),
    named(" names no enabled provider or admin of the organization"),
    named(" names no member of the role's organization"),
    named(" names neither a user nor an organization"),
    named(" names none of the user's organizations"),
    named(" is none of the user's"),
    named(" names no role of the organization"),
];
