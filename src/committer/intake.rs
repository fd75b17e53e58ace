//! Selection of the waiting jobs for the next batch.

use super::{BATCH_SIZE_MAX, ExpectedVersion, Job};
use crate::journal::StreamId;
use std::collections::{HashSet, VecDeque};
use tokio::sync::mpsc;

/// Waiting jobs, in order. Batches are gathered from it one after the other, each in as many steps as needed.
pub(super) struct Intake {
    queue: mpsc::Receiver<Job>,
    arrived: VecDeque<Job>,
    /// Jobs that cannot be in the batch being gathered.
    held: VecDeque<Job>,
    marks: Marks,
}

impl Intake {
    pub(super) fn new(queue: mpsc::Receiver<Job>) -> Self {
        Intake { queue, arrived: VecDeque::new(), held: VecDeque::new(), marks: Marks::default() }
    }

    /// Waits for work; false once all senders are gone.
    pub(super) async fn wait(&mut self) -> bool {
        if self.arrived.is_empty() && self.held.is_empty() {
            self.arrive().await;
        }
        !self.arrived.is_empty() || !self.held.is_empty()
    }

    /// Waits for more jobs. Cancel-safe.
    pub(super) async fn arrive(&mut self) {
        let mut jobs = Vec::new();
        self.queue.recv_many(&mut jobs, BATCH_SIZE_MAX).await;
        self.arrived.extend(jobs);
    }

    /// Whether to take in more now, beside a batch of `gathered` jobs: jobs that do not fit it must not pile up here,
    /// where callers do not see that the queue is full.
    pub(super) fn has_room(&self, gathered: usize) -> bool {
        !self.queue.is_closed() && gathered + self.arrived.len() + self.held.len() < BATCH_SIZE_MAX
    }

    /// Begins another batch. Jobs held back from the last one come first.
    pub(super) fn begin(&mut self) {
        self.marks = Marks::default();
        self.held.append(&mut self.arrived);
        std::mem::swap(&mut self.held, &mut self.arrived);
    }

    /// Takes jobs to add to a batch for which `gathered` jobs have been taken so far.
    pub(super) fn gather(&mut self, gathered: usize) -> Vec<Job> {
        while self.has_room(gathered)
            && let Ok(job) = self.queue.try_recv()
        {
            self.arrived.push_back(job);
        }
        let mut taken = Vec::new();
        while gathered + taken.len() < BATCH_SIZE_MAX
            && let Some(job) = self.arrived.pop_front()
        {
            if self.marks.admit(&job) { taken.push(job) } else { self.held.push_back(job) }
        }
        taken
    }

    /// Returns, in order, jobs taken for the batch being gathered.
    pub(super) fn put_back(&mut self, jobs: Vec<Job>) {
        self.begin();
        jobs.into_iter().rev().for_each(|job| self.arrived.push_front(job));
    }

    /// Removes and returns all waiting jobs.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        self.begin();
        while let Ok(job) = self.queue.try_recv() {
            self.arrived.push_back(job);
        }
        self.arrived.drain(..).collect()
    }
}

/// Streams, claims and answers in a batch or held for it: each is in a batch once, except streams appended to without
/// an expected version. A stream changed in a batch is read by no other job of it, since reads are compared with the
/// state that the batch before left; an unchanged stream may be read by many.
#[derive(Default)]
struct Marks {
    read: HashSet<StreamId>,
    exact: HashSet<StreamId>,
    open: HashSet<StreamId>,
    claims: HashSet<String>,
    answers: HashSet<Vec<u8>>,
}

