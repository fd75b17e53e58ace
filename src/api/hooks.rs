//! Reports about messages, where their senders bring them: Amazon SNS, mail servers, the gateway of text messages.
//!
//! Amazon and the gateway have no account here. Their requests are public, bounded, and prove by a signature who sent
//! them; without it nothing is stored, and the answer is 403 for every reason. A report about an unknown message is
//! answered like any other, so that it tells nothing. A repeated report changes nothing, with or without an
//! `Idempotency-Key`.

use crate::api::AppState;
use crate::api::common::boundary::{self, read_body};
use crate::api::common::commit::Write;
use crate::api::common::json::has_type;
use crate::api::common::routes::{guarded, public, public_up_to};
use crate::api::common::{ApiError, Caller};
use crate::auth::Permission;
use crate::committer::idempotency::Answer;
use crate::executor::{Outcome, RequestContext};
use crate::journal::JournalError;
use crate::messages::reports::sns::{SnsError, SnsMessage};
use crate::messages::reports::{self, MessageReadings, dsn, ses, status};
use crate::security::{Event, Line};
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use registrar_aggregates::values::MessageId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

const TAG: &str = "Reports";
/// Largest message of SNS that is read, in bytes. A notification about a mail of ours has some thousand.
const SNS_BODY_MAX_BYTES: usize = 128 * 1024;
/// Content type of a mail.
const MAIL: &str = "message/rfc822";
/// Header with the signature of the gateway.
const GATEWAY_SIGNATURE: &str = "x-twilio-signature";

/// The routes. Those of senders without an account are public; the senders sign.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(public_up_to(SNS_BODY_MAX_BYTES, routes!(receive_ses_report)))
        .routes(guarded(Permission::MessagesReport, routes!(receive_mail_report)))
        .routes(public(routes!(receive_text_status)))
}

/// Takes a notification of Amazon SES, as SNS sends it by a topic of `REGISTRAR_SNS_TOPICS`, and confirms the
/// subscription of such a topic.
#[utoipa::path(post, path = "/hooks/mail/ses", operation_id = "receiveSesReport", tag = TAG,
    request_body(
        content = String,
        content_type = "text/plain",
        description = "JSON message of Amazon SNS, signed in version 1 or 2. The notification has the original headers.",
    ),
    responses(
        (status = 204, description = "The notification was taken, or it says nothing about a message of ours."),
        (status = 400, description = "This is no message of SNS."),
        (status = 403, description = "No permitted topic has signed it within the last hour."),
        (status = 413, description = "It is too long."),
        (status = 503, description = "It cannot be checked or confirmed at the moment."),
    ))]
async fn receive_ses_report(State(app): State<AppState>, request: Request) -> Result<StatusCode, ApiError> {
    let operation = "receiveSesReport";
    let topics = app.settings.reports.topics.clone().ok_or_else(|| forged(operation, "no topic may report"))?;
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.extensions, body).await?;
    let message = topics.open(&body, Utc::now()).await.map_err(|error| match error {
        SnsError::Malformed => ApiError::invalid("body must be a message of Amazon SNS"),
        SnsError::Forged(reason) => forged(operation, reason),
        SnsError::Unreachable(source) => ApiError::Unavailable(source.map(Into::into)),
    })?;
    if let SnsMessage::Notification(text) = message
        && let Some(found) = ses::read(&text)
    {
        record(&app, &parts.extensions, found).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a delivery status notification (RFC 3464), as a mail server sends it back.
#[utoipa::path(post, path = "/hooks/mail/dsn", operation_id = "receiveMailReport", tag = TAG,
    request_body(content = String, content_type = "message/rfc822", description = "The mail as it came back."),
    responses(
        (status = 204, description = "The notification was taken, or it says nothing about a message of ours."),
        (status = 400, description = "The mail is no delivery status notification."),
        (status = 401, description = "No valid token."),
        (status = 403, description = "The caller may not report."),
        (status = 413, description = "The mail is too long."),
        (status = 415, description = "The body is no mail."),
    ))]
