//! Shadows of names: the same limits on codes and messages as those of accounts, by the same aggregates, but in the memory
//! of a node and without events. They count for every name, with or without an account, and are what callers see. So the
//! answers to a series of requests do not tell whether there is such a name, nor which other messages its address got.

use crate::node::Node;
use crate::store::hex;
use chrono::Utc;
use quick_cache::unsync::Cache;
use registrar_aggregates::one_time_code::{OneTimeCode, OneTimeCodeCommand, OneTimeCodeError, Purpose};
use registrar_aggregates::quota::{Quota, QuotaCommand, QuotaError, QuotaKind};
use registrar_aggregates::values::EmailAddress;
use registrar_aggregates::{Decide, text};
use std::sync::{Mutex, PoisonError};

/// Most shadows of each kind on a node; the least recently used are evicted first.
const SHADOWS_MAX: usize = 100_000;

/// Limits of names without an account, in the memory of a node.
pub struct Shadows {
    codes: Mutex<Cache<String, OneTimeCode>>,
    quotas: Mutex<Cache<String, Quota>>,
}

impl Default for Shadows {
    fn default() -> Self {
        let (codes, quotas) = (Mutex::new(Cache::new(SHADOWS_MAX)), Mutex::new(Cache::new(SHADOWS_MAX)));
        Shadows { codes, quotas }
    }
}

impl Shadows {
    /// Counts the try of a code under a name, which is always a miss here.
    ///
    /// # Errors
    /// `TooManyTries`.
    pub fn try_code(&self, node: &Node, purpose: Purpose, name: &str) -> Result<(), OneTimeCodeError> {
        // No code was ever issued, so that no digest is right.
        let command = OneTimeCodeCommand::Try { digest: String::new(), now: Utc::now() };
        execute(&self.codes, digest(node, purpose.name(), name), command)
    }

    /// Counts a message with a code; as after the issue of one, the tries begin anew.
    ///
    /// # Errors
    /// `UsedUp`.
    pub fn issue(&self, node: &Node, purpose: Purpose, name: &str) -> Result<(), QuotaError> {
        // Accounts have a quota for each address, and purposes differ by it.
        let channel = if purpose == Purpose::PasswordSms { "sms" } else { "" };
        let command = QuotaCommand::Use { kind: QuotaKind::Messages, now: Utc::now() };
        execute(&self.quotas, digest(node, &format!("send/{channel}"), name), command)?;
        self.renew(node, purpose, name);
        Ok(())
    }

    /// Lets the tries of codes begin anew, for callers that limit this by themselves.
    pub fn renew(&self, node: &Node, purpose: Purpose, name: &str) {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(node, purpose.name(), name));
    }
}

/// Executes a command on a shadow. No lock is held across it but that of the cache, so that of several at once each
/// counts.
fn execute<A: Decide>(shadows: &Mutex<Cache<String, A>>, key: String, command: A::Command) -> Result<(), A::Error> {
    let mut shadows = shadows.lock().unwrap_or_else(PoisonError::into_inner);
    let mut shadow = shadows.get(&key).cloned().unwrap_or_default();
    shadow.decide(command)?.into_iter().for_each(|event| shadow.apply(event));
    shadows.insert(key, shadow);
    Ok(())
}

/// Keyed digest of a name, the same for all spellings.
fn digest(node: &Node, kind: &str, name: &str) -> String {
    let name = name.trim();
    let name = EmailAddress::parse(name).map_or_else(|_| text::fold(name), |email| email.comparable());
    hex(&node.vault.digest("shadow", &[kind.as_bytes(), name.as_bytes()]))
}
