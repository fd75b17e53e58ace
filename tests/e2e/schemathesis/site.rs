//! Refusals of the site dialect that the schemas of the contract allow.

use super::{Dialect, Request, Rule, serve};
use serde_json::{Value, json};

pub(super) const SITE: Dialect = Dialect {
    contract: include_str!("../../contracts/site-organizations.openapi.json"),
    file: "site-organizations.openapi.json",
    document: "site-organizations",
    rules: &RULES,
    scarce: &[],
    messages,
    // The published page describes one operation; its siblings have the same path.
    excused: &[("allow_header_conformance", "Undocumented methods advertised: DELETE, GET")],
    serve: |database| serve(database, prepare),
};

const ORGANIZATIONS: &str = "/ec-site-svc/rest/v1.0/organizations";
/// The organization that the examples of the contract are about.
const EXAMPLE: &str = "C36A3197FDEE433FB5547EE83DE99E4B";

/// A replacement alone creates no organization.
fn prepare(url: &str, token: &str) {
    let body = json!({"organization": {"id": EXAMPLE, "name": "Acme"}, "modes": [], "orgAddressesDetails": []});
    let client = reqwest::Client::new().post(format!("{url}{ORGANIZATIONS}")).bearer_auth(token).json(&body);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(client.send()).unwrap();
    assert_eq!(answer.status(), 201);
}

fn messages(answer: &Value) -> Option<Vec<String>> {
    let details = answer["errorData"]["details"].as_object()?;
    details.iter().map(|(field, wrong)| wrong.as_str().map(|wrong| format!("{field} {wrong}"))).collect()
}

fn writes(request: &Request) -> bool {
    request.operation.ends_with("/organizations") || request.operation.ends_with("/organizations/{id}")
}

/// A rule that any body can break.
const fn rule(name: &'static str, start: &'static str, end: &'static str) -> Rule {
    Rule { name, message: (start, end), deserved: writes }
}

const RULES: [Rule; 15] = [
    rule("codes are those of the code lists", "", " is not in the code list"),
    rule("the two halves of a code agree", "", " contradicts the identifier or code it belongs to"),
    rule("the body is about the organization of the path", "organization.id must be the id of the path", ""),
    rule("parts belong to the organization of the path", "", ".entityId must be the id of the organization"),
    rule("parts with an identifier are those that there are", "", ".id names nothing that the organization has"),
    rule("a new mode says which", "modes", ".mode should not be empty"),
    rule("names, modes and main addresses stand once", "", " must not be the same as another one"),
    rule("time zones are those of the database", "organization.timezone must be a name of the IANA", ""),
    rule("an agreement does not end before it starts", "organization.msaEnd must not be before msaStart", ""),
    rule("an agreement is there or not", "organization.msa must be one of the following values: Y, N", ""),
    Rule {
        name: "a name is not blank",
        message: ("organization.name should not be empty", ""),
        deserved: |request| {
            let name = &request.json()["organization"]["name"];
            name.as_str().is_some_and(|name| name.trim().is_empty())
        },
    },
    Rule {
        name: "U+0000 is not stored",
        message: ("", " must not contain the character U+0000"),
        deserved: |request| request.body.contains(r"\u0000"),
    },
    Rule {
        name: "U+0000 is not stored, so it is not looked for either",
        message: ("query must be percent-encoded UTF-8 without U+0000", ""),
        deserved: |request| request.uri.contains("%00"),
    },
    Rule {
        name: "organizations are counted in 64 bits",
        message: ("offset must not be greater than 18446744073709551615", ""),
        deserved: |request| request.query("offset").is_some_and(|offset| offset.parse::<u64>().is_err()),
    },
    Rule {
        name: "who asks for associated organizations says with what",
        message: ("entityId is needed for associated and notAssociated", ""),
        deserved: |request| request.query("entityId").is_none() && request.query("entitiesOption").is_some(),
    },
];
