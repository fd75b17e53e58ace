//! Reports on invitations: each report reaches the one that it is about.

use super::publisher::Publisher;
use super::*;

const REQUESTS: &str = "/v1/onboarding-requests/";

/// A provider is invited to Acme, by mail and by a text message; the path of the request.
async fn invited(it: &Identity) -> String {
    let attributes = json!({
        "organization": it.acme,
        "onboard-type": "provider",
        "patient-email": "grace@unknown.example",
        "phone-number": "+13035550123",
        "email-user-now": true,
    });
    let body = json!({ "data": { "type": "onboarding-requests", "attributes": attributes } });
    let request = it.post(&it.admin, REQUESTS, &body).await;
    format!("{REQUESTS}{}/", request["data"]["id"].as_str().unwrap())
}

/// The message of the last invitation of a channel.
async fn message_of(it: &Identity, request: &str, channel: &str) -> MessageId {
    let request = it.get(&it.admin, request).await;
    let id = &request["data"]["attributes"]["last-invite"][channel]["id"];
    MessageId(Uuid::try_parse(id.as_str().unwrap()).unwrap())
}

/// Status and reason of the invitation by mail, and state and bounce of the mail.
async fn mail_of(it: &Identity, request: &str) -> [Value; 4] {
    let request = it.get(&it.admin, request).await;
    let attributes = &request["data"]["attributes"];
    let (invite, delivery) = (&attributes["last-invite"]["email"], &attributes["email-dsn"]["attributes"]);
    [&invite["status"], &invite["error"], &delivery["state"], &delivery["bounce"]].map(Value::clone)
}

on_both_stores! {
    async fn an_invitation_shows_the_last_outcome_of_its_mail(database) {
        let (it, sns) = Publisher::open(&database).await;
        let request = invited(&it).await;
        assert_eq!(mail_of(&it, &request).await, [json!("sent"), Value::Null, json!("sent"), Value::Null], "captured");
        let (mail, address) = (message_of(&it, &request, "email").await, "grace@unknown.example");
        let delayed = bounce_of(mail, address).replace("Action: failed", "Action: delayed").replace("5.1.1", "4.2.2");
        taken(it.mailed(delayed)).await;
        let expected = [json!("sent"), json!("delayed: 4.2.2"), json!("sent"), Value::Null];
        assert_eq!(mail_of(&it, &request).await, expected);
        taken(sns.call(&it, &sns.notification(&delivery(mail, address, "2026-01-31T08:00:02.000Z")))).await;
        let expected = [json!("delivered"), Value::Null, json!("delivered"), Value::Null];
        assert_eq!(mail_of(&it, &request).await, expected);
        // Told late, of a time before.
        let early = bounce(mail, address, "Permanent", "2026-01-31T08:00:01.000Z");
        taken(sns.call(&it, &sns.notification(&early))).await;
        assert_eq!(mail_of(&it, &request).await, expected);
        let returned = bounce(mail, address, "Permanent", "2026-01-31T08:00:03.000Z");
        taken(sns.call(&it, &sns.notification(&returned))).await;
        let reason = json!({ "type": "Permanent", "subtype": "General" });
        let expected = [json!("failed"), json!("bounced: General"), json!("bounced"), reason];
        assert_eq!(mail_of(&it, &request).await, expected);
    }

    async fn a_complaint_is_shown_beside_the_delivery(database) {
        let (it, sns) = Publisher::open(&database).await;
        let request = invited(&it).await;
        let (mail, address) = (message_of(&it, &request, "email").await, "grace@unknown.example");
        let complaint = json!({
            "complainedRecipients": [{ "emailAddress": address }],
            "complaintFeedbackType": "abuse",
            "timestamp": "2026-01-31T08:00:00.000Z",
            "feedbackId": "0102018c-cccc-000000",
        });
        let complaint = notification(mail, address, json!({ "notificationType": "Complaint", "complaint": complaint }));
        taken(sns.call(&it, &sns.notification(&complaint))).await;
        let expected = [json!("delivered"), json!("complained: abuse"), json!("complained"), Value::Null];
        assert_eq!(mail_of(&it, &request).await, expected);
        assert_eq!(attributes(&it.logs("").await, "notification-type"), ["Complaint"]);
    }

    async fn a_late_bounce_leaves_a_corrected_address_alone(database) {
        let it = Identity::open(&database).await;
        let request = invited(&it).await;
        let former = message_of(&it, &request, "email").await;
        let id = request.trim_start_matches(REQUESTS).trim_end_matches('/');
        let attributes = json!({ "email": "hopper@unknown.example" });
        let body = json!({ "data": { "type": "onboarding-requests", "id": id, "attributes": attributes } });
        it.patch(&it.admin, &request, &body).await;
        let body = json!({ "data": { "type": "onboarding-requests-email", "attributes": {} } });
        it.post(&it.admin, &format!("{request}email/"), &body).await;
        taken(it.mailed(bounce_of(former, "grace@unknown.example"))).await;
        assert_eq!(reports(&it, former).await, 1);
        assert_eq!(mail_of(&it, &request).await, [json!("sent"), Value::Null, json!("sent"), Value::Null]);
        assert_ne!(message_of(&it, &request, "email").await, former);
    }

    async fn a_text_message_that_did_not_arrive_has_failed(database) {
        let (it, _sns) = Publisher::open(&database).await;
        let request = invited(&it).await;
        let text = message_of(&it, &request, "sms").await;
        taken(texts::call(&it, text, "MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003")).await;
        let shown = it.get(&it.admin, &request).await;
        let invite = &shown["data"]["attributes"]["last-invite"]["sms"];
        assert_eq!((&invite["status"], &invite["error"]), (&json!("failed"), &json!("bounced: 30003")));
        assert_eq!(mail_of(&it, &request).await[0], "sent");
    }
}
