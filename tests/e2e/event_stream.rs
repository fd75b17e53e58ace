//! The event feed over HTTP: from any position, in order, and only while the caller is authorized.

use crate::on_both_stores;
use crate::publishing::harness::commit;
use crate::support::{context, registration};
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, Response, StatusCode};
use futures::StreamExt;
use registrar::api::{self, ApiSettings, AppState};
use registrar::auth::{Authenticator, PasswordHasher, Permission, TokenRequest, permissions};
use registrar::node::Node;
use registrar::publisher::PublisherStatus;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, ListEdit};
use registrar_aggregates::values::AdminId;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;
use uuid::Uuid;

/// Longest wait for a frame.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server without a socket, and an admin with every permission.
struct Server {
    node: Arc<Node>,
    state: AppState,
    admin: Uuid,
}

impl Server {
    async fn over(node: Arc<Node>) -> Self {
        let authenticator = Authenticator::open(&node, "http://registrar.test".into()).await.unwrap();
        let passwords = Arc::new(PasswordHasher::new(1, 1));
        let settings = ApiSettings::default();
        let state =
            AppState::new(Arc::clone(&node), Arc::new(authenticator), passwords, PublisherStatus::default(), settings);
        let server = Server { node, state, admin: Uuid::now_v7() };
        server.execute(registration(server.admin, None)).await;
        let grant = ListEdit::Insert { at: None, entry: permissions::ADMINISTRATOR.id.into() };
        server.execute(AdminCommand::Amend(vec![AdminChange::Policies(grant)], Granter::System)).await;
        server
    }

    async fn execute(&self, command: AdminCommand) {
        self.node.executor.execute::<Admin>(&context(), &self.admin.to_string(), command, None).await.unwrap();
    }

    async fn token(&self, ttl: Duration, permissions: Option<Vec<Permission>>) -> String {
        let request = TokenRequest { admin_id: AdminId(self.admin), ttl, organization: None, permissions };
        self.state.authenticator.issue(&self.node, &context(), request).await.unwrap()
    }

    async fn head(&self) -> u64 {
        self.node.journal.head().await.unwrap().position
    }

    async fn get(&self, path: &str, token: &str, last_event_id: Option<&str>) -> Response<Body> {
        let mut request = Request::get(path).header("Authorization", format!("Bearer {token}"));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        api::router(self.state.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn follow(&self, path: &str, token: &str, last_event_id: Option<&str>) -> Frames {
        let response = self.get(path, token, last_event_id).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Frames { body: response.into_body().into_data_stream(), text: String::new() }
    }
}

struct Frame {
    id: u64,
    event: String,
    data: Value,
}

/// The frames that a client receives, parsed according to the standard of server-sent events.
struct Frames {
    body: BodyDataStream,
    text: String,
}

impl Frames {
    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if !block.starts_with(':') {
                    return Some(Frame::parse(&block));
                }
            }
            let bytes = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("no frame came")?.unwrap();
            self.text += std::str::from_utf8(&bytes).unwrap();
        }
    }

    async fn positions(&mut self, count: usize) -> Vec<u64> {
        let mut positions = Vec::new();
        while positions.len() < count {
            positions.push(self.next().await.expect("the stream goes on").id);
        }
        positions
    }

    async fn ends(&mut self) {
        while self.next().await.is_some() {}
    }
}

