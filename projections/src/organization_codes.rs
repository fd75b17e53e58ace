//! The read models of sign-up codes: the codes, and the number of people that each has brought. The number is a document
//! of its own, so that people who sign up leave the revision of a code as it is.

use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use crate::state_document;
use crate::working_set::{FoldError, WorkingSet};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::organization_code::{CodeSpelling, OrganizationCodeEvent, OrganizationCodeId, Terms};
use registrar_aggregates::user::UserEvent;
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The present state of a sign-up code.
pub type OrganizationCodeDocument = Stamped<CodeEntry>;

crate::collection! {
    "organization_codes" of OrganizationCodeDocument, hot: false, id: |code| code.id.to_string();
    keys {
        CREATED_AT: Text = |code| time_key(code.created_at);
        /// Finds the codes of an organization.
        pub ORGANIZATION_ID: Text = |code| code.terms.organization_id.to_string();
    }
    indexes { [CREATED_AT], [ORGANIZATION_ID, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// A code with its spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeEntry {
    /// The code in lower case.
    pub id: OrganizationCodeId,
    /// The code as its organization writes it.
    pub spelling: CodeSpelling,
    /// Terms of a sign-up by the code.
    #[serde(flatten)]
    pub terms: Terms,
}

impl AggregateState for CodeEntry {
    type Event = OrganizationCodeEvent;

    fn create(_: &RecordedEvent, change: &OrganizationCodeEvent) -> Option<Self> {
        let OrganizationCodeEvent::Created { id, spelling, terms } = change else { return None };
        Some(CodeEntry { id: id.clone(), spelling: spelling.clone(), terms: terms.clone() })
    }

    fn change(mut self, _: &RecordedEvent, change: &OrganizationCodeEvent) -> Option<Self> {
        let (OrganizationCodeEvent::Created { terms, .. } | OrganizationCodeEvent::Amended { terms }) = change;
        self.terms.clone_from(terms);
        Some(self)
    }
}

crate::collection! {
    "sign_up_counts" of SignUpCountDocument, hot: true, id: |count| count.id.to_string();
}

/// Number of the people who signed up by a code. A code without any has no document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignUpCountDocument {
    /// The code in lower case.
    pub id: OrganizationCodeId,
    /// Number of people, those included who have left since.
    pub sign_ups: u64,
}

/// The code by which an event says that a person signed up.
fn signed_up_by(event: &RecordedEvent) -> Option<&OrganizationCodeId> {
    match &*event.event {
        DomainEvent::User(UserEvent::Created(creation)) => creation.sign_up_code.as_ref(),
        _ => None,
    }
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let count = signed_up_by(event).map(|code| DocumentKey::of::<SignUpCountDocument>(code.as_str()));
    state_document::wants::<OrganizationCodeDocument>(event).into_iter().chain(count).collect()
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let Some(code) = signed_up_by(event) else {
        return state_document::fold::<OrganizationCodeDocument>(event, documents);
    };
    match documents.get::<SignUpCountDocument>(code.as_str())? {
        None => documents.insert(SignUpCountDocument { id: code.clone(), sign_ups: 1 }),
        Some(_) => documents.update(code.as_str(), |count: &mut SignUpCountDocument| {
            count.sign_ups = count.sign_ups.saturating_add(1);
        }),
    }
}
