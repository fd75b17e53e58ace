//! The servers that Registrar's is compared with: axum, the bearer check of Registrar, and a contender behind it. Each
//! runs in a process of its own, as Registrar does.

use crate::contenders::crud::{Crud, Style};
use crate::contenders::over_http::{ACCESS, ADMINS};
use crate::contenders::stock::{self, AdminView, StockPostgres};
use crate::server::{Database, RunningServer, master_key};
use crate::workload::person;
use anyhow::Context;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use registrar::api::common::boundary::boundary;
use registrar::api::{ApiSettings, AppState};
use registrar::auth::{Authenticator, PasswordHasher, Permission};
use registrar::node::{Node, StoreSettings};
use registrar::publisher::PublisherStatus;
use registrar_aggregates::admin::{AdminChange, AdminCommand, Granter, PersonText, Registration};
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;
use uuid::Uuid;

const ANNOUNCED: &str = "Answers at ";

/// The contender behind the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// cqrs-es + postgres-es.
    Stock,
    /// Audited CRUD, in a transaction of several statements.
    Crud,
    /// No contender: an answer of constant size.
    Constant,
}

/// The arguments of a peer, for the hidden sub-command `peer`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PeerArgs {
    #[arg(value_enum)]
    peer: Peer,
    /// The peer's own database.
    #[arg(long)]
    database_url: String,
    /// A database of Registrar, for the bearer check.
    #[arg(long)]
    guard_url: String,
    #[arg(long)]
    data: PathBuf,
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Bytes of the constant answer.
    #[arg(long, default_value_t = 1_000)]
    size: usize,
}

/// Starts a peer in a process of its own.
pub(crate) async fn start(
    peer: Peer,
    database: &Database,
    guard: &Database,
    connections: u32,
    size: usize,
) -> anyhow::Result<RunningServer> {
    let mut command = Command::new(std::env::current_exe()?);
    let name = match peer {
        Peer::Stock => "stock",
        Peer::Crud => "crud",
        Peer::Constant => "constant",
    };
    command.args(["peer", name, "--database-url", &database.url, "--guard-url", &guard.url]);
    command.arg("--data").arg(guard.settings().data).arg(format!("--connections={connections}"));
    command.arg(format!("--size={size}")).stdin(Stdio::null());
    RunningServer::start(command, ANNOUNCED).await
}

/// Serves a peer until the process is ended.
#[expect(clippy::print_stdout, reason = "how the caller learns the address")]
pub(crate) async fn serve(args: PeerArgs) -> anyhow::Result<()> {
    let settings = StoreSettings { database_url: Some(args.guard_url), data: args.data, archives: None };
    let node = Arc::new(Node::open(&settings, &master_key()?).await?);
    let authenticator = Authenticator::open(&node, "http://bench.example".into()).await?.accepting_any_issuer();
    let (passwords, publisher) = (Arc::new(PasswordHasher::new(1, 1)), PublisherStatus::default());
    let app = AppState::new(node, Arc::new(authenticator), passwords, publisher, ApiSettings::default());
    let router = match args.peer {
        Peer::Stock => {
            let stock = Arc::new(stock::postgres(&args.database_url, args.connections).await?);
            let routes = Router::new().route(ADMINS, post(stock_create));
            routes.route(&format!("{ADMINS}/{{id}}"), patch(stock_patch)).with_state(stock)
        }
        Peer::Crud => {
            let crud = Arc::new(Crud::open(&args.database_url, args.connections, Style::Transaction).await?);
            let routes = Router::new().route(ADMINS, post(crud_create));
            routes.route(&format!("{ADMINS}/{{id}}"), patch(crud_patch)).with_state(crud)
        }
        Peer::Constant => {
            let answer = Bytes::from("x".repeat(args.size));
            let routes = Router::new().route(&format!("{ADMINS}/{{id}}"), get(constant));
            routes.route(ACCESS, post(constant)).with_state(answer)
        }
    };
    let mut router = router.route_layer(from_fn_with_state(app.clone(), checked));
    if args.peer == Peer::Constant {
        // The floor of Registrar's server needs the same layers around it: deadline, request id, headers, metrics.
        router = router.layer(from_fn_with_state(app, boundary));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{ANNOUNCED}http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, router).await?)
}

