//! Pages of the onboarding requests of a large organization.

use super::bodies;
use crate::client::Client;
use crate::comparisons::Bench;
use crate::comparisons::identity::{followed, placed};
use crate::contenders::over_http::{HttpContender, Requests, StoredCheck};
use crate::directories::{scattered, seeded_id};
use crate::report::{Goal, Line, Side};
use crate::rounds::Subject;
use crate::server::Database;
use anyhow::ensure;
use chrono::DateTime;
use sqlx::AssertSqlSafe;
use std::sync::Arc;
use uuid::Uuid;

/// Individuals whose requests a page shows: as many as a request may name.
const INDIVIDUALS: u64 = 100;
/// Enough clients to measure queries, few enough not to measure queues.
const CLIENTS: usize = 4;
/// Rows loaded by one statement.
const TOGETHER: u64 = 5_000;
/// Mailbox of the request that all others are copies of.
const TEMPLATE: &str = "onboarding-template";
/// Time of the first request, in seconds; each further one is a second younger.
const BEGINNING: i64 = 1_600_000_000;

pub(crate) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (contents, users) = (placed(bench), bench.options.placed_users);
    let requests = bench.options.onboarding_requests.max(users);
    let directory = bench.directories.with(&bench.servers, contents).await?;
    let token = directory.token().await?;
    load(&directory, &Template::create(&directory, &token).await?, users, requests).await?;
    let served = Arc::new(directory.serve().await?);
    // The followers of the server take up what the template has changed.
    followed(&directory).await?;
    let mut client = Client::connect(&served.address, &token).await?;
    let (asked, found) = (asked_at_once(users), bodies::rows(&client.get(&page(0, users)).await?)?);
    ensure!(found as u64 == asked, "a page by {asked} individuals with a request each has {found} rows");
    let pages = Requests::Pages(page, users);
    let subject = HttpContender::new("Registrar", &served, &token, pages, StoredCheck::Nothing);
    let measured = bench.measure(&[Box::new(subject) as Box<dyn Subject>], CLIENTS).await?;
    let p99 = Side::of(&measured[0], |round| round.quantile_ms(0.99))?;
    let work = format!("a page of onboarding requests by {asked} individuals among {requests}, p99");
    let line = Line::new(work, "ms", p99, None).at(CLIENTS).goal(Some(Goal::AtMost(20.0)));
    Ok(vec![line.note("The rows are copies of one request, loaded into the read model past the journal.")])
}

/// First of the users whose individuals are asked for: the ones before it are leaders, who have none.
fn first_participant(users: u64) -> u64 {
    users / 50
}

fn asked_at_once(users: u64) -> u64 {
    INDIVIDUALS.min(users - first_participant(users))
}

/// Path of the page of individuals that lie far apart, others at every step. All are individuals of the directory, and
/// each has one request.
fn page(step: u64, users: u64) -> String {
    let (first, asked) = (first_participant(users), asked_at_once(users));
    let (range, distance) = (users - first, (users - first) / asked);
    let start = scattered(step, range);
    let individuals = (0..asked).map(|number| individual(first + (start + number * distance) % range));
    bodies::page_by(seeded_id("organization", 0), individuals, INDIVIDUALS)
}

fn individual(number: u64) -> Uuid {
    seeded_id("individual", number)
}

/// A request that was made by the API, in the spelling of its values in the read model.
struct Template {
    id: String,
    individual: Uuid,
}

impl Template {
    async fn create(directory: &Database, token: &str) -> anyhow::Result<Self> {
        let served = directory.serve().await?;
        let mut client = Client::connect(&served.address, token).await?;
        let (organization, individual) = (seeded_id("organization", 0), Uuid::now_v7());
        client.post(bodies::INDIVIDUALS, bodies::individual(individual, organization)).await?;
        let body = bodies::patient(organization, individual, &format!("{TEMPLATE}@example.com"));
        let answer = client.post(bodies::ONBOARDING_REQUESTS, body).await?;
        Ok(Template { id: bodies::created_id(&answer)?, individual })
    }
}

