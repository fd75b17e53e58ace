//! The identity API: access decisions, memberships, sign-in, lists of users.

use super::Bench;
use super::steady::{READS, measure_beside};
use crate::client::Client;
use crate::contenders::over_http::{ACCESS, HttpContender, MakePath, MakeRequests, Requests, StoredCheck};
use crate::directories::{Contents, scattered, seeded_id};
use crate::peers::{self, Peer};
use crate::report::{Goal, Line, Side};
use crate::rounds::{Effort, Round, Rounds, Subject};
use crate::server::{Database, master_key};
use registrar::executor::RequestContext;
use registrar::followers::following;
use registrar::node::Node;
use registrar::processes::groups::{self, GroupRef, NewGroup};
use registrar_aggregates::group::{GroupKind, NodeType};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const USERS: &str = "/v1/users/?filter%5Binclude-participants%5D=true";
const RESOURCES: &str = "/v1/authz-get-accessible-resources/";
/// Password of the users who sign in.
const PASSWORD: &str = "correct horse battery staple 7";
/// Users who sign in: somewhat more than the limit of concurrent password checks.
const SIGN_INS: usize = 16;
/// Members that are left out of the large group at first.
const LEFT_OUT: u64 = 2_000;
/// Longest wait for followers to reach the end of the seeded events.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(300);
/// Individuals that are added in one commit.
const PLACED_TOGETHER: usize = 500;

/// Number of divisions among the groups; division n is led by user n.
fn divisions(groups: u64) -> u64 {
    (groups / 5).saturating_sub(1)
}

pub(super) fn placed(bench: &Bench) -> Contents {
    let options = &bench.options;
    Contents { admins: options.few_admins, users: options.placed_users, groups: options.groups }
}

/// Identifier of an individual; every user but the leaders has one.
fn individual(step: u64, users: u64) -> uuid::Uuid {
    let leaders = users / 50;
    seeded_id("individual", leaders + scattered(step, users - leaders))
}

/// An access check of a leader of one of the upper divisions, or of any division, for one individual.
fn check(step: u64, users: u64) -> Vec<(String, Value)> {
    let leaders = if step.is_multiple_of(2) { 30 } else { users / 60 };
    let leader = seeded_id("user", scattered(step.wrapping_mul(7), leaders));
    let query = format!("individual:{}:read", individual(step, users));
    vec![(ACCESS.into(), json!({"user-id": leader, "access-query": [query]}))]
}

/// Waits until the followers have reached the end of the seeded events; until then they take up a core.
pub(super) async fn followed(directory: &Database) -> anyhow::Result<()> {
    crate::progress(format_args!("waiting for the followers"));
    let node = Node::open(&directory.settings(), &master_key()?).await?;
    let head = node.journal.head().await?.position;
    for projection in registrar_projections::FOLLOWING {
        following::wait_for(&node, projection, head, FOLLOWED_WITHIN).await?;
    }
    node.close().await;
    Ok(())
}

/// A page of the individuals visible to the first leader: about half of all.
fn resources(step: u64, users: u64) -> Vec<(String, Value)> {
    let (leader, offset) = (seeded_id("user", 0), step % 10 * (users / 20 / 10));
    let body = json!({
        "user-id": leader,
        "access-query": ["individual::read"],
        "page[limit]": 5_000,
        "page[offset]": offset,
    });
    vec![(RESOURCES.into(), body)]
}

