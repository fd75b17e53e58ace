//! Contenders. A contender executes one command after the other and can verify afterwards that everything is stored;
//! the load generator is here, the same for all.

use crate::rounds::{Effort, Round, Subject, histogram, record};
use crate::workload::{Command, Work};
use async_trait::async_trait;
use hdrhistogram::Histogram;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A store or server that executes commands.
#[async_trait]
pub trait Contender: Send + Sync + 'static {
    /// Name in the table.
    fn name(&self) -> &'static str;

    /// Executes a command. On return the change is durable and, if the contender has read models, visible in them.
    async fn execute(&self, command: Command) -> anyhow::Result<()>;

    /// Verifies that every acknowledged command is stored.
    async fn check(&self, acknowledged: &[Acknowledged]) -> anyhow::Result<()>;
}

/// An aggregate and the number of its acknowledged commands.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    /// Identifier of the aggregate.
    pub id: Uuid,
    /// Number of acknowledged commands.
    pub commands: u32,
}

/// Number of acknowledged commands of all aggregates.
#[must_use]
pub fn total(acknowledged: &[Acknowledged]) -> u64 {
    acknowledged.iter().map(|aggregate| u64::from(aggregate.commands)).sum()
}

/// A contender with its load, in this process.
#[derive(Debug)]
pub struct LoadDriver<C> {
    contender: Arc<C>,
    work: Work,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

impl<C: Contender> LoadDriver<C> {
    /// Combines a contender with its kind of work.
    pub fn new(contender: C, work: Work) -> Self {
        LoadDriver { contender: Arc::new(contender), work, acknowledged: Mutex::default() }
    }
}

#[async_trait]
impl<C: Contender> Subject for LoadDriver<C> {
    fn name(&self) -> String {
        self.contender.name().to_owned()
    }

    async fn round(&self, effort: Effort) -> anyhow::Result<Round> {
        let (begun, work) = (Instant::now(), self.work);
        let clients = (0..effort.clients).map(|_| {
            let contender = Arc::clone(&self.contender);
            tokio::spawn(async move {
                let (mut latencies, mut acknowledged) = (histogram()?, Vec::new());
                while begun.elapsed() < effort.time() {
                    let id = Uuid::now_v7();
                    let mut commands = 0;
                    for command in work.commands(id)? {
                        let begun = Instant::now();
                        contender.execute(command).await?;
                        record(&mut latencies, begun)?;
                        commands += 1;
                    }
                    acknowledged.push(Acknowledged { id, commands });
                }
                Ok::<_, anyhow::Error>((latencies, acknowledged))
            })
        });
        gathered(begun, clients, &self.acknowledged).await
    }

    async fn check(&self) -> anyhow::Result<()> {
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner));
        self.contender.check(&acknowledged).await
    }
}

/// Latencies of one client, and its acknowledged commands.
pub type ClientResult = anyhow::Result<(Histogram<u64>, Vec<Acknowledged>)>;

/// Joins the clients of a round that began at `begun`, and adds their acknowledgements to `acknowledged`.
///
/// # Errors
/// The first error of a client.
pub async fn gathered(
    begun: Instant,
    clients: impl Iterator<Item = JoinHandle<ClientResult>>,
    acknowledged: &Mutex<Vec<Acknowledged>>,
) -> anyhow::Result<Round> {
    let mut latencies = histogram()?;
    for client in futures::future::join_all(clients).await {
        let (measured, told) = client??;
        latencies.add(measured)?;
        acknowledged.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
    }
    Ok(Round::new(begun.elapsed(), latencies))
}

/// A contender with its load, boxed as a subject.
#[must_use]
pub fn driven<C: Contender>(contender: C, work: Work) -> Box<dyn Subject> {
    Box::new(LoadDriver::new(contender, work))
}
