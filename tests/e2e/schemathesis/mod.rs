//! Thousands of requests that schemathesis derives from the contracts, against the real program.

use crate::contract::offered;
use crate::process::{Server, run};
use crate::support::Database;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, read_to_string};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod audit;
mod cloud;
mod ecg;
mod identity;
mod site;

const CONTRACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contracts");
/// Longest duration of one run: a little less than the limit of a test, so that the progress is reported. It takes
/// about 20 seconds on two processors, with many operations a minute, and many times that on a busy machine.
const LONGEST: Duration = Duration::from_secs(280);
/// Examples of all operations together; each operation gets 10 to 40.
const EXAMPLES: usize = 800;
/// Minimum number of cases of each operation with parameters or a body, unless it has fewer examples. Requests of the
/// others are all alike, so one case is enough.
const CASES_MIN: usize = 30;
/// Minimum number of successful cases of each operation with parameters or a body.
const SUCCESSES_MIN: usize = 3;
/// All checks of schemathesis except the response time, which depends on the load of the machine.
const CHECKS: [&str; 14] = [
    "allow_header_conformance",
    "content_type_conformance",
    "ensure_resource_availability",
    "ignored_auth",
    "missing_required_header",
    "negative_data_rejection",
    "not_a_server_error",
    "object_level_authorization",
    "positive_data_acceptance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
    "unsupported_method",
    "use_after_free",
];

/// The checks of response bodies.
const BODY_CHECKS: [&str; 2] = ["content_type_conformance", "response_schema_conformance"];

/// An accepted reason for a 400 to a request that the schemas allow. Most are in the texts of the contract or follow
/// from the meaning of its operations; those about U+0000 and about large numbers are limits of this server alone.
struct Rule {
    name: &'static str,
    /// Start and end of the message.
    message: (&'static str, &'static str),
    /// Whether the request gives this reason.
    deserved: fn(&Request) -> bool,
}

/// An API under test.
struct Dialect {
    /// The published contract; empty for an API of our own.
    contract: &'static str,
    /// File name of the contract.
    file: &'static str,
    /// Name of the document that the server generates.
    document: &'static str,
    rules: &'static [Rule],
    /// Messages of a refusal, each beginning with its field.
    messages: fn(&Value) -> Option<Vec<String>>,
    /// Checks that may fail with such a text, since the server offers more than the published contract.
    excused: &'static [(&'static str, &'static str)],
    /// Operations with fewer than [`CASES_MIN`] cases, because their parameters vary little, or with fewer than
    /// [`SUCCESSES_MIN`] possible successes: the minimum of cases and of successes.
    scarce: &'static [(&'static str, usize, usize)],
    /// Starts a server on an empty database and fills it with data.
    serve: fn(&Database) -> RunningServer,
}