pub(super) async fn access(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (contents, users) = (placed(bench), bench.options.placed_users);
    let directory = bench.directories.with(&bench.servers, contents).await?;
    let token = directory.token().await?;
    let served = Arc::new(directory.serve().await?);
    followed(&directory).await?;
    let mut client = Client::connect(&served.address, &token).await?;
    let (path, body) = check(0, users).remove(0);
    let size = client.post(&path, body.to_string().into()).await?.len();
    let constant = Arc::new(peers::start(Peer::Constant, &directory, &directory, 1, size).await?);
    let mut found = Vec::new();
    let of = format!("{} users, {} groups", contents.users, contents.groups);
    for clients in bench.clients(&[1, 64]) {
        let checks = Requests::Sent(check, users);
        let subjects: Vec<Box<dyn Subject>> = vec![
            Box::new(HttpContender::new("Registrar", &served, &token, checks.clone(), StoredCheck::Nothing)),
            Box::new(HttpContender::new("axum, a constant", &constant, &token, checks, StoredCheck::Nothing)),
        ];
        let measured = bench.measure(&subjects, clients).await?;
        let goals = (clients == 64).then_some((Goal::AtLeast(0.4), Goal::AtMost(5.0)));
        let sides = (Side::of(&measured[0], Round::per_second)?, Side::of(&measured[1], Round::per_second)?);
        let rate = Line::new(format!("access checks of {of}"), "requests/s", sides.0, Some(sides.1));
        found.push(rate.at(clients).goal(goals.map(|goals| goals.0)));
        let p99 = Side::of(&measured[0], |round| round.quantile_ms(0.99))?;
        let p99 = Line::new(format!("access checks of {of}, p99"), "ms", p99, None);
        found.push(p99.at(clients).goal(goals.map(|goals| goals.1)));
    }
    let pages = Requests::Sent(resources, users);
    let subject = HttpContender::new("Registrar", &served, &token, pages, StoredCheck::Nothing);
    let measured = bench.measure(&[Box::new(subject) as Box<dyn Subject>], 1).await?;
    let p99 = Side::of(&measured[0], |round| round.quantile_ms(0.99))?;
    let line = Line::new(format!("page of 5,000 of what a leader of half of {of} may see, p99"), "ms", p99, None);
    found.push(line.at(1).goal(Some(Goal::AtMost(150.0))));
    Ok(found)
}

fn bench_group(name: &str) -> GroupId {
    GroupId(seeded_id(name, 0))
}

/// Adds an individual to a group, and removes it again.
fn come_and_go(group: &str, step: u64, users: u64) -> Vec<(String, Value)> {
    let group = bench_group(group);
    let left_out = LEFT_OUT.min(users / 10);
    let body = json!({"individual-ids": [seeded_id("individual", users - 1 - step % left_out)]});
    let path = |what: &str| format!("/v1/individual-groups/{group}/{what}-individuals/");
    vec![(path("add"), body.clone()), (path("remove"), body)]
}

pub(super) async fn memberships(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (contents, users) = (placed(bench), bench.options.placed_users);
    let directory = bench.directories.with(&bench.servers, contents).await?;
    let leaders = divisions(contents.groups);
    let everybody: Vec<u64> = (leaders..users - LEFT_OUT.min(users / 10)).collect();
    crate::progress(format_args!("filling a group with {} individuals", everybody.len()));
    fill(&directory, "large", &everybody).await?;
    fill(&directory, "small", &everybody[..10]).await?;
    let token = directory.token().await?;
    let served = Arc::new(directory.serve().await?);
    let subject = |name: &str, make: MakeRequests| {
        let requests = Requests::Sent(make, users);
        Box::new(HttpContender::new(name, &served, &token, requests, StoredCheck::Nothing)) as Box<dyn Subject>
    };
    let mut found = Vec::new();
    for clients in bench.clients(&[1, 64]) {
        let large = subject("Registrar", |step, users| come_and_go("large", step, users));
        let small = subject("the same, of a group of 10", |step, users| come_and_go("small", step, users));
        let measured = bench.measure(&[large, small], clients).await?;
        let sides = (Side::of(&measured[0], Round::per_second)?, Side::of(&measured[1], Round::per_second)?);
        let work = format!("into a group of {} and out again", everybody.len());
        found.push(Line::new(work, "commands/s", sides.0, Some(sides.1)).at(clients).goal(Some(Goal::AtLeast(0.9))));
    }
    Ok(found)
}

/// Creates a group that contains the individuals of these users.
async fn fill(directory: &Database, name: &str, users: &[u64]) -> anyhow::Result<()> {
    let node = Node::open(&directory.settings(), &master_key()?).await?;
    let group = GroupRef { organization: OrganizationId(seeded_id("organization", 0)), id: bench_group(name) };
    let context = RequestContext::system();
    let new = NewGroup {
        group,
        name: format!("The {name} one"),
        kind: GroupKind::Regular,
        node_type: NodeType::Group,
        tags: BTreeSet::new(),
        individuals: BTreeSet::new(),
        leaders: BTreeSet::new(),
    };
    groups::create(&node, &context, &new).await?;
    for chunk in users.chunks(PLACED_TOGETHER) {
        let individuals = chunk.iter().map(|number| IndividualId(seeded_id("individual", *number))).collect();
        groups::add_individuals(&node, &context, group, &individuals, None).await?;
    }
    node.close().await;
    Ok(())
}

fn credentials(step: u64, _: u64) -> Vec<(String, Value)> {
    let username = sign_in_name(step % SIGN_INS as u64);
    vec![("/v1/login/".into(), json!({"username": username, "password": PASSWORD}))]
}