/// Loads `requests` copies of a request into the read model, one for each of the directory's individuals and the others
/// for individuals that are not in it. Each has its own identifier, individual, address and times, in whichever columns
/// they stand, so that indexes are as large and values as rare as after that many commands.
async fn load(directory: &Database, template: &Template, users: u64, requests: u64) -> anyhow::Result<()> {
    crate::progress(format_args!("loading {requests} onboarding requests"));
    let (mut connection, table) = (directory.connect().await?, directory.table(bodies::REQUESTS).await?);
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT column_name::text, data_type::text FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position",
    )
    .bind(&table)
    .fetch_all(&mut connection)
    .await?;
    ensure!(!columns.is_empty(), "there is no table {table}");
    sqlx::raw_sql("SET synchronous_commit = off").execute(&mut connection).await?;
    let (text, first) = (copying(&table, &columns), first_participant(users));
    for begin in (0..requests).step_by(usize::try_from(TOGETHER)?) {
        let (mut ids, mut individuals, mut mailboxes, mut times) = (vec![], vec![], vec![], vec![]);
        for number in begin..(begin + TOGETHER).min(requests) {
            ids.push(seeded_id("onboarding-request", number).to_string());
            individuals.push(individual(first + number).to_string());
            mailboxes.push(format!("onboarded{number}"));
            let at = DateTime::from_timestamp(BEGINNING + i64::try_from(number)?, 0).unwrap_or_default();
            times.push(at.format("%Y-%m-%dT%H:%M:%S").to_string());
        }
        let copied = sqlx::query(AssertSqlSafe(text.clone()))
            .bind(&ids)
            .bind(&individuals)
            .bind(&mailboxes)
            .bind(&times)
            .bind(&template.id)
            .bind(template.individual.to_string())
            .bind(TEMPLATE)
            .execute(&mut connection)
            .await?;
        let copied = copied.rows_affected();
        ensure!(copied == ids.len() as u64, "{copied} rows were copied, not {}: is the template there?", ids.len());
    }
    for text in [format!("VACUUM ANALYZE {table}"), "CHECKPOINT".to_owned()] {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
    }
    Ok(())
}

/// The statement that copies the template: `$1` to `$4` are the identifiers, individuals, mailboxes and times of the
/// copies, `$5` to `$7` the values of the template that they replace. Copies have no digest, since lists verify none.
fn copying(table: &str, columns: &[(String, String)]) -> String {
    let replaced = |value: &str| {
        let values = format!("replace(replace(replace({value}, $5, n.id), $6, n.individual), $7, n.mailbox)");
        format!(
            "regexp_replace({values}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}', n.at, 'g')"
        )
    };
    let copy = |(name, kind): &(String, String)| match (name.as_str(), kind.as_str()) {
        ("digest", _) => "NULL".to_owned(),
        (name, "text") => replaced(&format!("t.{name}")),
        (name, "ARRAY") => format!(
            "CASE WHEN t.{name} IS NOT NULL THEN \
             ARRAY(SELECT {} FROM unnest(t.{name}) WITH ORDINALITY v (value, place) ORDER BY place) END",
            replaced("v.value")
        ),
        (name, _) => format!("t.{name}"),
    };
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let copies: Vec<String> = columns.iter().map(copy).collect();
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {table} t, \
         unnest($1::text[], $2::text[], $3::text[], $4::text[]) n (id, individual, mailbox, at) WHERE t.id = $5",
        names.join(", "),
        copies.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::{asked_at_once, copying, individual, page};
    use std::collections::BTreeSet;

    #[test]
    fn a_page_asks_for_individuals_of_the_directory_each_once() {
        for (users, asked) in [(102_000, 100), (150, 100), (60, 59)] {
            let known: BTreeSet<String> = (users / 50..users).map(|number| individual(number).to_string()).collect();
            for step in [0, 1, 77] {
                let path = page(step, users);
                let named: BTreeSet<&str> = path.split("&patient-ids=").skip(1).collect();
                assert_eq!((named.len() as u64, asked_at_once(users)), (asked, asked));
                assert!(named.iter().all(|id| known.contains(*id)), "{path}");
            }
        }
    }

    #[test]
    fn copies_have_values_of_their_own_and_no_digest() {
        let columns = [("id", "text"), ("digest", "text"), ("groups", "ARRAY"), ("number", "bigint")];
        let text = copying("requests_g1", &columns.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
        assert!(
            text.starts_with("INSERT INTO requests_g1 (id, digest, groups, number) SELECT regexp_replace("),
            "{text}"
        );
        assert!(text.contains("[0-9]{2}', n.at, 'g'), NULL, CASE WHEN t.groups IS NOT NULL THEN ARRAY("), "{text}");
        assert!(text.contains(" END, t.number FROM requests_g1 t, unnest("), "{text}");
    }
}
