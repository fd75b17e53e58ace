//! Feedback: comments of users on the product, read by their authors and by system admins.

use super::call::{Attributes, Call, HandlerResult, QueryExt};
use super::documents::{Reply, Resource};
use super::times;
use registrar_aggregates::feedback::{Feedback, FeedbackComment};
use registrar_aggregates::values::{EmailAddress, IndividualId};
use registrar_projections::feedback_comments::{BY_CREATION, FeedbackDocument, USER_ID};
use registrar_projections::{Direction, IndividualDocument, Query};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewComment {
    comment: String,
    current_page: Option<String>,
    individual_id: Option<IndividualId>,
}

/// All comments for system admins, for others their own. Callers without a user account have none: 403.
pub(super) async fn list(call: Call) -> HandlerResult {
    let author = if call.holder.holds_everything() { None } else { Some(call.user()?.profile.id) };
    let query = Query::sorted(&BY_CREATION, Direction::Descending);
    call.list(query.when(author, |query, author| query.equal(&USER_ID, author.to_string())), resource).await
}

/// An individual that is unknown is refused like a foreign one, so that no caller learns which ones exist.
pub(super) async fn create(call: Call, Attributes(new): Attributes<NewComment>) -> HandlerResult {
    let NewComment { comment, current_page, individual_id } = new;
    let author = call.user()?;
    let (user_id, email) = (author.profile.id, author.contacts.email.clone());
    if let Some(individual) = individual_id {
        call.require(call.seen::<IndividualDocument>(individual).await?.is_some())?;
    }
    let feedback = Feedback { user_id, email, comment, current_page, individual_id };
    call.record::<FeedbackComment, FeedbackDocument>(feedback, resource).await
}

pub(super) async fn get(call: Call) -> HandlerResult {
    Ok(Reply::found(resource(&*call.load::<FeedbackDocument>(()).await?)))
}

fn resource(comment: &FeedbackDocument) -> Resource {
    let feedback = &comment.feedback;
    let attributes = json!({
        "comment": feedback.comment,
        "created-by": feedback.user_id,
        "created-time": times::write(comment.created_at),
        "current-page": feedback.current_page,
        // The contract knows no null here; users who sign in with a telephone number may have no address.
        "email": feedback.email.as_ref().map_or("", EmailAddress::as_str),
        "individual-id": feedback.individual_id,
    });
    Resource::new("feedback-comments", &comment.id, attributes)
}
