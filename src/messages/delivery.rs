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
//! node knows it, until the database takes it. Which attempts have taken too long is told by this process's own time: a
//! clock that is set would cut off attempts that are under way, and their messages would arrive twice.
//!
//! Few messages are handed over at once, each in a place of its own; the end is recorded after the place is free. Attempts
//! begin in bursts with pauses between them. Starts and ends that arrive together share a commit (`committer`), and a long
//! queue leaves processors and database to other callers.
//!
//! A restored database has its queue back as it was: messages that were sent since are sent again.
//!
//! The invitation that a message belongs to learns of each end in the commit of that end.

use super::channels::Channels;
use super::is_erased;
use crate::executor::{ExecuteError, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::store::Leadership;
use chrono::{TimeDelta, Utc};
use registrar_aggregates::message::Channel;
use registrar_aggregates::message::delivery::{DELAY_MAX, Failure, Message, MessageCommand, Obstacle};
use registrar_aggregates::personal::ERASED;
use registrar_aggregates::processes::{Step, Streams, messages as rules};
use registrar_aggregates::values::MessageId;
use registrar_projections::messages::{BY_PLACE, CHANNEL, MessageDocument, MessageTexts, PLACE, STATE, State};
use registrar_projections::stamped::time_key;
use registrar_projections::{Direction, Query};
use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
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
/// Messages of one channel that are handed over at once.
const AT_ONCE: usize = 12;
/// Attempts that begin together.
const BURST: usize = 4;
/// Interval between two bursts: no more than 666 attempts a second.
const BURST_INTERVAL: Duration = Duration::from_millis(6);
/// Delay of a burst that the next ones make up for.
const LATE_MAX: Duration = Duration::from_millis(60);
/// Messages that are read at one look at the queue, beside those that are known.
const LOOK: usize = 24;
/// Most known messages that a look reads past.
const KNOWN_MAX: usize = 1_000;
/// Time for which a message is left alone whose attempt could not be started.
const SET_ASIDE: Duration = Duration::from_secs(10);
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
/// Tries to store the end of an attempt, one a second, not counted while the database is away.
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
    let mut attempts = Attempts::default();
    let ended = shutdown.run_until_cancelled(start_attempts(node, channels, channel, &mut attempts)).await;
    while attempts.tasks.join_next().await.is_some() {}
    ended.map_or(Ok(()), Err)
}

/// Starts attempts of what is due, until the documents are those of another release.
async fn start_attempts(
    node: &Arc<Node>,
    channels: &Channels,
    channel: Channel,
    attempts: &mut Attempts,
) -> JournalError {
    let (places, mut turn) = (Arc::new(Semaphore::new(AT_ONCE)), Instant::now());
    loop {
        // Before the look: an attempt that ends during it is known, since the look may not have seen its end.
        attempts.forget_ended();
        let (seen, wanted) = (node.heads.position(), LOOK + attempts.known().min(KNOWN_MAX));
        let due = match due(node, channel, wanted).await {
            Ok(due) => due,
            Err(error) if is_of_another_release(&error) => return error,
            Err(error @ JournalError::Corrupt(_)) => {
                tracing::warn!(error = &error as &dyn Error, "the queue of messages cannot be read");
                vec![]
            }
            // A database outage is reported to the callers that it affects.
            Err(error) => {
                tracing::debug!(error = &error as &dyn Error, "the queue was not looked at");
                vec![]
            }
        };
        let are_all = due.len() < wanted;
        let new: Vec<_> = due.into_iter().filter(|message| !attempts.know(message.id)).collect();
        for burst in new.chunks(BURST) {
            turn = next_turn(turn, Instant::now());
            tokio::time::sleep_until(turn).await;
            for message in burst {
                let place = Arc::clone(&places).acquire_owned().await.expect("places are never closed");
                attempts.start(node, channels, message.clone(), place);
            }
        }
        if are_all || new.is_empty() {
            news(node, seen).await;
        }
    }
}

/// Time of the burst after the one at `former`. A delay is made up for by the next bursts, a pause is not.
fn next_turn(former: Instant, now: Instant) -> Instant {
    let next = former + BURST_INTERVAL;
    if now > next + LATE_MAX { now } else { next }
}