fn sign_in_name(number: u64) -> String {
    format!("signs-in{number}@example.com")
}

pub(super) async fn sign_in(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let contents = placed(bench);
    let directory = bench.directories.with(&bench.servers, contents).await?;
    let organization = seeded_id("organization", 0).to_string();
    for number in 0..SIGN_INS as u64 {
        let email = sign_in_name(number);
        let user = ["user", "create", "--email", &email, "--password", PASSWORD, "--role", "org.member"];
        directory.run_registrar(&[&user[..], &["--organization", &organization]].concat()).await?;
    }
    let token = directory.token().await?;
    let served = Arc::new(directory.serve().await?);
    let clients = if bench.options.smoke { 2 } else { 16 };
    let effort = Effort { clients, time_ms: bench.options.round_ms };
    let subject =
        HttpContender::new("Registrar", &served, &token, Requests::Sent(credentials, 0), StoredCheck::Nothing);
    let (mut rates, mut quiet, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    subject.round(effort).await?;
    for _ in 0..bench.options.rounds {
        // Equal time without and with sign-ins.
        quiet.push(measure_beside(&served, &token, contents.admins, tokio::time::sleep(effort.time())).await?.0);
        let (others, signed_in) = measure_beside(&served, &token, contents.admins, subject.round(effort)).await?;
        busy.push(others);
        rates.push(signed_in?);
    }
    let cores = std::thread::available_parallelism()?.get();
    let hashing = cores.saturating_sub(1).max(1);
    let per_core = |round: &Round| round.per_second() / hashing as f64;
    let rates = Side::of(&Rounds { name: "Registrar".into(), rounds: rates }, per_core)?;
    let side = |name: &str, rounds| Side::of(&Rounds { name: name.into(), rounds }, |round| round.quantile_ms(0.99));
    let (busy, quiet) = (side("Registrar, signing in", busy)?, side("the same without", quiet)?);
    Ok(vec![
        Line::new("sign-ins by password, for each core that hashes", "1/s", rates, None)
            .at(clients)
            .goal(Some(Goal::AtLeast(30.0)))
            .note(format!(
                "argon2id with 19 MiB and two passes, and a session each; {hashing} of {cores} cores may hash."
            )),
        Line::new("GET by id during sign-ins, p99", "ms", busy, Some(quiet))
            .goal(Some(Goal::AtMost(2.0)))
            .note(format!("{READS} reads a second.")),
    ])
}

const FILTERS: [(&str, MakePath); 4] = [
    ("one e-mail", by_email),
    ("a page of an organization", by_organization),
    ("a common name", by_text),
    ("one of two names, by last change", by_name_and_time),
];

fn by_email(step: u64, users: u64) -> String {
    format!("{USERS}&email=user{}%40example.com", scattered(step, users))
}

fn by_organization(step: u64, _: u64) -> String {
    let organization = seeded_id("organization", 0);
    format!("{USERS}&organization-id={organization}&page%5Blimit%5D=50&page%5Boffset%5D={}", step % 10 * 50)
}

/// A search for a name that one of 256 users has.
fn by_text(_: u64, _: u64) -> String {
    format!("{USERS}&text=ada%20abbott&page%5Blimit%5D=50")
}

fn by_name_and_time(step: u64, _: u64) -> String {
    let name = if step.is_multiple_of(2) { "bianchi" } else { "okafor" };
    format!("{USERS}&text={name}&filter%5Bcmp-last-modified-time%5D=%3E2020-01-01T00%3A00%3A00Z&page%5Blimit%5D=50")
}

pub(super) async fn users(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let users = bench.options.users;
    // A million users need as much disk as all earlier directories together.
    bench.directories.let_go(&bench.servers).await?;
    let directory = bench.directories.with(&bench.servers, Contents { users, ..Contents::default() }).await?;
    let token = directory.token().await?;
    let served = Arc::new(directory.serve().await?);
    let mut found = Vec::new();
    for (what, path) in FILTERS {
        let pages = Requests::Pages(path, users);
        let subject = HttpContender::new("Registrar", &served, &token, pages, StoredCheck::Nothing);
        let measured = bench.measure(&[Box::new(subject) as Box<dyn Subject>], 4).await?;
        let p99 = Side::of(&measured[0], |round| round.quantile_ms(0.99))?;
        let line = Line::new(format!("{what} among {users} users, p99"), "ms", p99, None);
        found.push(line.at(4).goal(Some(Goal::AtMost(50.0))));
    }
    drop(served);
    bench.directories.let_go(&bench.servers).await?;
    Ok(found)
}
