//! Claims: values that are unique across aggregates.

use crate::on_both_stores;
use crate::support::*;
use registrar::journal::{Batch, ClaimStep, Committed, FailedConditions, Journal, JournalWriter, StreamId};
use registrar::node::Node;
use registrar_aggregates::ClaimKey;
use registrar_aggregates::values::EmailAddress;
use uuid::Uuid;

/// A writer that appends one event to a stream, whatever its version, with claims taken and released.
struct Claimer {
    journal: Journal,
    writer: Box<dyn JournalWriter>,
}

impl Claimer {
    async fn of(node: &Node) -> Self {
        Claimer { journal: node.journal.clone(), writer: node.journal.writer().await.unwrap() }
    }

    async fn commit(&mut self, who: &str, takes: &[(&str, &str)], releases: &[(&str, &str)]) -> Committed {
        let batch = self.batch(who, takes, releases).await;
        self.writer.commit(&batch).await.unwrap()
    }

    async fn batch(&mut self, who: &str, takes: &[(&str, &str)], releases: &[(&str, &str)]) -> Batch {
        let stream = access_stream(who);
        let version = self.writer.versions(std::slice::from_ref(&stream)).await.unwrap()[0];
        let steps = |claims: &[(&str, &str)]| -> Vec<ClaimStep> {
            claims.iter().map(|(key, holder)| ClaimStep { key: (*key).into(), holder: access_stream(holder) }).collect()
        };
        Batch {
            takes: steps(takes),
            releases: steps(releases),
            ..batch(&self.journal.head().await.unwrap(), &[(&stream, version + 1)])
        }
    }

    async fn take(&mut self, who: &str, key: &str) -> Committed {
        self.commit(who, &[(key, who)], &[]).await
    }

    async fn release(&mut self, who: &str, key: &str) -> Committed {
        self.commit(who, &[], &[(key, who)]).await
    }

    async fn holder(&self, key: &str) -> Option<StreamId> {
        let (aggregate_type, aggregate_id) = self.journal.claim_holder(key).await.unwrap()?;
        assert_eq!(aggregate_type, "audit-access");
        Some(StreamId { aggregate_type: "audit-access", aggregate_id })
    }
}

fn lost_take(index: usize) -> Committed {
    Committed::Lost(FailedConditions { takes: vec![index], ..FailedConditions::default() })
}

on_both_stores! {
    async fn a_claim_belongs_to_its_first_holder(database) {
        let mut claims = Claimer::of(&*database.open().await).await;
        assert_eq!(claims.holder("k").await, None);
        assert_eq!(claims.take("a", "k").await, Committed::Yes);
        assert_eq!(claims.holder("k").await, Some(access_stream("a")));
    }

    async fn a_claim_that_another_holds_is_refused_and_nothing_is_stored(database) {
        let node = database.open().await;
        let mut claims = Claimer::of(&node).await;
        claims.take("a", "k").await;
        assert_eq!(claims.commit("b", &[("free", "b"), ("k", "b")], &[]).await, lost_take(1));
        assert_eq!(claims.holder("k").await, Some(access_stream("a")));
        assert_eq!(claims.holder("free").await, None);
        assert_eq!(node.position().await, 1);
    }

    async fn a_claim_that_its_holder_takes_again_stays_its_own(database) {
        let mut claims = Claimer::of(&*database.open().await).await;
        claims.take("a", "k").await;
        assert_eq!(claims.take("a", "k").await, Committed::Yes);
        assert_eq!(claims.holder("k").await, Some(access_stream("a")));
    }

    async fn a_released_claim_is_free_for_others(database) {
        let mut claims = Claimer::of(&*database.open().await).await;
        claims.take("a", "k").await;
        assert_eq!(claims.release("a", "k").await, Committed::Yes);
        assert_eq!(claims.holder("k").await, None);
        assert_eq!(claims.take("b", "k").await, Committed::Yes);
        assert_eq!(claims.holder("k").await, Some(access_stream("b")));
        assert_eq!(claims.take("a", "k").await, lost_take(0));
    }

    async fn a_claim_moves_to_another_in_one_append(database) {
        let mut claims = Claimer::of(&*database.open().await).await;
        claims.take("a", "k").await;
        assert_eq!(claims.commit("b", &[("k", "b")], &[("k", "a")]).await, Committed::Yes);
        assert_eq!(claims.holder("k").await, Some(access_stream("b")));
    }

    async fn two_holders_exchange_their_claims_in_one_append(database) {
        let mut claims = Claimer::of(&*database.open().await).await;
        claims.commit("a", &[("k", "a"), ("l", "b")], &[]).await;
        assert_eq!(claims.commit("a", &[("l", "a"), ("k", "b")], &[("k", "a"), ("l", "b")]).await, Committed::Yes);
        assert_eq!(claims.holder("k").await, Some(access_stream("b")));
        assert_eq!(claims.holder("l").await, Some(access_stream("a")));
    }

    async fn a_release_by_another_frees_nothing(database) {
        let mut claims = Claimer::of(&*database.open().await).await;
        claims.take("a", "k").await;
        assert_eq!(claims.release("b", "k").await, Committed::Yes);
        assert_eq!(claims.holder("k").await, Some(access_stream("a")));
        assert_eq!(claims.commit("b", &[("k", "b")], &[("k", "b")]).await, lost_take(0));
        assert_eq!(claims.holder("k").await, Some(access_stream("a")));
    }

    async fn a_claim_is_kept_as_a_digest_of_scope_and_value(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("Ada@Example.org"))).await.unwrap();
        let key = |email: &str| node.vault.claim(&ClaimKey::account_email(&EmailAddress::parse(email).unwrap()));
        let holder = node.journal.claim_holder(&key("ada@example.org")).await.unwrap();
        assert_eq!(holder, Some(("admin".to_owned(), id.to_string())));
        assert_eq!(node.journal.claim_holder("ada@example.org").await.unwrap(), None);
        let other_scope = ClaimKey { scope: "user-name", ..ClaimKey::account_email(&EmailAddress::parse("ada@example.org").unwrap()) };
        assert_ne!(node.vault.claim(&other_scope), key("ada@example.org"));
    }
}