/// The bearer check of Registrar, with the same permission.
async fn checked(State(app): State<AppState>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let permission = match *request.method() {
        Method::POST => Permission::EcgAdminsCreate,
        Method::PATCH => Permission::EcgAdminsUpdate,
        _ => Permission::EcgAdminsRead,
    };
    match app.authenticator.authenticate(&app.node, &app.node.documents, authorization).await {
        Ok(principal) if principal.may(permission) => next.run(request).await,
        Ok(_) => StatusCode::FORBIDDEN.into_response(),
        Err(_) => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// An error of a peer; its text is for the user of the bench.
struct PeerError(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for PeerError {
    fn from(error: E) -> Self {
        PeerError(error.into())
    }
}

impl IntoResponse for PeerError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", self.0)).into_response()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewAdmin {
    person: NewPerson,
    #[serde(default)]
    policies: Vec<String>,
    addresses: Vec<Value>,
    phone_numbers: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPerson {
    first_name: String,
    last_name: String,
    contact_email_address: Option<String>,
}

impl NewAdmin {
    fn registration(self) -> anyhow::Result<Box<Registration>> {
        anyhow::ensure!(self.addresses.is_empty() && self.phone_numbers.is_empty(), "nobody sends any here");
        let mut registration = person(Uuid::now_v7());
        registration.policies = self.policies;
        registration.person.first_name = self.person.first_name;
        registration.person.last_name = self.person.last_name;
        registration.person.email_address = self.person.contact_email_address;
        Ok(Box::new(registration))
    }
}

#[derive(Deserialize)]
struct Operation {
    op: String,
    path: String,
    value: String,
}

/// The new first name; the bench patches nothing else.
fn first_name(operations: Vec<Operation>) -> anyhow::Result<String> {
    let operation = operations.into_iter().next().context("nothing to do")?;
    anyhow::ensure!(operation.op == "replace" && operation.path == "/person/firstName", "not patched here");
    Ok(operation.value)
}

/// Answers the view, as the demo of cqrs-es does.
async fn stock_view(stock: &StockPostgres, id: &str) -> anyhow::Result<Json<Value>> {
    let AdminView { version, active, admin } = stock.view(id).await?.context("no view")?;
    let mut answer = serde_json::to_value(admin.context("no admin")?)?;
    answer["version"] = version.into();
    answer["active"] = active.into();
    Ok(Json(answer))
}

async fn stock_create(
    State(stock): State<Arc<StockPostgres>>,
    Json(admin): Json<NewAdmin>,
) -> Result<(StatusCode, Json<Value>), PeerError> {
    let registration = admin.registration()?;
    let id = registration.id.to_string();
    stock.command(&id, AdminCommand::Register(registration, Granter::System)).await?;
    Ok((StatusCode::CREATED, stock_view(&stock, &id).await?))
}

async fn stock_patch(
    State(stock): State<Arc<StockPostgres>>,
    Path(id): Path<String>,
    Json(operations): Json<Vec<Operation>>,
) -> Result<Json<Value>, PeerError> {
    let change = AdminChange::PersonText(PersonText::FirstName, Some(first_name(operations)?));
    stock.command(&id, AdminCommand::Amend(vec![change], Granter::System)).await?;
    Ok(stock_view(&stock, &id).await?)
}

/// The row, with the person as a nested object.
fn crud_admin(mut row: Value) -> Json<Value> {
    let names = ["salutation", "first_name", "last_name", "suffix", "email_address"];
    let person = names.map(|name| (name.to_owned(), row[name].take()));
    row["person"] = Value::Object(person.into_iter().collect());
    Json(row)
}

async fn crud_create(
    State(crud): State<Arc<Crud>>,
    Json(admin): Json<NewAdmin>,
) -> Result<(StatusCode, Json<Value>), PeerError> {
    Ok((StatusCode::CREATED, crud_admin(crud.register(admin.registration()?).await?)))
}

async fn crud_patch(
    State(crud): State<Arc<Crud>>,
    Path(id): Path<Uuid>,
    Json(operations): Json<Vec<Operation>>,
) -> Result<Json<Value>, PeerError> {
    Ok(crud_admin(crud.rename(id, &first_name(operations)?).await?))
}

async fn constant(State(answer): State<Bytes>) -> Response {
    ([(CONTENT_TYPE, "application/json")], answer).into_response()
}
