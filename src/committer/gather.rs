//! Which of the waiting jobs make the next batch.

use super::{ExpectedVersion, Job};
use crate::journal::StreamId;
use std::collections::{HashSet, VecDeque};

/// Takes from the queue what may be committed together: no stream, claim or answer twice, unless nothing is expected
/// of the stream. What has to wait keeps its order.
pub(super) fn gather(waiting: &mut VecDeque<Job>) -> Vec<Job> {
    let mut exact: HashSet<StreamId> = HashSet::new();
    let mut open: HashSet<StreamId> = HashSet::new();
    let mut claims: HashSet<String> = HashSet::new();
    let mut answers: HashSet<Vec<u8>> = HashSet::new();
    let mut taken = Vec::new();
    let mut left = VecDeque::new();
    while let Some(job) = waiting.pop_front() {
        let streams = &job.append.streams;
        let answer = job.append.answer.as_ref().map(|slot| slot.key());
        let collides = answer.is_some_and(|key| answers.contains(key))
            || streams.iter().any(|append| {
                exact.contains(&append.stream)
                    || (append.expected != ExpectedVersion::Any && open.contains(&append.stream))
                    || append.events.iter().flat_map(|event| &event.claims).any(|(_, digest)| claims.contains(digest))
            });
        answers.extend(answer.map(<[u8]>::to_vec));
        for append in streams {
            // Of a job that waits everything counts as expected, so that nothing overtakes it.
            let set = if append.expected == ExpectedVersion::Any && !collides { &mut open } else { &mut exact };
            set.insert(append.stream.clone());
            claims.extend(append.events.iter().flat_map(|event| &event.claims).map(|(_, digest)| digest.clone()));
        }
        if collides { left.push_back(job) } else { taken.push(job) }
    }
    *waiting = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committer::{Append, NewEvent, StreamAppend};
    use crate::idempotency::AnswerSlot;
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

    /// The numbers of the jobs that each batch takes, one batch after the other.
    fn batches(jobs: Vec<(Vec<StreamAppend>, Option<&str>)>) -> Vec<Vec<usize>> {
        let mut waiting: VecDeque<Job> = (0_usize..)
            .zip(jobs)
            .map(|(number, (streams, answer))| {
                let answer = answer.map(|key| Arc::new(AnswerSlot::new(key.into(), vec![], chrono::Utc::now())));
                let append = Append {
                    streams,
                    metadata: Arc::new(Metadata::system("r")),
                    metadata_text: number.to_string(),
                    subject_keys: Vec::new(),
                    keys: Default::default(),
                    answer,
                };
                Job { append, reply: oneshot::channel().0 }
            })
            .collect();
        let mut batches = Vec::new();
        while !waiting.is_empty() {
            let numbers = gather(&mut waiting).iter().map(|job| job.append.metadata_text.parse().unwrap()).collect();
            batches.push(numbers);
        }
        batches
    }

    fn streams(jobs: Vec<StreamAppend>) -> Vec<Vec<usize>> {
        batches(jobs.into_iter().map(|append| (vec![append], None)).collect())
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
    fn a_stream_of_which_nothing_is_expected_may_stand_in_it_many_times() {
        assert_eq!(streams(vec![open("a"), open("a"), open("b"), open("a")]), [[0, 1, 2, 3]]);
    }

    #[test]
    fn a_claim_stands_once_in_a_batch() {
        assert_eq!(streams(vec![claiming("a", "k"), claiming("b", "k"), claiming("c", "l")]), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn an_answer_stands_once_in_a_batch_even_without_events() {
        let jobs =
            vec![(vec![exact("a")], Some("k")), (vec![], Some("k")), (vec![exact("b")], Some("l")), (vec![], None)];
        assert_eq!(batches(jobs), [vec![0, 2, 3], vec![1]]);
    }

    #[test]
    fn nothing_overtakes_what_waits_for_the_same_stream() {
        // The second waits for `a`, so the third, which would fit, must wait for `b`.
        let jobs = vec![vec![exact("a")], vec![open("a"), open("b")], vec![open("b")], vec![open("c")]];
        assert_eq!(batches(jobs.into_iter().map(|streams| (streams, None)).collect()), [vec![0, 3], vec![1, 2]]);
    }

    #[test]
    fn nothing_overtakes_what_waits_for_the_same_claim() {
        let jobs = vec![exact("a"), append("a", ExpectedVersion::Any, &["k"]), claiming("b", "k")];
        assert_eq!(streams(jobs), [[0], [1], [2]]);
    }
}
