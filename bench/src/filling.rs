//! Filled journals without the committer: events are created and hashed here as by the committer, and restored in bulk
//! as by `registrar journal import`. The read models are rebuilt afterwards.

use crate::server::{Database, master_key};
use chrono::{DateTime, TimeDelta, Utc};
use registrar::followers;
use registrar::journal::{StoredEvent, codec};
use registrar::merkle::Builder;
use registrar::node::Node;
use registrar_aggregates::{Actor, ActorType, Metadata};
use uuid::Uuid;

/// Events per bulk insert.
const PAGE: u64 = 5_000;
/// Events per stream.
const STREAM: u64 = 4;
/// Actors and organizations that share the events.
const ACTORS: u64 = 1_000;
const ORGANIZATIONS: u64 = 100;

/// Fills an empty database with `events` notes, in streams of four.
pub(crate) async fn fill(database: &Database, events: u64) -> anyhow::Result<()> {
    crate::progress(format_args!("filling a journal with {events} events"));
    let node = Node::open(&database.settings(), &master_key()?).await?;
    let Some(mut restore) = node.store.raw().restore().await? else { anyhow::bail!("the journal is not empty") };
    let (mut tree, mut recorded_at) = (Builder::default(), beginning());
    let payload = codec::canonical(&crate::workload::note().to_payload()?)?;
    let mut stream = Uuid::nil();
    for first in (1..=events).step_by(usize::try_from(PAGE)?) {
        let (mut page, mut nodes) = (Vec::new(), Vec::new());
        for position in first..(first + PAGE).min(events + 1) {
            if (position - 1) % STREAM == 0 {
                stream = Uuid::now_v7();
            }
            recorded_at += TimeDelta::milliseconds(1);
            let event = event(position, recorded_at, stream, &payload)?;
            nodes.extend(tree.push(event.leaf_hash));
            page.push(event);
        }
        restore.events(&page).await?;
        restore.nodes(&nodes).await?;
    }
    crate::progress(format_args!("deriving its streams"));
    restore.finish(&tree.frontier(), recorded_at).await?;
    crate::progress(format_args!("rebuilding its read models"));
    followers::rebuild(&node, &|_, _| {}).await?;
    node.close().await;
    crate::progress(format_args!("vacuuming it"));
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut database.connect().await?).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut database.connect().await?).await?;
    Ok(())
}

/// The time of the first event, in whole milliseconds: long enough ago for every event to have a distinct time.
fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000).unwrap_or_default()
}

fn event(position: u64, recorded_at: DateTime<Utc>, stream: Uuid, payload: &str) -> anyhow::Result<StoredEvent> {
    let actor = Actor { kind: ActorType::User, id: format!("actor-{}", position % ACTORS), name: None };
    let organization_id = Some(format!("organization-{}", position % ORGANIZATIONS));
    let metadata = Metadata { actor, organization_id, ..Metadata::system(Uuid::now_v7().to_string()) };
    let note = crate::workload::note();
    let mut event = StoredEvent {
        position,
        recorded_at,
        aggregate_type: note.aggregate_type().to_owned(),
        aggregate_id: stream.to_string(),
        sequence: (position - 1) % STREAM + 1,
        event_type: note.event_type(),
        event_version: note.event_version(),
        payload: payload.to_owned(),
        metadata: codec::canonical(&serde_json::to_value(metadata)?)?,
        leaf_hash: [0; 32],
    };
    event.leaf_hash = codec::leaf_hash(&event);
    Ok(event)
}