/// Attempts under way, each in a task of its own, so that a panic ends no other one. Dropped, they end.
#[derive(Default)]
struct Attempts {
    /// Whether each could be started.
    tasks: JoinSet<bool>,
    messages: HashMap<task::Id, MessageId>,
    /// Messages whose attempts could not be started. They stay at the head of the queue, and must not keep it busy.
    set_aside: HashMap<MessageId, Instant>,
}

impl Attempts {
    fn start(&mut self, node: &Arc<Node>, channels: &Channels, message: MessageDocument, place: OwnedSemaphorePermit) {
        let id = message.id;
        let task = self.tasks.spawn(attempt(Arc::clone(node), channels.clone(), message, place));
        self.messages.insert(task.id(), id);
    }

    /// Number of messages that may be due and are not to be attempted now.
    fn known(&self) -> usize {
        self.messages.len() + self.set_aside.len()
    }

    fn know(&self, message: MessageId) -> bool {
        self.set_aside.contains_key(&message) || self.messages.values().any(|attempted| *attempted == message)
    }

    fn forget_ended(&mut self) {
        let now = Instant::now();
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let (task, was_started) = ended.unwrap_or_else(|panicked| (panicked.id(), false));
            if let Some(message) = self.messages.remove(&task)
                && !was_started
            {
                self.set_aside.insert(message, now);
            }
        }
        self.set_aside.retain(|_, since| now - *since < SET_ASIDE);
    }
}

/// Waits until the journal has grown, or for a while: a message may have become due.
async fn news(node: &Node, seen: u64) {
    tokio::time::sleep(LOOK_MIN).await;
    let _ = tokio::time::timeout(LOOK_AROUND, node.heads.reach(seen + 1)).await;
}

/// So many messages of a channel that are due: new ones, then those that are longest due.
async fn due(node: &Node, channel: Channel, wanted: usize) -> JournalResult<Vec<MessageDocument>> {
    let waiting = || {
        let query = Query::<MessageDocument>::sorted(&BY_PLACE, Direction::Ascending);
        query.equal(&STATE, State::Waiting.name()).equal(&CHANNEL, channel.name())
    };
    let (now, take) = (Utc::now(), wanted as u64);
    let until_now = waiting().at_most(&PLACE, time_key(now));
    let mut due = node.documents.page(until_now.uncounted().page(0, take)).await?.value.items;
    if due.len() < wanted {
        // No delay is that long: the clock that deferred them was ahead.
        let beyond = waiting().at_least(&PLACE, time_key(now + DELAY_MAX + TimeDelta::seconds(1)));
        due.extend(node.documents.page(beyond.uncounted().page(0, take)).await?.value.items);
    }
    Ok(due)
}

/// Messages in an attempt, whichever node started it.
async fn unfinished(node: &Node) -> JournalResult<Vec<MessageDocument>> {
    let (mut all, mut skip) = (Vec::new(), 0);
    loop {
        let query = Query::<MessageDocument>::sorted(&BY_PLACE, Direction::Ascending);
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
    let mut since: HashMap<(MessageId, u32), Instant> = HashMap::new();
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Ok(found) = unfinished(node).await else { continue };
        let now = Instant::now();
        let mut known = HashMap::new();
        for message in &found {
            let attempt = (message.id, message.attempts);
            let first_seen = since.get(&attempt).copied().unwrap_or(now);
            known.insert(attempt, first_seen);
            if now - first_seen > 2 * ATTEMPT_MAX {
                cut_off(node, message).await;
            }
        }
        since = known;
    }
}

/// Records an attempt as cut off. If that fails, the next sweep does.
async fn cut_off(node: &Node, message: &MessageDocument) {
    let failure = Failure::from(Obstacle::CutOff);
    let command = MessageCommand::RecordFailure { number: message.attempts, failure, at: Utc::now() };
    if let Err(error) = execute(node, message, command).await {
        tracing::debug!(id = %message.id, error = &error as &dyn Error, "an attempt was not recorded as cut off");
    }
}

/// Attempts a message; `false` if the attempt could not be started for a reason of the message.
async fn attempt(node: Arc<Node>, channels: Channels, message: MessageDocument, place: OwnedSemaphorePermit) -> bool {
    match try_attempt(&node, &channels, &message).await {
        Ok(Attempted::Captured) => true,
        Ok(Attempted::Ended(end)) => {
            // The commit of the end takes longer than a server at hand.
            drop(place);
            record(&node, &message, end).await;
            true
        }
        Ok(Attempted::Refused) => false,
        Err(error) => {
            tracing::warn!(id = %message.id, error = &error as &dyn Error, "a message was not attempted");
            if matches!(error, JournalError::Corrupt(_) | JournalError::NotFoldable(_)) {
                return false;
            }
            // Its place stays taken meanwhile, so that a database that fails is not kept busy.
            tokio::time::sleep(RETRY).await;
            true
        }
    }
}