async fn receive_mail_report(
    State(app): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    if !has_type(request.headers(), &[MAIL]) {
        return Err(ApiError::UnsupportedMediaType { expected: MAIL });
    }
    let (parts, body) = request.into_parts();
    let mail = read_body(&parts.extensions, body).await?;
    // A mail that strangers wrote: a panic of the parser is no more than a mail that cannot be read.
    let found = tokio::task::spawn_blocking(move || dsn::read(&mail)).await.ok().flatten();
    let refused = || ApiError::invalid("body must be a delivery status notification (RFC 3464)");
    let MessageReadings { message, readings } = found.ok_or_else(refused)?;
    let message = if readings.is_empty() { None } else { reports::find(&app.node, message).await? };
    let Some(message) = message else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let store = async |context: &RequestContext| reports::record(&app.node, context, &message, readings).await;
    let write = Write::answered_with(&caller.context, |_: &Outcome| Some(taken()));
    let committed = write.carry_out(store).await?;
    committed.response().ok_or_else(|| ApiError::internal("a report was stored without an answer"))
}

/// Takes the status of a text message, as the gateway of `REGISTRAR_SMS_URL` sends it to the address that it got with the
/// message.
#[utoipa::path(post, path = "/hooks/sms/status", operation_id = "receiveTextStatus", tag = TAG,
    params(
        ("message" = String, Query, description = "Identifier of the message."),
        ("X-Twilio-Signature" = String, Header, description = "HMAC-SHA1 of the address and the form, by the gateway's token."),
    ),
    request_body(
        content = Object,
        content_type = "application/x-www-form-urlencoded",
        description = "MessageSid, MessageStatus, ErrorCode and others.",
    ),
    responses(
        (status = 204, description = "The status was taken, or it says nothing about a message of ours."),
        (status = 403, description = "The gateway has not signed it."),
        (status = 413, description = "It is too long."),
    ))]
async fn receive_text_status(State(app): State<AppState>, request: Request) -> Result<StatusCode, ApiError> {
    let operation = "receiveTextStatus";
    let gateway = app.settings.reports.texts.clone().ok_or_else(|| forged(operation, "no gateway may report"))?;
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.extensions, body).await?;
    let form = status::members(&body).ok_or_else(|| forged(operation, "no form"))?;
    let signature = parts.headers.get(GATEWAY_SIGNATURE).and_then(|signature| signature.to_str().ok());
    let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    if !gateway.has_signed(target, &form, signature.unwrap_or_default()) {
        return Err(forged(operation, "another signature"));
    }
    if let Some(reading) = status::read(&form) {
        let message = parts.uri.query().and_then(named_message);
        record(&app, &parts.extensions, MessageReadings { message, readings: vec![reading] }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The message in the address that the gateway got with it.
fn named_message(query: &str) -> Option<MessageId> {
    let id = query.strip_prefix("message=")?;
    Uuid::try_parse(id).ok().map(MessageId)
}

/// The 403 of a request whose sender has not shown who it is. The reason is for the security log.
fn forged(operation: &str, reason: &str) -> ApiError {
    Line { reason: Some(reason), operation: Some(operation), ..Line::default() }.refused(Event::Authentication);
    ApiError::Forbidden
}

fn taken() -> Answer {
    Answer { status: StatusCode::NO_CONTENT.as_u16(), headers: vec![], body: String::new() }
}

/// Records what a sender without an account has reported; nothing about an unknown message.
async fn record(app: &AppState, extensions: &Extensions, found: MessageReadings) -> Result<(), ApiError> {
    let MessageReadings { message, readings } = found;
    if readings.is_empty() {
        return Ok(());
    }
    let Some(message) = reports::find(&app.node, message).await? else { return Ok(()) };
    let (_, facts) = boundary::passed(extensions)?;
    let mut context = RequestContext::system();
    context.metadata.request_id.clone_from(&facts.request_id);
    match reports::record(&app.node, &context, &message, readings).await {
        Ok(_) => Ok(()),
        // Senders repeat what a server could not take, and give up what it refuses.
        Err(JournalError::VersionConflict) => Err(ApiError::Unavailable(None)),
        Err(error) => Err(error.into()),
    }
}