impl Frame {
    fn parse(block: &str) -> Self {
        let field = |name: &str| {
            let mut values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let value = values.next().unwrap_or_else(|| panic!("{name} in {block}")).to_owned();
            assert_eq!(values.next(), None, "{block}");
            value
        };
        Frame {
            id: field("id").parse().unwrap(),
            event: field("event"),
            data: serde_json::from_str(&field("data")).unwrap(),
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

on_both_stores! {
    async fn a_follower_gets_everything_after_its_position_and_what_happens_then(database) {
        let server = Server::over(database.open().await).await;
        let token = server.token(HOUR, None).await;
        let mut frames = server.follow("/events/stream?after=0", &token, None).await;
        let head = server.head().await;
        assert_eq!(frames.positions(usize::try_from(head).unwrap()).await, (1..=head).collect::<Vec<_>>());
        server.execute(AdminCommand::Amend(vec![AdminChange::Policies(ListEdit::Insert { at: None, entry: "p".into() })], Granter::System)).await;
        let frame = frames.next().await.unwrap();
        assert_eq!((frame.id, frame.event.as_str()), (head + 1, "registrar.admin.grants-amended"));
        assert_eq!((&frame.data["id"], &frame.data["type"]), (&frame.id.to_string().into(), &frame.event.into()));
        assert_eq!(frame.data["subject"], format!("admin/{}", server.admin));
    }

    async fn a_client_that_does_not_read_misses_nothing(database) {
        let server = Server::over(database.open().await).await;
        let token = server.token(HOUR, None).await;
        let from = server.head().await;
        let mut frames = server.follow("/events/stream", &token, None).await;
        let head = commit(&server.node, 2_000).await;
        assert_eq!(frames.positions(2_000).await, (from + 1..=head).collect::<Vec<_>>());
    }
}

async fn sqlite() -> (crate::support::Database, Server) {
    let database = crate::support::Database::sqlite();
    let server = Server::over(database.open().await).await;
    (database, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_header_wins_over_the_query_and_without_either_it_begins_at_the_head() {
    let (_database, server) = sqlite().await;
    let token = server.token(HOUR, None).await;
    let head = server.head().await;
    let mut resumed = server.follow("/events/stream?after=0", &token, Some(&(head - 1).to_string())).await;
    let mut fresh = server.follow("/events/stream", &token, None).await;
    assert_eq!(resumed.positions(1).await, [head]);
    commit(&server.node, 1).await;
    assert_eq!((resumed.positions(1).await, fresh.positions(1).await), (vec![head + 1], vec![head + 1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_position_is_refused() {
    let (_database, server) = sqlite().await;
    let token = server.token(HOUR, None).await;
    for (path, last_event_id, status) in [
        ("/events/stream?after=x", None, StatusCode::BAD_REQUEST),
        ("/events/stream?after=-1", None, StatusCode::BAD_REQUEST),
        ("/events/stream?after=1&after=2", None, StatusCode::BAD_REQUEST),
        ("/events/stream", Some("x"), StatusCode::BAD_REQUEST),
        ("/events/stream", Some(""), StatusCode::BAD_REQUEST),
        ("/events/stream?after=1000", None, StatusCode::NOT_FOUND),
        ("/events/stream?after=0", Some("1000"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(server.get(path, &token, last_event_id).await.status(), status, "{path} {last_event_id:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_callers_who_may_read_events_may_follow() {
    let (_database, server) = sqlite().await;
    let narrow = server.token(HOUR, Some(vec![Permission::AuditRead])).await;
    for (token, status) in [(narrow.as_str(), StatusCode::FORBIDDEN), ("forged", StatusCode::UNAUTHORIZED)] {
        assert_eq!(server.get("/events/stream", token, None).await.status(), status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_ends_with_the_token_or_the_admin() {
    let (_database, server) = sqlite().await;
    let long = server.token(HOUR, None).await;
    let short = server.token(Duration::from_secs(3), None).await;
    let mut until_the_token_ends = server.follow("/events/stream", &short, None).await;
    until_the_token_ends.ends().await;
    let mut until_the_admin_is_out = server.follow("/events/stream", &long, None).await;
    server.execute(AdminCommand::Deactivate(Granter::System)).await;
    until_the_admin_is_out.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_receives_no_personal_data() {
    let (_database, server) = sqlite().await;
    let token = server.token(HOUR, None).await;
    let head = server.head().await;
    let mut frames = server.follow("/events/stream?after=0", &token, None).await;
    for _ in 0..head {
        let data = frames.next().await.unwrap().data.to_string();
        // Quoted, since the three letters alone occur in keys by chance.
        for told in ["\"Ada\"", "Ada ", "Lovelace", "ada@example.org", "\"sealed\""] {
            assert!(!data.contains(told), "{told} in {data}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_caller_may_read_the_asyncapi_document() {
    let (_database, server) = sqlite().await;
    let request = Request::get("/asyncapi.json").body(Body::empty()).unwrap();
    let response = api::router(server.state.clone()).oneshot(request).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["asyncapi"], "3.0.0");
}
