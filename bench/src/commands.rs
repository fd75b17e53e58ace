//! Commands in process.

use crate::workload::{registration, rename};
use hdrhistogram::Histogram;
use registrar::executor::RequestContext;
use registrar::node::{Node, StoreSettings};
use registrar::vault::MasterKey;
use registrar_aggregates::admin::{Admin, AdminCommand, Granter};
use registrar_projections::AdminDocument;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

pub(crate) async fn run(database_url: Option<String>, clients: usize, admins: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let settings = StoreSettings { database_url, data: folder.path().to_owned(), archives: None };
    let master = MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "bench")?;
    let node = Arc::new(Node::open(&settings, &master).await?);
    let start = Instant::now();
    let workers = (0..clients).map(|_| {
        let node = Arc::clone(&node);
        tokio::spawn(async move {
            let mut latencies = Histogram::<u64>::new(3)?;
            for _ in 0..admins / clients {
                let id = Uuid::now_v7();
                for command in [AdminCommand::Register(Box::new(registration(id)?), Granter::System), rename()] {
                    let begun = Instant::now();
                    let context = RequestContext::system();
                    let outcome = node.executor.execute::<Admin>(&context, &id.to_string(), command, None).await?;
                    anyhow::ensure!(outcome.document::<AdminDocument>().is_some());
                    latencies.record(u64::try_from(begun.elapsed().as_micros())?)?;
                }
            }
            Ok::<_, anyhow::Error>(latencies)
        })
    });
    let mut latencies = Histogram::<u64>::new(3)?;
    for worker in futures::future::join_all(workers).await {
        latencies.add(worker??)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::print_stdout, reason = "the result")]
    {
        println!(
            "{} clients={clients} {:.0} commands/s p50={}us p99={}us p99.9={}us",
            node.store.name(),
            latencies.len() as f64 / seconds,
            latencies.value_at_quantile(0.5),
            latencies.value_at_quantile(0.99),
            latencies.value_at_quantile(0.999)
        );
    }
    Ok(())
}
