//! Contenders behind HTTP: the same requests to all of them, over keep-alive connections.

use super::{Acknowledged, gathered, total};
use crate::client::{Client, clients};
use crate::directories::{admin_id, person_id, scattered};
use crate::rounds::{Effort, Round, Subject, histogram, record};
use crate::server::{Database, RunningServer};
use crate::workload::{RENAMED, Work};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use uuid::Uuid;

pub(crate) const ADMINS: &str = "/api/ecg-admins";
pub(crate) const ACCESS: &str = "/v1/authz-resource-access/";

/// The requests of the clients.
#[derive(Debug, Clone)]
pub(crate) enum Requests {
    /// Registers admins and renames each.
    Commands,
    /// Renames seeded admins below this number, to a new name every time.
    Renames(u64),
    /// Reads seeded admins below this number by id.
    Reads(u64),
    /// Reads paths, one after the other.
    Pages(MakePath, u64),
    /// Sends requests, the ones of a group one after the other.
    Sent(MakeRequests, u64),
}

/// Makes a path from an increasing number and the number of admins.
pub(crate) type MakePath = fn(u64, u64) -> String;

/// Makes a group of requests from an increasing number and the size of the directory.
pub(crate) type MakeRequests = fn(u64, u64) -> Vec<(String, serde_json::Value)>;

/// The check that everything acknowledged is stored.
pub(crate) enum StoredCheck {
    Registrar(Database),
    /// A query for the number of stored commands.
    Count(Database, &'static str),
    /// No check, since nothing was written.
    Nothing,
}

pub(crate) struct HttpContender {
    name: String,
    served: Arc<RunningServer>,
    token: String,
    requests: Requests,
    stored: StoredCheck,
    step: Arc<AtomicU64>,
    run: Uuid,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

impl HttpContender {
    pub(crate) fn new(
        name: &str,
        served: &Arc<RunningServer>,
        token: &str,
        requests: Requests,
        stored: StoredCheck,
    ) -> Self {
        HttpContender {
            name: name.to_owned(),
            served: Arc::clone(served),
            token: token.to_owned(),
            requests,
            stored,
            step: Arc::default(),
            run: Uuid::now_v7(),
            acknowledged: Mutex::default(),
        }
    }
}

/// The required part of an admin in an answer.
#[derive(Deserialize)]
struct Answer {
    id: Uuid,
    person: AnsweredPerson,
}

/// The documented path has the id of the person; contenders without persons use that of the admin.
#[derive(Deserialize)]
struct AnsweredPerson {
    id: Option<Uuid>,
}

fn registration() -> Bytes {
    let body = json!({
        "person": {"firstName": "Ada", "lastName": "Lovelace", "contactEmailAddress": "ada@example.com"},
        "addresses": [],
        "phoneNumbers": []
    });
    body.to_string().into()
}

fn renaming(to: &str) -> Bytes {
    json!([{"op": "replace", "path": "/person/firstName", "value": to}]).to_string().into()
}

#[async_trait]
impl Subject for HttpContender {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn round(&self, effort: Effort) -> anyhow::Result<Round> {
        let connected = clients(&self.served.address, &self.token, effort.clients).await?;
        let begun = Instant::now();
        let working = connected.into_iter().map(|mut client| {
            let (requests, step, run) = (self.requests.clone(), Arc::clone(&self.step), self.run);
            tokio::spawn(async move {
                let (mut latencies, mut acknowledged) = (histogram()?, Vec::new());
                while begun.elapsed() < effort.time() {
                    let step = step.fetch_add(1, Ordering::Relaxed);
                    let begun = Instant::now();
                    match &requests {
                        Requests::Commands => acknowledged.push(commands(&mut client, &mut latencies).await?),
                        Requests::Renames(admins) => {
                            let number = scattered(step, *admins);
                            // A new name every time; an unchanged one would store nothing.
                            rename(&mut client, person_id(number), &format!("Augusta {step} {run}")).await?;
                            record(&mut latencies, begun)?;
                            acknowledged.push(Acknowledged { id: admin_id(number), commands: 1 });
                        }
                        Requests::Reads(admins) => {
                            client.get(&format!("{ADMINS}/{}", person_id(scattered(step, *admins)))).await?;
                            record(&mut latencies, begun)?;
                        }
                        Requests::Pages(path, admins) => {
                            client.get(&path(step, *admins)).await?;
                            record(&mut latencies, begun)?;
                        }
                        Requests::Sent(requests, size) => {
                            for (path, body) in requests(step, *size) {
                                let begun = Instant::now();
                                client.post(&path, body.to_string().into()).await?;
                                record(&mut latencies, begun)?;
                            }
                        }
                    }
                }
                Ok::<_, anyhow::Error>((latencies, acknowledged))
            })
        });
        gathered(begun, working, &self.acknowledged).await
    }

    async fn check(&self) -> anyhow::Result<()> {
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner));
        match &self.stored {
            StoredCheck::Registrar(database) => {
                let seeded = u32::from(matches!(self.requests, Requests::Renames(_)));
                let mut commands: BTreeMap<Uuid, u32> = BTreeMap::new();
                for aggregate in acknowledged {
                    *commands.entry(aggregate.id).or_insert(seeded) += aggregate.commands;
                }
                let all: Vec<_> = commands.into_iter().map(|(id, commands)| Acknowledged { id, commands }).collect();
                database.check(Work::Directory, &all).await
            }
            StoredCheck::Count(database, query) => {
                let stored: i64 = sqlx::query_scalar(*query).fetch_one(&mut database.connect().await?).await?;
                let total = i64::try_from(total(&acknowledged))?;
                ensure!(stored == total, "{total} commands, {stored} stored");
                Ok(())
            }
            StoredCheck::Nothing => Ok(()),
        }
    }
}

async fn commands(client: &mut Client, latencies: &mut hdrhistogram::Histogram<u64>) -> anyhow::Result<Acknowledged> {
    let begun = Instant::now();
    let (status, body) = client.send(Method::POST, ADMINS, Some(registration())).await?;
    ensure!(status == StatusCode::CREATED, "POST: {status} {}", String::from_utf8_lossy(&body));
    record(latencies, begun)?;
    let answer: Answer = serde_json::from_slice(&body).context("no admin in the answer")?;
    let begun = Instant::now();
    rename(client, answer.person.id.unwrap_or(answer.id), RENAMED).await?;
    record(latencies, begun)?;
    Ok(Acknowledged { id: answer.id, commands: 2 })
}

async fn rename(client: &mut Client, id: Uuid, to: &str) -> anyhow::Result<()> {
    let (status, body) = client.send(Method::PATCH, &format!("{ADMINS}/{id}"), Some(renaming(to))).await?;
    ensure!(status == StatusCode::OK, "PATCH: {status} {}", String::from_utf8_lossy(&body));
    Ok(())
}
