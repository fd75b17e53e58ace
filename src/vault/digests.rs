//! Keyed digests: values are compared and found by digest without being revealed.

use super::{KEY_LENGTH, mac};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use zeroize::Zeroizing;

/// The key of all digests of a journal. It stays as long as the journal, since the original values are not available to
/// be digested again.
#[derive(Clone)]
pub struct DigestKey(Zeroizing<[u8; KEY_LENGTH]>);

impl DigestKey {
    pub(super) fn new(key: Zeroizing<[u8; KEY_LENGTH]>) -> Self {
        DigestKey(key)
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }

    /// Digest that replaces a unique or private value in storage: a claim, an idempotency key.
    #[must_use]
    pub fn digest(&self, scope: &str, parts: &[&[u8]]) -> [u8; KEY_LENGTH] {
        let mut text = Vec::new();
        for part in std::iter::once(&scope.as_bytes()).chain(parts) {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        mac(&self.0, &[&text])
    }

    /// Key of a claim as it is stored.
    #[must_use]
    pub fn claim(&self, key: &registrar_aggregates::ClaimKey) -> String {
        BASE64.encode(self.digest(key.scope, &[key.value.as_bytes()]))
    }
}
