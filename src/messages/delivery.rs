//! Delivery: a durable queue in the read model, worked off by one node of a database.
//!
//! The leader looks for messages that are due, each channel on its own, so that a server that hangs keeps back its
//! channel alone. Of each message it records that an attempt starts, hands the message over, and records the end. A crash
//! between any two of these steps loses nothing:
//!
//! - before the start is stored: the message is still due;
//! - after it: the next leader finds an attempt without an end and records it as cut off, which defers the message like
//!   any other failure. Whether the server had accepted it is unknown, so it may arrive twice, under one `Message-ID`.
//!
//! No message is in two attempts at once: starting one compares the version of the stream. A leader that has lost its
//! lock, since the database is away or was restarted, notices it within a few seconds and drops its attempts; the next
//! one waits that long before it takes attempts for cut off. The end of an attempt is recorded all the same, by whichever
//! node knows it, until the database takes it.
//!
//! A restored database has its queue back as it was: messages that were sent since are sent again.
//!
//! The invitation that a message belongs to learns of each end in the commit of that end.

use super::channels::Channels;
use crate::executor::{ExecuteError, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::store::Leadership;
use chrono::{TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use registrar_aggregates::Refusal;
use registrar_aggregates::message::Channel;
use registrar_aggregates::message::delivery::{Failure, MessageCommand, MessageError, Obstacle};
use registrar_aggregates::personal::ERASED;
use registrar_aggregates::processes::{Streams, messages as rules};
use registrar_aggregates::values::MessageId;
use registrar_projections::messages::{BY_DUE, CHANNEL, DUE_AT, MessageDocument, MessageTexts, STATE, State};
use registrar_projections::stamped::time_key;
use registrar_projections::{Direction, Query};
use std::collections::HashSet;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Name of the lock that makes one of several nodes the leader.
const LEADERSHIP: &str = "delivery";
/// Delay before a node tries again to lead, or retries after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// Interval at which a leader asks whether it still leads.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Time that a new leader gives the former one to notice that it leads no more: an interval, the longest answer of the
/// database, and some.
const GRACE: Duration = Duration::from_secs(5);
/// Attempts of one channel at once.
const AT_ONCE: usize = 8;
/// Longest attempt. A server may take its time to accept a mail, to look for viruses in it.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(60);
/// Shortest time between two looks at the queue.
const LOOK_MIN: Duration = Duration::from_millis(100);
/// Longest time between two looks at the queue, beyond the shortest.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// Interval at which a leader looks for attempts whose end was not stored.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Attempts without an end that are read at once.
const PAGE: u64 = 200;
/// Tries to store the end of an attempt, one a second.
const RECORDS_MAX: u32 = 600;

/// Delivers messages until `shutdown`, whenever this node leads. Attempts under way are then waited for.
pub async fn run(node: Arc<Node>, channels: Channels, shutdown: CancellationToken) {
    metrics::describe_counter!(
        "registrar_messages_attempts_total",
        "Attempts to send a message, by channel and outcome"
    );
    while !shutdown.is_cancelled() {
        if !node.needs_rebuild()
            && let Err(error) = lead(&node, &channels, &shutdown).await
        {
            // A newer release delivers, or will when this node is replaced.
            if is_of_another_release(&error) {
                tracing::debug!(error = &error as &dyn Error, "messages are left to another release");
            } else {
                tracing::warn!(error = &error as &dyn Error, "messages are not delivered for now");
            }
        }
        shutdown.run_until_cancelled(tokio::time::sleep(RETRY)).await;
    }
}

fn is_of_another_release(error: &JournalError) -> bool {
    matches!(error, JournalError::OtherGeneration | JournalError::OldRelease)
}

/// Leads until `shutdown`, until the leadership is lost, or until the documents are those of another release.
async fn lead(node: &Arc<Node>, channels: &Channels, shutdown: &CancellationToken) -> JournalResult<()> {
    let Some(mut leadership) = Leadership::try_take(&node.store, LEADERSHIP).await? else { return Ok(()) };
    let unfinished = unfinished(node).await?;
    let lanes = async {
        let lane = |channel| deliver(node, channels, channel, shutdown);
        tokio::join!(lane(Channel::Email), lane(Channel::Sms))
    };
    let lost = async {
        while leadership.is_held().await {
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    };
    tokio::select! {
        (mail, texts) = lanes => mail.and(texts),
        never = finish(node, unfinished) => match never {},
        () = lost => {
            tracing::warn!("this node does not deliver messages any more; attempts under way are dropped");
            Ok(())
        }
    }
}

/// Delivers the messages of one channel until `shutdown`, or until the documents are those of another release.
async fn deliver(
    node: &Arc<Node>,
    channels: &Channels,
    channel: Channel,
    shutdown: &CancellationToken,
) -> JournalResult<()> {
    let (mut under_way, mut ids) = (FuturesUnordered::new(), HashSet::new());
    let mut ended = Ok(());
    while !shutdown.is_cancelled() && ended.is_ok() {
        let seen = node.heads.position();
        if under_way.len() < AT_ONCE {
            match due(node, channel).await {
                Ok(due) => {
                    let new = due.into_iter().filter(|message| !ids.contains(&message.id)).collect::<Vec<_>>();
                    for message in new.into_iter().take(AT_ONCE - under_way.len()) {
                        ids.insert(message.id);
                        under_way.push(Box::pin(attempt(node, channels, message)));
                    }
                }
                Err(error) if is_of_another_release(&error) => ended = Err(error),
                Err(error @ JournalError::Corrupt(_)) => {
                    tracing::warn!(error = &error as &dyn Error, "the queue of messages cannot be read");
                }
                // A database outage is reported to the callers that it affects.
                Err(error) => tracing::debug!(error = &error as &dyn Error, "the queue was not looked at"),
            }
        }
        tokio::select! {
            Some(id) = under_way.next() => {
                ids.remove(&id);
            }
            () = news(node, seen) => {}
            () = shutdown.cancelled() => {}
        }
    }
    while under_way.next().await.is_some() {}
    ended
}

/// Waits until the journal has grown, or for a while: a message may have become due.
async fn news(node: &Node, seen: u64) {
    tokio::time::sleep(LOOK_MIN).await;
    let _ = tokio::time::timeout(LOOK_AROUND, node.heads.reach(seen + 1)).await;
}

/// Messages of a channel that are due, the longest due first: enough to fill all places beside those under way.
async fn due(node: &Node, channel: Channel) -> JournalResult<Vec<MessageDocument>> {
    let query = Query::<MessageDocument>::sorted(&BY_DUE, Direction::Ascending)
        .equal(&STATE, State::Waiting.name())
        .equal(&CHANNEL, channel.name())
        .at_most(&DUE_AT, time_key(Utc::now()));
    Ok(node.documents.page(query.uncounted().page(0, 2 * AT_ONCE as u64)).await?.value.items)
}

/// Messages in an attempt, whichever node started it.
async fn unfinished(node: &Node) -> JournalResult<Vec<MessageDocument>> {
    let (mut all, mut skip) = (Vec::new(), 0);
    loop {
        let query = Query::<MessageDocument>::sorted(&BY_DUE, Direction::Ascending);
        let query = query.equal(&STATE, State::Attempting.name()).uncounted().page(skip, PAGE);
        let page = node.documents.page(query).await?.value.items;
        let is_last = (page.len() as u64) < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
        skip += PAGE;
    }
}

/// Records attempts of former leaders as cut off, and from then on those whose end should have been stored long ago.
async fn finish(node: &Arc<Node>, unfinished_before: Vec<MessageDocument>) -> Infallible {
    if !unfinished_before.is_empty() {
        tokio::time::sleep(GRACE).await;
    }
    for message in &unfinished_before {
        cut_off(node, message).await;
    }
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let longest = TimeDelta::from_std(2 * ATTEMPT_MAX).unwrap_or(TimeDelta::MAX);
        for message in unfinished(node).await.unwrap_or_default() {
            if Utc::now() - message.due_at > longest {
                cut_off(node, &message).await;
            }
        }
    }
}

async fn cut_off(node: &Arc<Node>, message: &MessageDocument) {
    let failure = Failure::from(Obstacle::CutOff);
    let command = MessageCommand::RecordFailure { number: message.attempts, failure, at: Utc::now() };
    record(node, message, command).await;
}

/// Attempts a message; its identifier.
async fn attempt(node: &Arc<Node>, channels: &Channels, message: MessageDocument) -> MessageId {
    if let Err(error) = try_attempt(node, channels, &message).await {
        tracing::warn!(id = %message.id, error = &error as &dyn Error, "a message was not attempted");
        // Its place stays taken meanwhile, so that one message does not keep the leader busy.
        tokio::time::sleep(RETRY).await;
    }
    message.id
}

async fn try_attempt(node: &Arc<Node>, channels: &Channels, message: &MessageDocument) -> JournalResult<()> {
    if !channels.have(message.channel) {
        return execute(node, message, MessageCommand::Capture).await.map(drop);
    }
    let texts = texts_of(node, message).await?;
    let number = message.attempts + 1;
    if !execute(node, message, MessageCommand::StartAttempt { number, at: Utc::now() }).await? {
        // Lost race: another leader has started the attempt, or the message has ended.
        return Ok(());
    }
    let sent = match &texts {
        Ok(texts) => match tokio::time::timeout(ATTEMPT_MAX, channels.send(message, texts)).await {
            Ok(Some(sent)) => sent,
            Ok(None) => Err(Obstacle::Unreachable.into()),
            Err(_) => Err(Obstacle::TimedOut.into()),
        },
        Err(obstacle) => Err(Failure::from(*obstacle)),
    };
    let command = match sent {
        Ok(answer) => MessageCommand::RecordSent { number, answer },
        Err(failure) => MessageCommand::RecordFailure { number, failure, at: Utc::now() },
    };
    let outcome = sent.map_or_else(|failure| failure.obstacle.name(), |_| "sent");
    metrics::counter!("registrar_messages_attempts_total", "channel" => message.channel.name(), "outcome" => outcome)
        .increment(1);
    if let Err(Failure { obstacle, answer }) = sent {
        let channel = message.channel.name();
        tracing::info!(id = %message.id, channel, number, obstacle = obstacle.name(), answer, "a message was not sent");
    }
    record(node, message, command).await;
    Ok(())
}

/// Address and texts of a message, or the reason why it cannot be sent.
async fn texts_of(node: &Node, message: &MessageDocument) -> JournalResult<Result<Arc<MessageTexts>, Obstacle>> {
    match node.documents.find::<MessageTexts>(&message.id.to_string()).await {
        Ok(found) => Ok(match found.value {
            Some(texts) if texts.to == ERASED => Err(Obstacle::Erased),
            Some(texts) => Ok(texts),
            None => Err(Obstacle::Unreadable),
        }),
        Err(error @ JournalError::Corrupt(_)) => {
            tracing::error!(id = %message.id, error = &error as &dyn Error, "the texts of a message were altered");
            Ok(Err(Obstacle::Unreadable))
        }
        Err(error) => Err(error),
    }
}

/// Executes a command; `false` if the message refuses it.
async fn execute(node: &Node, message: &MessageDocument, command: MessageCommand) -> JournalResult<bool> {
    let context = RequestContext::system().belonging_to(message.organization_id);
    let now = Utc::now();
    let step = |streams: &mut Streams| rules::deliver(streams, message.id, &command, now);
    match node.executor.execute_process(&context, step).await {
        Ok(_) => Ok(true),
        Err(ExecuteError::Refused(Refusal::Message(MessageError::NotDue))) => {
            // The clock of the node that composed or deferred it is ahead by less than a millisecond, or was set back.
            tokio::time::sleep(LOOK_MIN).await;
            Ok(false)
        }
        Err(ExecuteError::Refused(_)) => Ok(false),
        Err(ExecuteError::Journal(error)) => Err(error),
    }
}

/// Records the end of an attempt. It goes on when its caller is dropped, and while the database is away: what a server
/// has accepted must not be forgotten.
async fn record(node: &Arc<Node>, message: &MessageDocument, command: MessageCommand) {
    let (node, message) = (Arc::clone(node), message.clone());
    let recording = tokio::spawn(async move {
        for _ in 0..RECORDS_MAX {
            match execute(&node, &message, command.clone()).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(id = %message.id, error = &error as &dyn Error, "the end of an attempt is not stored yet");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        tracing::error!(id = %message.id, "the end of an attempt was not stored; the message may be sent again");
    });
    let _ = recording.await;
}
