//! Messages to people who were erased before they were sent, or read.

use super::gateway::GatewayServer;
use super::mail_server::MailServer;
use super::{CODE, Deliveries, code_to, compose, events, mail_by, texts, texts_by, until};
use crate::on_both_stores;
use registrar::messages::channels::Channels;
use registrar::messages::inbox::InboxReader;
use registrar_aggregates::message::delivery::{MessageEvent, Obstacle};
use registrar_projections::messages::State;

on_both_stores! {
    async fn a_message_to_an_erased_person_fails_without_being_sent(database) {
        let (mails, gateway) = (MailServer::start([]).await, GatewayServer::start([]).await);
        let channels = Channels { texts: texts_by(&gateway).texts, ..mail_by(&mails.url(), None) };
        let node = database.open().await;
        let mut unsent = Vec::new();
        for address in ["ada@example.com", "+12025550123"] {
            let order = code_to(address);
            let recipient = order.recipient;
            unsent.push(compose(&node, &channels, order).await);
            database.erase(recipient).await;
        }
        let other = compose(&node, &channels, code_to("grace@example.com")).await;

        // Another node has not cached the keys.
        let node = database.open().await;
        let _deliveries = Deliveries::start(&node, &channels);
        for id in unsent {
            let failed = until(&node, id, State::Failed).await;
            assert_eq!((failed.attempts, failed.obstacle, failed.answer), (1, Some(Obstacle::Erased), None));
            assert!(texts(&node, id).await.is_none());
            let events = events(&node, id).await;
            let [MessageEvent::Composed(_), MessageEvent::AttemptStarted { .. }, MessageEvent::Failed { .. }] = &*events
            else {
                panic!("{events:?}")
            };
        }
        until(&node, other, State::Sent).await;
        let sent: Vec<_> = mails.mails().into_iter().map(|mail| mail.to).collect();
        assert_eq!((sent, mails.transactions(), gateway.requests().len()), (vec!["grace@example.com".to_owned()], 1, 0));
    }

    async fn a_captured_message_of_an_erased_person_is_not_read(database) {
        let (node, none) = (database.open().await, Channels::default());
        let order = code_to("ada@example.com");
        let recipient = order.recipient;
        compose(&node, &none, order).await;
        let kept = compose(&node, &none, code_to("grace@example.com")).await;
        database.erase(recipient).await;
        let another = database.open().await;
        let read = InboxReader::default().next(&another).await.unwrap();
        let [captured] = &*read else { panic!("{} messages", read.len()) };
        assert_eq!(captured.message.id, kept);
        assert!(captured.is_to("grace@example.com") && captured.to_json().to_string().contains(CODE));
    }
}
