//! Idempotent requests: the answer of a request with an `Idempotency-Key` is stored in the same commit as its events,
//! so that no crash leaves the one without the other.

use crate::committer::outcome::Outcome;
use crate::journal::{AnswerStep, JournalResult, StoredAnswer};
use crate::vault::Vault;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A stored HTTP response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers that belong to the response, not to its delivery.
    pub headers: Vec<(String, String)>,
    /// Body, as text.
    pub body: String,
}

type Render = Box<dyn Fn(&Outcome) -> Option<Answer> + Send + Sync>;

/// The slot for the stored answer of one request.
pub struct AnswerSlot {
    key: Vec<u8>,
    fingerprint: Vec<u8>,
    expires_at: DateTime<Utc>,
    render: Mutex<Option<Render>>,
    remembered: AtomicBool,
}

impl AnswerSlot {
    /// A slot for the request with this digest of principal, method, path and key, and this digest of its body.
    #[must_use]
    pub fn new(key: Vec<u8>, fingerprint: Vec<u8>, expires_at: DateTime<Utc>) -> Self {
        AnswerSlot { key, fingerprint, expires_at, render: Mutex::new(None), remembered: AtomicBool::new(false) }
    }

    /// Sets how the outcome of the command is rendered as an answer; called before the command is executed. `render`
    /// may be called more than once, once for each attempt to commit.
    pub fn answer_with(&self, render: impl Fn(&Outcome) -> Option<Answer> + Send + Sync + 'static) {
        *self.render.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Box::new(render));
    }

    /// Digest of the request's principal, method, path and key.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The sealed answer to the outcome, as a step of the commit that stores the outcome.
    ///
    /// # Errors
    /// As [`Vault::seal_answer`]. `Corrupt` if the answer cannot be written as JSON; it always can.
    pub(crate) fn step(&self, vault: &Vault, outcome: &Outcome) -> JournalResult<Option<AnswerStep>> {
        let render = self.render.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match render.as_ref().and_then(|render| render(outcome)) {
            Some(answer) => self.remember(vault, &answer).map(Some),
            None => Ok(None),
        }
    }

    fn remember(&self, vault: &Vault, answer: &Answer) -> JournalResult<AnswerStep> {
        let plain = serde_json::to_vec(answer).map_err(crate::journal::JournalError::corrupt)?;
        let answer = vault.seal_answer(&self.key, &plain)?;
        let answer = StoredAnswer { fingerprint: self.fingerprint.clone(), answer };
        Ok(AnswerStep { key: self.key.clone(), answer, expires_at: self.expires_at })
    }

    /// Notes that the answer is on disk.
    pub(crate) fn set_remembered(&self) {
        self.remembered.store(true, Ordering::Release);
    }

    /// Whether a commit has stored the answer.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        self.remembered.load(Ordering::Acquire)
    }
}
