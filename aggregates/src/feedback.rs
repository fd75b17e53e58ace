//! Feedback: comments of users on the product. A comment is never changed.

use crate::decide::record;
use crate::values::{EmailAddress, Finding, IndividualId, UserId, check_free_text, check_required_text};
use serde::{Deserialize, Serialize};

/// Longest comment, in characters.
pub const COMMENT_LENGTH_MAX: usize = 4096;
/// Longest name of a page, in characters.
pub const PAGE_LENGTH_MAX: usize = 255;

/// Comment of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Feedback {
    /// Author of the comment.
    pub user_id: UserId,
    /// E-mail address of the author at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Text of the comment.
    pub comment: String,
    /// Page on which the comment was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_page: Option<String>,
    /// The individual that the comment is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub individual_id: Option<IndividualId>,
}

impl Feedback {
    fn check(&self) -> Result<(), Finding> {
        check_required_text(&self.comment, COMMENT_LENGTH_MAX).map_err(|problem| problem.of("comment"))?;
        let page = self.current_page.as_deref().unwrap_or_default();
        check_free_text(page, PAGE_LENGTH_MAX).map_err(|problem| problem.of("currentPage"))
    }
}

record! {
    /// A comment; it has no state.
    FeedbackComment "feedback-comment" of user_id;
    /// A user left a comment.
    FeedbackEvent::Created(Feedback) "feedback-comment.created" @ "1.0", clear ["/userId", "/individualId"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use crate::values::Problem;
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    fn feedback(comment: &str, page: &str) -> Feedback {
        Feedback {
            user_id: UserId(Uuid::from_u128(1)),
            email: EmailAddress::parse("ada@example.com").ok(),
            comment: comment.into(),
            current_page: Some(page.into()),
            individual_id: Some(IndividualId(Uuid::from_u128(3))),
        }
    }

    impl Samples for FeedbackEvent {
        fn samples() -> Vec<Self> {
            vec![FeedbackEvent::Created(feedback("The list is slow.", "/groups"))]
        }
    }

    #[test]
    fn a_comment_of_any_script_and_of_several_lines_is_recorded_as_written() {
        let given = || TestFramework::<FeedbackComment>::with(()).given(vec![]);
        for text in [" Zu langsam.\r\n\tImmer noch 🙁", "👩\u{200d}🔬", &"ä".repeat(COMMENT_LENGTH_MAX)] {
            let comment = feedback(text, "");
            given().when(comment.clone()).then_expect_events(vec![FeedbackEvent::Created(comment)]);
        }
    }

    #[test]
    fn a_comment_that_is_blank_too_long_or_misread_is_refused() {
        let given = || TestFramework::<FeedbackComment>::with(()).given(vec![]);
        let long = "x".repeat(COMMENT_LENGTH_MAX + 1);
        for (comment, page, refusal) in [
            (" \u{200b}", "/", Problem::Blank.of("comment")),
            ("a\0b", "/", Problem::Nul.of("comment")),
            (long.as_str(), "/", Problem::TooLong { max: COMMENT_LENGTH_MAX }.of("comment")),
            ("a", "/\u{202e}", Problem::Override.of("currentPage")),
            ("a", &long[..=PAGE_LENGTH_MAX], Problem::TooLong { max: PAGE_LENGTH_MAX }.of("currentPage")),
        ] {
            given().when(feedback(comment, page)).then_expect_error(refusal);
        }
    }
}