/// Result of an attempt.
enum Attempted {
    /// The channel has no server.
    Captured,
    /// The attempt was started, and has this end.
    Ended(MessageCommand),
    /// Another leader has started it, or the message is not as its document says.
    Refused,
}

async fn try_attempt(node: &Node, channels: &Channels, message: &MessageDocument) -> JournalResult<Attempted> {
    if !channels.have(message.channel) {
        let captured = execute(node, message, MessageCommand::Capture).await?;
        return Ok(if captured { Attempted::Captured } else { Attempted::Refused });
    }
    let texts = texts_of(node, message).await?;
    let number = message.attempts + 1;
    if !execute(node, message, MessageCommand::StartAttempt { number, at: Utc::now() }).await? {
        return Ok(Attempted::Refused);
    }
    let sent = match &texts {
        Ok(texts) => match tokio::time::timeout(ATTEMPT_MAX, channels.send(message, texts)).await {
            Ok(Some(sent)) => sent,
            Ok(None) => Err(Obstacle::Unreachable.into()),
            Err(_) => Err(Obstacle::TimedOut.into()),
        },
        Err(obstacle) => Err(Failure::from(*obstacle)),
    };
    let outcome = sent.map_or_else(|failure| failure.obstacle.name(), |_| "sent");
    metrics::counter!("registrar_messages_attempts_total", "channel" => message.channel.name(), "outcome" => outcome)
        .increment(1);
    if let Err(Failure { obstacle, answer }) = sent {
        let channel = message.channel.name();
        tracing::info!(id = %message.id, channel, number, obstacle = obstacle.name(), answer, "a message was not sent");
    }
    Ok(Attempted::Ended(match sent {
        Ok(answer) => MessageCommand::RecordSent { number, answer },
        Err(failure) => MessageCommand::RecordFailure { number, failure, at: Utc::now() },
    }))
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

/// Executes a command; `false` if the message refuses it, or if it changes nothing.
async fn execute(node: &Node, message: &MessageDocument, command: MessageCommand) -> JournalResult<bool> {
    let context = RequestContext::system().belonging_to(message.organization_id);
    let now = Utc::now();
    let step = |streams: &mut Streams| rules::deliver(streams, message.id, &command, now);
    let mut executed = node.executor.execute_process(&context, step).await;
    let is_unsealable = matches!(executed, Err(ExecuteError::Journal(JournalError::Corrupt(_))));
    if is_unsealable && is_erased(node, message).await? {
        // The invitation of an erased person is told nothing: the key that would seal it is gone.
        let untold = |streams: &mut Streams| -> Step<bool> { streams.execute::<Message>(message.id, command.clone()) };
        executed = node.executor.execute_process(&context, untold).await;
    }
    match executed {
        Ok((changed, _)) => Ok(changed),
        Err(ExecuteError::Refused(_)) => Ok(false),
        Err(ExecuteError::Journal(error)) => Err(error),
    }
}

/// Records the end of an attempt. It goes on when its caller is dropped, and while the database is away: what a server
/// has accepted must not be forgotten.
async fn record(node: &Arc<Node>, message: &MessageDocument, end: MessageCommand) {
    let (node, message) = (Arc::clone(node), message.clone());
    let recording = tokio::spawn(async move {
        let mut failures = 0;
        while failures < RECORDS_MAX {
            match execute(&node, &message, end.clone()).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(id = %message.id, error = &error as &dyn Error, "the end of an attempt is not stored yet");
                    failures += u32::from(!matches!(error, JournalError::Unavailable(_)));
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        tracing::error!(id = %message.id, "the end of an attempt was not stored; the message may be sent again");
    });
    let _ = recording.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_have_a_pause_between_them_and_make_up_for_a_delay() {
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        assert_eq!(next_turn(begun, after(1)), after(6));
        assert_eq!(next_turn(begun, after(66)), after(6));
        assert_eq!(next_turn(begun, after(67)), after(67), "the queue was empty meanwhile");
    }
}
