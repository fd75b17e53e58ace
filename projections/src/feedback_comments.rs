//! The `feedback_comments` read model: comments of users, one document each.

use crate::record_document::record_document;
use registrar_aggregates::feedback::{Feedback, FeedbackEvent};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

record_document! {
    /// The comment of a user. No query searches its texts.
    "feedback_comments" of FeedbackDocument {
        /// Text, author and page of the comment.
        feedback: Feedback
    }
    from FeedbackComment(FeedbackEvent::Created) of user_id, sealed: true;
    indexes { [CREATED_AT] }
    counts { [] }
}
