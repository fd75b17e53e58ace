use super::*;
use crate::executor::RequestContext;
use crate::node::{Node, StoreSettings};
use crate::vault::MasterKey;
use futures::FutureExt;
use registrar_aggregates::audit_access::AuditAccessEvent;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn node() -> (tempfile::TempDir, Node) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = StoreSettings { database_url: None, data: folder.path().to_owned(), archives: None };
    let master = MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "the tests").expect("a key");
    let node = Node::open(&settings, &master).await.expect("a node");
    (folder, node)
}

async fn record(node: &Node, organization: Option<&str>) {
    let mut context = RequestContext::system();
    context.metadata.organization_id = organization.map(str::to_owned);
    let event = AuditAccessEvent::TrailRead { trail: "t".into(), filters: [].into() };
    node.executor.record(&context, "reader", vec![event]).await.expect("recorded");
}

fn following(node: &Node, after: u64, organization: Option<&str>, status: StatusCheck) -> Following {
    Following::new(Feed::of(node, false), after, organization.map(str::to_owned), status)
}

fn welcome() -> StatusCheck {
    Box::new(|| std::future::ready(ClientStatus::Welcome).boxed())
}

/// Position of the next frame.
async fn next(following: Following) -> (u64, Following) {
    let (frame, following) = following.next().await.expect("a frame");
    let frame = format!("{:?}", frame.expect("never fails"));
    let (_, id) = frame.split_once("id: ").expect("an id");
    (id.split(|c: char| !c.is_ascii_digit()).next().and_then(|id| id.parse().ok()).expect("a position"), following)
}

#[tokio::test]
async fn a_subscriber_gets_stored_events_and_then_new_ones() {
    let (_folder, node) = node().await;
    record(&node, None).await;
    record(&node, None).await;
    let (first, following) = next(following(&node, 1, None, welcome())).await;
    let (second, ()) = tokio::join!(next(following), record(&node, None));
    assert_eq!((first, second.0), (2, 3));
}

#[tokio::test]
async fn a_subscriber_of_an_organization_sees_only_its_events() {
    let (_folder, node) = node().await;
    for organization in [None, Some("o1"), Some("o2"), Some("o1")] {
        record(&node, organization).await;
    }
    let (first, following) = next(following(&node, 0, Some("o1"), welcome())).await;
    let (second, _) = next(following).await;
    assert_eq!((first, second), (2, 4));
}

#[tokio::test]
async fn no_event_is_sent_while_the_permission_is_unknown_or_after_it_is_gone() {
    let (_folder, node) = node().await;
    record(&node, None).await;
    let asked = AtomicUsize::new(0);
    let status =
        move || if asked.fetch_add(1, Ordering::SeqCst) == 0 { ClientStatus::Unknown } else { ClientStatus::Gone };
    let mut following = following(&node, 0, None, Box::new(move || std::future::ready(status()).boxed()));
    following.asked -= RECHECK;
    assert!(following.next().await.is_none());
}

#[test]
fn only_plain_digits_are_a_last_event_id() {
    let asked = |id: &'static str| {
        last_event_id(&HeaderMap::from_iter([(HeaderName::from_static(LAST_EVENT_ID), id.parse().expect("a header"))]))
    };
    assert!(matches!(asked("0"), Ok(Some(0))));
    assert!(matches!(asked("42"), Ok(Some(42))));
    assert!(matches!(last_event_id(&HeaderMap::new()), Ok(None)));
    for id in ["", "-1", "+1", " 1x", "1.0", "18446744073709551616"] {
        assert!(matches!(asked(id), Err(ApiError::Invalid(_))), "{id}");
    }
}
