//! The API during an outage of its database: it answers 503, and recovers by itself.

use crate::ecg_app::{ADMINS, App, NOBODY, minimal, path_of};
use crate::support::Database;
use futures::future::join_all;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A proxy to a database server, which can be cut and restored.
pub struct DatabaseProxy {
    pub near: SocketAddr,
    far: String,
    carrying: JoinHandle<()>,
}

impl DatabaseProxy {
    /// Starts a proxy to the server of a database, which is then reached through it alone.
    pub async fn before(database: &mut Database) -> Self {
        let url = database.settings.database_url.clone().unwrap();
        let server = url.rsplit_once('@').unwrap().1.split('/').next().unwrap();
        let line = DatabaseProxy::to(server).await;
        database.settings.database_url = Some(url.replace(server, &line.near.to_string()));
        line
    }

    pub async fn to(far: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap();
        DatabaseProxy { near, far: far.to_owned(), carrying: tokio::spawn(carry(listener, far.to_owned())) }
    }

    /// Ends every connection and refuses new ones.
    pub async fn cut(&mut self) {
        self.carrying.abort();
        let _ = (&mut self.carrying).await;
    }

    pub async fn mend(&mut self) {
        let listener = TcpListener::bind(self.near).await.unwrap();
        self.carrying = tokio::spawn(carry(listener, self.far.clone()));
    }
}

async fn carry(listener: TcpListener, far: String) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let far = far.clone();
        connections.spawn(async move {
            let mut far = TcpStream::connect(far).await?;
            tokio::io::copy_bidirectional(&mut near, &mut far).await
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_neither_empty_nor_an_authority() {
    let mut database = Database::postgres().await;
    let mut line = DatabaseProxy::before(&mut database).await;
    let app = App::open(&database).await;
    let admin = app.create(&minimal("Ada", "Lovelace")).await;
    let path = path_of(&admin);

    line.cut().await;
    let operations = [
        ("GET", ADMINS.to_owned()),
        ("POST", ADMINS.to_owned()),
        ("GET", path.clone()),
        ("GET", format!("{ADMINS}/{NOBODY}")),
        ("PATCH", path.clone()),
        ("POST", format!("{path}/deactivate")),
        ("GET", format!("{path}/audit-trails")),
        ("GET", format!("{ADMINS}/audit-trails")),
    ];
    // Concurrently, since each request waits for a connection for a while.
    let answers = operations.iter().map(|(method, path)| {
        let body = if *method == "PATCH" { json!([]) } else { minimal("Alan", "Turing") };
        app.call(method, path).json(&body).send()
    });
    for (answer, operation) in join_all(answers).await.into_iter().zip(&operations) {
        assert_eq!(answer.header("retry-after"), "1", "{operation:?}: {answer:?}");
        assert_eq!(answer.refused(503), "Service temporarily unavailable, try again", "{operation:?}");
    }
    assert_eq!(app.call("GET", "/healthz").token(None).send().await.status, 200);
    let ready = app.call("GET", "/readyz").token(None).send().await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (503, &json!("not ready")));

    line.mend().await;
    let back = async {
        while app.get(ADMINS).await.status != 200 {
            tokio::task::yield_now().await;
        }
        while app.post(ADMINS, &minimal("Alan", "Turing")).await.status != 201 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.unwrap();
    assert_eq!(app.get(&path).await.ok(), admin);
}