/// A running server.
struct RunningServer {
    server: Server,
    /// The `Authorization` header of every request.
    authorization: String,
    /// Environment variables for the hooks.
    variables: Vec<(&'static str, String)>,
}

/// A server for a caller with a token; `prepare` gets its URL and such a token.
fn serve(database: &Database, prepare: fn(&str, &str)) -> RunningServer {
    let server = Server::start(&database.settings);
    let token = run(&database.settings, &["token", "create", "--admin", "admin@registrar.local"]);
    let token = token.trim_end();
    prepare(&server.url, token);
    let variables = vec![("REGISTRAR_URL", server.url.clone()), ("REGISTRAR_TOKEN", token.to_owned())];
    RunningServer { server, authorization: format!("Bearer {token}"), variables }
}

/// An operation of the tested contract.
struct Operation {
    /// Method and path.
    name: String,
    /// Whether it has parameters or a body, so that its requests differ.
    has_input: bool,
}

/// A request of the run.
struct Request {
    operation: String,
    uri: String,
    body: String,
}

impl Request {
    fn query(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&self.uri).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether a text of the body contains such a character.
    fn has(&self, kind: fn(char) -> bool) -> bool {
        self.json().to_string().contains(kind)
    }
}

/// Names and addresses contain no invisible characters, and no text contains bidirectional overrides.
const NOT_SEEN: [Rule; 2] = [
    Rule {
        name: "names and addresses have nothing that is not seen",
        message: ("", " must not contain invisible or bidirectional control characters"),
        deserved: |request| request.has(registrar_aggregates::text::is_invisible),
    },
    Rule {
        name: "no text turns the direction in which it is read",
        message: ("", " must not contain characters that override the direction of the text"),
        deserved: |request| request.has(registrar_aggregates::text::is_override),
    },
];

/// The report of a run.
#[derive(Default)]
struct Report {
    /// Statuses of each operation, including operations of undocumented methods.
    statuses: BTreeMap<String, Vec<u64>>,
    checks: BTreeSet<String>,
    /// Number of refusals by rule.
    explained: BTreeMap<&'static str, usize>,
    /// Failures without an accepted reason.
    unexplained: Vec<String>,
}

impl Report {
    fn read(lines: &str, dialect: &Dialect) -> Self {
        let mut report = Report::default();
        for line in lines.lines() {
            let event: Map<String, Value> = serde_json::from_str(line).unwrap();
            for (kind, event) in event {
                match kind.as_str() {
                    "ScenarioFinished" => report.scenario(&event["recorder"], dialect),
                    kind if kind.contains("Error") || kind == "Interrupted" => report.unexplained.push(line.to_owned()),
                    _ => {}
                }
            }
        }
        report
    }

    /// Reads a scenario; a skipped one recorded nothing.
    fn scenario(&mut self, recorder: &Value, dialect: &Dialect) {
        for (id, interaction) in recorder["interactions"].as_object().into_iter().flatten() {
            let case = &recorder["cases"][id]["value"];
            let operation = format!("{} {}", case["method"].as_str().unwrap(), case["path"].as_str().unwrap());
            let status = interaction["response"]["status_code"].as_u64();
            let request = Request {
                operation: operation.clone(),
                uri: interaction["request"]["uri"].as_str().unwrap().to_owned(),
                body: content(&interaction["request"]["body"]),
            };
            let answer = content(&interaction["response"]["content"]);
            self.statuses.entry(operation).or_default().extend(status);
            if status.is_none_or(|status| status >= 500) {
                self.refuse(&request, "it is a failure of the server", status, &answer);
            }
            for check in recorder["checks"][id].as_array().into_iter().flatten() {
                let name = check["name"].as_str().unwrap();
                self.checks.insert(name.to_owned());
                // HTTP forbids a body for this status, even if the contract documents one.
                let bodiless = status == Some(204) && answer.is_empty() && BODY_CHECKS.contains(&name);
                let more = |(check_name, text): &(&str, &str)| name == *check_name && check.to_string().contains(text);
                if check["status"] == "success" || bodiless || dialect.excused.iter().any(more) {
                    continue;
                }
                let rules = (name == "positive_data_acceptance" && status == Some(400))
                    .then(|| rules(dialect, &request, &answer))
                    .flatten();
                match rules {
                    Some(rules) => rules.iter().for_each(|rule| *self.explained.entry(rule.name).or_default() += 1),
                    None => self.refuse(&request, &check.to_string(), status, &answer),
                }
            }
        }
    }

    fn refuse(&mut self, Request { operation, uri, body }: &Request, why: &str, status: Option<u64>, answer: &str) {
        self.unexplained.push(format!("{operation}: {why}\n  {uri}\n  {body}\n  answers {status:?} {answer}"));
    }
}

/// The rules behind every message of a refusal; `None` if one message has none.
fn rules(dialect: &Dialect, request: &Request, answer: &str) -> Option<Vec<&'static Rule>> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let messages = (dialect.messages)(&answer).filter(|messages| !messages.is_empty())?;
    let rule = |message: &String| {
        let fits = |(start, end): (&str, &str)| message.starts_with(start) && message.ends_with(end);
        dialect.rules.iter().chain(&NOT_SEEN).find(|rule| fits(rule.message) && (rule.deserved)(request))
    };
    messages.iter().map(rule).collect()
}