impl Marks {
    /// Whether the job may be in the batch.
    fn admit(&mut self, job: &Job) -> bool {
        let streams = &job.append.streams;
        let answer = job.append.answer.as_ref().map(|slot| slot.key());
        let claims = || streams.iter().flat_map(|append| &append.events).flat_map(|event| &event.claims);
        let collides = answer.is_some_and(|key| self.answers.contains(key))
            || job.append.reads.iter().any(|(read, _)| self.exact.contains(read) || self.open.contains(read))
            || streams.iter().any(|append| {
                self.exact.contains(&append.stream)
                    || self.read.contains(&append.stream)
                    || (append.expected != ExpectedVersion::Any && self.open.contains(&append.stream))
            })
            || claims().any(|(_, digest)| self.claims.contains(digest));
        self.read.extend(job.append.reads.iter().map(|(read, _)| read.clone()));
        self.answers.extend(answer.map(<[u8]>::to_vec));
        self.claims.extend(claims().map(|(_, digest)| digest.clone()));
        for append in streams {
            // A held job blocks all of its streams; otherwise later jobs could overtake it.
            let set =
                if append.expected == ExpectedVersion::Any && !collides { &mut self.open } else { &mut self.exact };
            set.insert(append.stream.clone());
        }
        !collides
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committer::idempotency::AnswerSlot;
    use crate::committer::{Append, NewEvent, StreamAppend};
    use registrar_aggregates::admin::AdminEvent;
    use registrar_aggregates::{Claim, ClaimKey, Metadata};
    use std::sync::Arc;
    use tokio::sync::oneshot;

    fn append(stream: &str, expected: ExpectedVersion, claims: &[&str]) -> StreamAppend {
        let claim = |digest: &&str| {
            let key = ClaimKey { scope: "s", value: (*digest).into(), field: "f" };
            (Claim::Take(key), (*digest).to_owned())
        };
        let event = NewEvent {
            event: Arc::new(AdminEvent::Activated {}.into()),
            event_type: String::new(),
            event_version: String::new(),
            payload: String::new(),
            claims: claims.iter().map(claim).collect(),
        };
        let stream = StreamId { aggregate_type: "admin", aggregate_id: stream.into() };
        StreamAppend { stream, expected, events: vec![event] }
    }

    fn exact(stream: &str) -> StreamAppend {
        append(stream, ExpectedVersion::Exact(1), &[])
    }

    fn open(stream: &str) -> StreamAppend {
        append(stream, ExpectedVersion::Any, &[])
    }

    fn claiming(stream: &str, claim: &str) -> StreamAppend {
        append(stream, ExpectedVersion::Exact(0), &[claim])
    }

    fn job(streams: Vec<StreamAppend>, answer: Option<&str>) -> Job {
        let append = Append {
            streams,
            reads: Vec::new(),
            metadata: Arc::new(Metadata::system("r")),
            metadata_text: String::new(),
            subject_keys: Vec::new(),
            keys: Default::default(),
            answer: answer.map(|key| Arc::new(AnswerSlot::new(key.into(), vec![], chrono::Utc::now()))),
            history: 0,
        };
        Job { append, reply: oneshot::channel().0 }
    }

    /// A job that reads a stream and changes others.
    fn reading(read: &str, streams: Vec<StreamAppend>) -> Job {
        let mut job = job(streams, None);
        job.append.reads = vec![(StreamId { aggregate_type: "admin", aggregate_id: read.into() }, 1)];
        job
    }

    fn intake(jobs: Vec<Job>) -> (Intake, mpsc::Sender<Job>) {
        let (sender, queue) = mpsc::channel(jobs.len());
        for (number, mut job) in (0_usize..).zip(jobs) {
            job.append.metadata_text = number.to_string();
            sender.try_send(job).ok().unwrap();
        }
        (Intake::new(queue), sender)
    }

    fn numbers(jobs: &[Job]) -> Vec<usize> {
        jobs.iter().map(|job| job.append.metadata_text.parse().unwrap()).collect()
    }

    /// The numbers of the jobs in each batch, one batch after the other.
    fn batches(jobs: Vec<Job>) -> Vec<Vec<usize>> {
        let (mut intake, _sender) = intake(jobs);
        let mut batches = Vec::new();
        loop {
            intake.begin();
            let taken = intake.gather(0);
            if taken.is_empty() {
                return batches;
            }
            assert!(intake.gather(taken.len()).is_empty(), "what was held stays held");
            batches.push(numbers(&taken));
        }
    }

    fn streams(jobs: Vec<StreamAppend>) -> Vec<Vec<usize>> {
        batches(jobs.into_iter().map(|append| job(vec![append], None)).collect())
    }

    #[test]
    fn different_streams_share_a_batch() {
        assert_eq!(streams(vec![exact("a"), open("b"), claiming("c", "k"), claiming("d", "l")]), [[0, 1, 2, 3]]);
    }

    #[test]
    fn a_stream_of_which_a_version_is_expected_stands_once_in_a_batch() {
        assert_eq!(streams(vec![exact("a"), exact("a"), exact("b"), exact("a")]), [vec![0, 2], vec![1], vec![3]]);
        assert_eq!(streams(vec![exact("a"), open("a"), exact("b")]), [vec![0, 2], vec![1]]);
        assert_eq!(streams(vec![open("a"), exact("a"), exact("b")]), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn a_stream_without_an_expected_version_may_stand_in_a_batch_many_times() {
        assert_eq!(streams(vec![open("a"), open("a"), open("b"), open("a")]), [[0, 1, 2, 3]]);
    }

    #[test]
    fn a_claim_stands_once_in_a_batch() {
        assert_eq!(streams(vec![claiming("a", "k"), claiming("b", "k"), claiming("c", "l")]), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn an_answer_stands_once_in_a_batch_even_without_events() {
        let jobs = vec![
            job(vec![exact("a")], Some("k")),
            job(vec![], Some("k")),
            job(vec![exact("b")], Some("l")),
            job(vec![], None),
        ];
        assert_eq!(batches(jobs), [vec![0, 2, 3], vec![1]]);
    }

    #[test]
    fn no_job_overtakes_one_that_waits_for_the_same_stream() {
        // The second waits for `a`, so the third, which would fit, must wait for `b`.
        let jobs = vec![vec![exact("a")], vec![open("a"), open("b")], vec![open("b")], vec![open("c")]];
        assert_eq!(batches(jobs.into_iter().map(|streams| job(streams, None)).collect()), [vec![0, 3], vec![1, 2]]);
    }

    #[test]
    fn jobs_that_only_read_a_stream_share_a_batch() {
        let jobs = vec![reading("a", vec![exact("b")]), reading("a", vec![open("c")]), reading("a", vec![])];
        assert_eq!(batches(jobs), [[0, 1, 2]]);
    }

    #[test]
    fn a_stream_is_not_read_in_the_batch_that_changes_it() {
        let read_then_changed = vec![reading("a", vec![exact("b")]), job(vec![exact("a")], None)];
        assert_eq!(batches(read_then_changed), [[0], [1]]);
        let read_then_added_to = vec![reading("a", vec![exact("b")]), job(vec![open("a")], None)];
        assert_eq!(batches(read_then_added_to), [[0], [1]]);
        let changed_then_read =
            vec![job(vec![exact("a"), open("b")], None), reading("a", vec![]), reading("b", vec![])];
        assert_eq!(batches(changed_then_read), [vec![0], vec![1, 2]]);
        // Each reads the stream that the other one changes.
        let skewed = vec![reading("a", vec![exact("b")]), reading("b", vec![exact("a")])];
        assert_eq!(batches(skewed), [[0], [1]]);
    }

    #[test]
    fn no_change_overtakes_a_job_that_waits_to_read_the_same_stream() {
        let jobs = vec![job(vec![exact("a")], None), reading("b", vec![exact("a")]), job(vec![exact("b")], None)];
        assert_eq!(batches(jobs), [[0], [1], [2]]);
        let jobs = vec![job(vec![exact("a")], None), reading("b", vec![exact("a")]), reading("b", vec![exact("c")])];
        assert_eq!(batches(jobs), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn no_job_overtakes_one_that_waits_for_the_same_claim() {
        let jobs = vec![exact("a"), append("a", ExpectedVersion::Any, &["k"]), claiming("b", "k")];
        assert_eq!(streams(jobs), [[0], [1], [2]]);
    }

    #[tokio::test]
    async fn a_batch_grows_by_arriving_jobs_and_returned_jobs_come_first() {
        let jobs = [exact("a"), exact("a"), exact("b"), exact("c")].map(|append| job(vec![append], None));
        let (mut intake, sender) = intake(jobs.into());
        intake.begin();
        let first = intake.gather(0);
        assert_eq!(numbers(&first), [0, 2, 3]);
        let mut later = Job { append: first.into_iter().next().unwrap().append, reply: oneshot::channel().0 };
        later.append.streams[0].stream.aggregate_id = "d".into();
        later.append.metadata_text = "4".into();
        sender.send(later).await.unwrap();
        intake.arrive().await;
        let grown = intake.gather(3);
        assert_eq!(numbers(&grown), [4]);
        intake.put_back(grown);
        assert_eq!(numbers(&intake.gather(0)), [4, 1]);
        drop(sender);
        assert!(!intake.wait().await);
    }
}
