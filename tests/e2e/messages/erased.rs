//! Messages to people who were erased before they were sent, or read.

use super::gateway::GatewayServer;
use super::mail_server::MailServer;
use super::{CODE, Deliveries, code_to, compose, events, mail_by, texts, texts_by, until};
use crate::on_both_stores;
use crate::support::*;
use chrono::Utc;
use registrar::messages::channels::Channels;
use registrar::messages::compose::MessageOrder;
use registrar::messages::inbox::InboxReader;
use registrar_aggregates::message::Channel;
use registrar_aggregates::message::delivery::{About, AboutKind, MessageEvent, Obstacle};
use registrar_aggregates::onboarding::{Invitation, OnboardKind, Onboarding, OnboardingCommand, Request};
use registrar_aggregates::user::{Locale, Role};
use registrar_aggregates::values::{EmailAddress, OnboardingRequestId, OrganizationId, RecipientId, UserId};
use registrar_projections::messages::State;
use std::collections::BTreeSet;
use uuid::Uuid;

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

    async fn an_invitation_of_an_erased_person_keeps_no_message_in_the_queue(database) {
        let server = MailServer::start([]).await;
        let (node, channels) = (database.open().await, mail_by(&server.url(), None));
        let id = OnboardingRequestId(Uuid::now_v7());
        let (holder, stream) = (RecipientId(id.0), id.to_string());
        let request = Request {
            id,
            organization_id: OrganizationId(Uuid::now_v7()),
            kind: OnboardKind::Provider,
            individual_id: None,
            email: EmailAddress::parse("ada@example.com").ok(),
            phone: None,
            roles: [Role::Provider].into(),
            groups: BTreeSet::new(),
            notifications: vec![Channel::Email],
            auto_confirm: false,
            auto_sign_up: false,
            locale: Locale::EnUs,
            created_by: UserId(Uuid::now_v7()),
            user_id: None,
            holder,
        };
        let create = OnboardingCommand::Create(Box::new(request));
        node.executor.execute::<Onboarding>(&context(), &stream, create, None).await.unwrap();
        let about = About { kind: AboutKind::OnboardingRequest, id: id.0 };
        let order = MessageOrder { recipient: holder, about, ..code_to("ada@example.com") };
        let message = compose(&node, &channels, order).await;
        let at = Utc::now();
        let (channel, digest) = (Channel::Email, "ZGlnZXN0".to_owned());
        let invite = OnboardingCommand::Invite(Invitation { message, channel, digest, at, expires_at: at });
        node.executor.execute::<Onboarding>(&context(), &stream, invite, None).await.unwrap();
        database.erase(holder).await;
        let other = compose(&node, &channels, code_to("grace@example.com")).await;

        // Another node has not cached the key.
        let node = database.open().await;
        let _deliveries = Deliveries::start(&node, &channels);
        assert_eq!(until(&node, message, State::Failed).await.obstacle, Some(Obstacle::Erased));
        until(&node, other, State::Sent).await;
        assert_eq!(node.journal.stream("onboarding-request", &stream, 0).await.unwrap().len(), 2);
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
