//! Delivery status notifications, which mail servers send back and a holder of a permission brings.

use super::*;
use registrar::auth::Permission;
use registrar_projections::messages::MessageDocument;

on_both_stores! {
    async fn a_bounce_is_recorded_once(database) {
        let it = Identity::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        let bounce = bounce_of(mail, "ada@example.com");
        taken(it.mailed(bounce.clone())).await;
        taken_for_nothing(&it, it.mailed(bounce.clone())).await;
        // By another way, so that the mail itself differs.
        taken_for_nothing(&it, it.mailed(format!("Received: by relay.example.org\n{bounce}"))).await;
        taken(it.mailed(bounce.replace("Action: failed", "Action: delayed").replace("5.1.1", "4.4.1"))).await;
        assert_eq!(reports(&it, mail).await, 2);
        let rows = it.logs("filter[destination]=ada@example.com").await;
        assert_eq!(attributes(&rows, "bounce-type"), ["Transient", "Permanent"]);
        assert_eq!(attributes(&rows, "bounce-subtype"), ["4.4.1", "5.1.1"]);
    }

    async fn a_mail_about_no_message_of_ours_is_taken_for_nothing(database) {
        let it = Identity::open(&database).await;
        let (mail, number) = (message_to(it.node(), "ada@example.com").await, message_to(it.node(), "+12025550123").await);
        let foreign = bounce_of(mail, "ada@example.com").replace(&format!("<{mail}@"), "<other@");
        let handed_on = bounce_of(mail, "ada@example.com").replace("Action: failed", "Action: relayed");
        let unknown = bounce_of(MessageId(Uuid::now_v7()), "ada@example.com");
        for report in [foreign, handed_on, unknown, bounce_of(number, "ada@example.com")] {
            taken_for_nothing(&it, it.mailed(report)).await;
        }
    }

    async fn a_mail_about_a_message_to_an_erased_person_is_taken_for_nothing(database) {
        let it = Identity::open(&database).await;
        // This node has not cached the key.
        let other = database.open().await;
        let mail = message_to(&other, "ada@example.com").await;
        let message = other.documents.find::<MessageDocument>(&mail.to_string()).await.unwrap().value.unwrap();
        database.erase(message.recipient).await;
        taken_for_nothing(&it, it.mailed(bounce_of(mail, "ada@example.com"))).await;
        assert_eq!(reports(&it, mail).await, 0);
    }

    async fn an_outcome_of_a_time_that_no_mail_server_knew_is_of_1970(database) {
        let it = Identity::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        let bounce = bounce_of(mail, "ada@example.com");
        let date = "Last-Attempt-Date: Mon, 30 Nov 2026 10:00:07 +0100 (CET)";
        assert!(bounce.contains(date));
        taken(it.mailed(bounce.replace(date, "Last-Attempt-Date: 1 Jan 1900 00:00:00 +0000"))).await;
        let rows = it.logs("filter[destination]=ada@example.com").await;
        assert_eq!(attributes(&rows, "timestamp")[0], "1970-01-01 00:00:00");
    }

    async fn a_mail_that_is_no_notification_is_refused(database) {
        let it = Identity::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        let bounce = bounce_of(mail, "ada@example.com");
        for report in ["", "Subject: Out of office\n\nI am away.", &bounce.replace("multipart/report", "multipart/mixed")] {
            let answer = refused(&it, it.mailed(report), 400).await;
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        refused(&it, it.mailed("x".repeat(1024 * 1024 + 1)), 413).await;
        for kind in ["application/json", "text/plain", "message/rfc8222"] {
            let call = it.app.call("POST", DSN).header("content-type", kind).bytes(bounce.clone());
            refused(&it, call, 415).await;
        }
        refused(&it, it.app.call("POST", DSN).bytes(bounce), 415).await;
    }

    async fn only_holders_of_the_permission_report(database) {
        let it = Identity::open(&database).await;
        let mail = message_to(it.node(), "ada@example.com").await;
        let bounce = bounce_of(mail, "ada@example.com");
        let token = async |permission| it.app.token_of(&it.app.caller, Some(vec![permission])).await;
        let narrow = token(Permission::OrganizationsWrite).await;
        refused(&it, it.mailed(bounce.clone()).token(None), 401).await;
        for other in [&narrow, &it.admin.token, &it.service.token] {
            refused(&it, it.mailed(bounce.clone()).token(Some(other)), 403).await;
        }
        taken(it.mailed(bounce).token(Some(&token(Permission::MessagesReport).await))).await;
        let stored = it.node().journal.stream("message", &mail.to_string(), 0).await.unwrap();
        let metadata: Value = serde_json::from_str(&stored.last().unwrap().metadata).unwrap();
        assert_eq!(metadata["actor"]["id"], json!(it.app.caller), "{metadata}");
    }
}