fn content(recorded: &Value) -> String {
    let bytes = recorded["$base64"].as_str().map(|text| BASE64_STANDARD.decode(text).unwrap());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// Runs schemathesis with the published contract, or with the one that a fresh server serves, and judges the report.
fn judge(dialect: &Dialect, served: bool) {
    let venv = std::env::var("REGISTRAR_TEST_VENV").expect("REGISTRAR_TEST_VENV; run the tests with ./scripts/test");
    let database = Database::sqlite();
    let RunningServer { server, authorization, variables } = (dialect.serve)(&database);
    let location = match served {
        true => format!("{}/openapi/{}.json", server.url, dialect.document),
        false => format!("{CONTRACTS}/{}", dialect.file),
    };
    let folder = tempfile::tempdir().unwrap();
    let operations = operations(dialect, served);
    let examples = (EXAMPLES / operations.len()).clamp(10, 40);
    let events = folder.path().join("events.ndjson");

    let mut command = Command::new(format!("{venv}/bin/schemathesis"));
    command.args(["run", &location, "--url", &server.url]);
    command.args(["--header", &format!("Authorization: {authorization}")]);
    command.args(["--checks", &CHECKS.join(","), "--mode", "all", "--phases", "examples,coverage,fuzzing,stateful"]);
    command.args(["--max-examples", &examples.to_string(), "--generation-deterministic", "--workers", "1"]);
    command.args(["--continue-on-failure", "--no-shrink", "--no-color", "--request-timeout", "20"]);
    command.args(["--report", "ndjson", "--report-ndjson-path"]).arg(&events);
    // An empty environment, above all without a proxy: it connects to the server alone.
    command.env_clear().env("SCHEMATHESIS_HOOKS", "schemathesis_hooks").env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("PYTHONPATH", CONTRACTS).env("HOME", folder.path()).envs(variables);
    command.current_dir(folder.path()).stdin(Stdio::null());
    let told = folder.path().join("told");
    let file = File::create(&told).unwrap();
    let mut child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it takes too long; so far it tells\n{}", read_to_string(&told).unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    };

    // Exit code 1 means findings, which are judged below.
    let printed = read_to_string(&told).unwrap();
    assert!(matches!(status.code(), Some(0 | 1)), "{printed}");
    let report = Report::read(&read_to_string(&events).unwrap(), dialect);
    let found = report.unexplained.len();
    let shown = report.unexplained.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n\n");
    assert!(found == 0, "{found} findings that no rule explains:\n{shown}\n\n{printed}");
    assert_eq!(report.checks.iter().map(String::as_str).collect::<Vec<_>>(), CHECKS);
    let mut lacking = Vec::new();
    for operation in operations {
        let Operation { name, has_input } = operation;
        let statuses = report.statuses.get(&name).map(Vec::as_slice).unwrap_or_default();
        let successes = statuses.iter().filter(|status| (200..300).contains(*status)).count();
        let told = format!("{name}: {successes} successes in {} cases: {statuses:?}", statuses.len());
        let scarce = dialect.scarce.iter().find(|(scarce, ..)| *scarce == name);
        let usual = if has_input { (CASES_MIN.min(examples), SUCCESSES_MIN) } else { (1, 1) };
        let (cases_min, successes_min) = scarce.map_or(usual, |(_, cases, min)| (*cases, *min));
        if statuses.len() < cases_min || successes < successes_min {
            lacking.push(told);
        }
    }
    assert!(lacking.is_empty(), "too little was tried:\n{}\n\n{printed}", lacking.join("\n"));
    assert!(!report.explained.is_empty(), "schemathesis no longer reports refusals of what a schema allows");
    let (_, log) = server.stop();
    let errors: Vec<_> = log.iter().filter(|line| line.contains(r#""level":"ERROR""#)).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

/// The operations of the tested contract.
fn operations(dialect: &Dialect, served: bool) -> Vec<Operation> {
    let contract = match served {
        true => serde_json::to_value(registrar::api::openapi(dialect.document).unwrap()).unwrap(),
        false => serde_json::from_str(dialect.contract).unwrap(),
    };
    let contract = if dialect.document == "identity" { offered(contract) } else { contract };
    let mut operations = Vec::new();
    for (path, item) in contract["paths"].as_object().unwrap() {
        let has_parameters = |of: &Value| of["parameters"].as_array().is_some_and(|declared| !declared.is_empty());
        let methods = item.as_object().unwrap().iter();
        let methods = methods.filter(|(name, _)| *name != "parameters" && !name.starts_with("x-"));
        operations.extend(methods.map(|(method, operation)| Operation {
            name: format!("{} {path}", method.to_uppercase()),
            has_input: has_parameters(item) || has_parameters(operation) || operation.get("requestBody").is_some(),
        }));
    }
    assert!(!operations.is_empty());
    operations
}

#[test]
fn the_server_keeps_the_published_ecg_admins_contract() {
    judge(&ecg::ECG, false);
}

#[test]
fn the_server_keeps_the_ecg_admins_contract_that_it_serves() {
    judge(&ecg::ECG, true);
}

#[test]
fn the_server_keeps_the_published_site_organizations_contract() {
    judge(&site::SITE, false);
}

#[test]
fn the_server_keeps_the_site_organizations_contract_that_it_serves() {
    judge(&site::SITE, true);
}

#[test]
fn the_server_keeps_the_published_cloud_organizations_contract() {
    judge(&cloud::ORGANIZATIONS, false);
}

#[test]
fn the_server_keeps_the_cloud_organizations_contract_that_it_serves() {
    judge(&cloud::ORGANIZATIONS, true);
}

#[test]
fn the_server_keeps_the_cloud_keys_contract_that_it_serves() {
    judge(&cloud::KEYS, true);
}

#[test]
fn the_server_keeps_the_audit_contract_that_it_serves() {
    judge(&audit::AUDIT, true);
}

#[test]
fn the_server_keeps_the_published_identity_contract_as_far_as_it_is_offered() {
    judge(&identity::IDENTITY, false);
}

/// Guards against a filter that accepts everything.
#[test]
fn an_unexplained_refusal_is_found() {
    let found = |check: &str, uri: &str, status: u64, answer: &str| {
        let uri = format!("http://127.0.0.1{uri}");
        let recorder = serde_json::json!({
            "cases": {"a": {"value": {"method": "GET", "path": "/api/ecg-admins/audit-trails"}}},
            "checks": {"a": [{"name": check, "status": "failure"}]},
            "interactions": {"a": {
                "request": {"uri": uri},
                "response": {"status_code": status, "content": {"$base64": BASE64_STANDARD.encode(answer)}},
            }},
        });
        let mut report = Report::default();
        report.scenario(&recorder, &ecg::ECG);
        !report.unexplained.is_empty()
    };
    let custom = r#"{"message":["dateRangeType custom needs from or to"]}"#;
    let refused = "positive_data_acceptance";
    assert!(!found(refused, "/?dateRangeType=custom", 400, custom));
    assert!(found(refused, "/?dateRangeType=today", 400, custom));
    assert!(found(refused, "/?dateRangeType=custom&to=2026-03-04T17:27:05Z", 400, custom));
    assert!(found(refused, "/?dateRangeType=custom", 500, custom));
    assert!(found("negative_data_rejection", "/?dateRangeType=custom", 400, custom));
    assert!(found(refused, "/", 400, r#"{"message":["take must not be less than 1"]}"#));
    assert!(found(
        refused,
        "/?dateRangeType=custom",
        400,
        r#"{"message":["dateRangeType custom needs from or to","no"]}"#
    ));
}
