//! The real program, killed while it delivers messages: none is lost, and none is sent twice but for an attempt that was
//! cut off.

use crate::messages::mail_server::{Conduct, MailServer};
use crate::messages::{code_to, compose, mail_by, obstacles, until};
use crate::on_both_stores;
use crate::process::{Server, registrar};
use crate::support::Database;
use registrar_aggregates::message::delivery::Obstacle;
use registrar_projections::messages::State;
use std::time::{Duration, Instant};

/// Messages that are under way while the server is killed again and again.
const MESSAGES: usize = 60;
/// Kills at arbitrary moments.
const KILLS: u64 = 4;

fn serve(database: &Database, mails: &MailServer) -> Server {
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_SMTP_URL", mails.url()).env("REGISTRAR_MAIL_FROM", "no-reply@registrar.example");
    Server::spawn(command)
}

async fn begun(mails: &MailServer, transactions: usize) {
    let since = Instant::now();
    while mails.transactions() < transactions {
        assert!(since.elapsed() < Duration::from_secs(60), "no transaction");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

on_both_stores! {
    async fn a_server_killed_amid_an_attempt_sends_the_message_after_its_restart(database) {
        for (conduct, copies) in [(Conduct::Hang, 1), (Conduct::HangAfterContent, 2)] {
            let mails = MailServer::start([conduct]).await;
            let server = serve(&database, &mails);
            let node = database.open_as_program().await;
            let id = compose(&node, &mail_by(&mails.url(), None), code_to("ada@example.com")).await;
            begun(&mails, 1).await;
            if conduct == Conduct::HangAfterContent {
                while mails.mails().is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            drop(server);
            let _server = serve(&database, &mails);
            assert_eq!(until(&node, id, State::Sent).await.attempts, 2);
            assert_eq!(obstacles(&node, id).await, [Obstacle::CutOff]);
            let sent = mails.mails();
            // Whether the server had accepted the message before the kill, no client could know.
            assert_eq!(sent.len(), copies);
            assert!(sent.iter().all(|mail| mail.id == format!("<{id}@registrar.example>")));
        }
    }

    async fn messages_survive_kills_at_arbitrary_moments(database) {
        let mails = MailServer::start([]).await;
        let mut server = serve(&database, &mails);
        let node = database.open_as_program().await;
        let channels = mail_by(&mails.url(), None);
        let mut ids = Vec::new();
        for kill in 0..KILLS {
            let before = mails.transactions();
            for number in 0..MESSAGES / KILLS as usize {
                let address = format!("ada-{kill}-{number}@example.com");
                ids.push(compose(&node, &channels, code_to(&address)).await);
            }
            begun(&mails, before + 1).await;
            tokio::time::sleep(Duration::from_millis(7 * kill)).await;
            server.kill();
            server = serve(&database, &mails);
        }
        let mut sent: Vec<_> = Vec::new();
        for id in ids {
            let message = until(&node, id, State::Sent).await;
            let cut_off = obstacles(&node, id).await;
            assert!(cut_off.iter().all(|obstacle| *obstacle == Obstacle::CutOff), "{message:?}: {cut_off:?}");
            let copies = mails.mails().iter().filter(|mail| mail.id == format!("<{id}@registrar.example>")).count();
            assert!((1..=1 + cut_off.len()).contains(&copies), "{copies} copies after {cut_off:?}");
            sent.push(copies);
        }
        assert_eq!(sent.len(), MESSAGES);
        assert_eq!(sent.iter().sum::<usize>(), mails.mails().len(), "no other message was sent");
        drop(server);
    }
}
