//! Complete requests over HTTP, with keep-alive connections.

use super::{Bench, in_process::lines};
use crate::client::Client;
use crate::contenders::over_http::{ADMINS, HttpContender, Requests, StoredCheck};
use crate::directories::person_id;
use crate::peers::{self, Peer};
use crate::report::{Goal, Line, Side};
use crate::rounds::{Round, Subject};
use std::sync::Arc;

const STORED_BY_STOCK: &str =
    "SELECT least((SELECT count(*) FROM events), (SELECT sum(version) FROM admin_view))::bigint";
const STORED_BY_CRUD: &str = "SELECT least((SELECT count(*) FROM audit), (SELECT sum(version) FROM admins))::bigint";

pub(super) async fn commands(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let mut found = Vec::new();
    for clients in bench.clients(&[1, 64]) {
        let (ours, guard) = (bench.servers.database().await?, bench.servers.database().await?);
        let (stock, crud) = (bench.servers.database().await?, bench.servers.database().await?);
        let (token, guard_token) = (ours.token().await?, guard.token().await?);
        let served = Arc::new(ours.serve().await?);
        let stock_served = Arc::new(peers::start(Peer::Stock, &stock, &guard, bench.connections(clients), 0).await?);
        let crud_served = Arc::new(peers::start(Peer::Crud, &crud, &guard, bench.connections(clients), 0).await?);
        let subjects: Vec<Box<dyn Subject>> = vec![
            Box::new(HttpContender::new(
                "Registrar over HTTP",
                &served,
                &token,
                Requests::Commands,
                StoredCheck::Registrar(ours.clone()),
            )),
            Box::new(HttpContender::new(
                "axum + cqrs-es + postgres-es",
                &stock_served,
                &guard_token,
                Requests::Commands,
                StoredCheck::Count(stock.clone(), STORED_BY_STOCK),
            )),
            Box::new(HttpContender::new(
                "axum + sqlx, audited CRUD",
                &crud_served,
                &guard_token,
                Requests::Commands,
                StoredCheck::Count(crud.clone(), STORED_BY_CRUD),
            )),
        ];
        let measured = bench.measure(&subjects, clients).await?;
        drop((subjects, served, stock_served, crud_served));
        for database in [ours, guard, stock, crud] {
            bench.servers.drop(database).await?;
        }
        let goal = |bound| (clients == 64).then_some(Goal::AtLeast(bound));
        found.extend(lines("commands over HTTP, PostgreSQL", clients, &measured, &[goal(3.0), goal(1.3)])?);
    }
    Ok(found)
}

pub(super) async fn reads(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let admins = bench.options.few_admins;
    let directory = bench.directories.of(&bench.servers, admins).await?;
    let token = directory.token().await?;
    let served = Arc::new(directory.serve().await?);
    let mut client = Client::connect(&served.address, &token).await?;
    let size = client.get(&format!("{ADMINS}/{}", person_id(0))).await?.len();
    let constant = Arc::new(peers::start(Peer::Constant, &directory, &directory, 1, size).await?);
    let mut found = Vec::new();
    for clients in bench.clients(&[1, 64]) {
        let reads = Requests::Reads(admins);
        let subjects: Vec<Box<dyn Subject>> = vec![
            Box::new(HttpContender::new("Registrar over HTTP", &served, &token, reads.clone(), StoredCheck::Nothing)),
            Box::new(HttpContender::new("axum, a constant", &constant, &token, reads, StoredCheck::Nothing)),
        ];
        let measured = bench.measure(&subjects, clients).await?;
        let sides = (Side::of(&measured[0], Round::per_second)?, Side::of(&measured[1], Round::per_second)?);
        let line = Line::new("GET by id over HTTP", "requests/s", sides.0, Some(sides.1)).at(clients);
        let goal = (clients == 64).then_some(Goal::AtLeast(0.6));
        found.push(
            line.goal(goal).note(format!("Answers of {size} bytes; the constant is checked for its bearer too.")),
        );
    }
    Ok(found)
}
