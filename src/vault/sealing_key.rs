//! Deterministic authenticated encryption: equal plaintexts give equal bytes.

use super::{KEY_LENGTH, mac};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

pub(super) const NONCE_LENGTH: usize = 24;
/// First byte of every box, so that another cipher can be added later.
pub(super) const BOX_VERSION: u8 = 1;

/// A cipher whose nonce is a keyed digest of the plaintext: sealing a value twice gives the same bytes, and no nonce is
/// used for two different values.
pub(super) struct SealingKey {
    cipher: XChaCha20Poly1305,
    nonce_key: Zeroizing<[u8; KEY_LENGTH]>,
}

impl SealingKey {
    pub(super) fn new(key: &[u8; KEY_LENGTH]) -> Self {
        let cipher_key = Zeroizing::new(mac(key, &[b"cipher"]));
        SealingKey {
            cipher: XChaCha20Poly1305::new((&*cipher_key).into()),
            nonce_key: Zeroizing::new(mac(key, &[b"nonce"])),
        }
    }

    /// Seals `plain` into a box with a version byte.
    pub(super) fn seal(&self, associated: &[u8], context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut boxed = vec![BOX_VERSION];
        self.seal_into(&mut boxed, associated, context, plain);
        boxed
    }

    /// Appends nonce and ciphertext to a box's prefix.
    pub(super) fn seal_into(&self, boxed: &mut Vec<u8>, associated: &[u8], context: &[u8], plain: &[u8]) {
        let length = (context.len() as u64).to_be_bytes();
        let digest = mac(&self.nonce_key, &[&length, context, plain]);
        let mut nonce = [0; NONCE_LENGTH];
        nonce.copy_from_slice(&digest[..NONCE_LENGTH]);
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: associated })
            .expect("only texts beyond 256 GiB are refused");
        boxed.reserve(NONCE_LENGTH + sealed.len());
        boxed.extend_from_slice(&nonce);
        boxed.extend_from_slice(&sealed);
    }

    /// Opens a box of [`SealingKey::seal`].
    pub(super) fn open(&self, associated: &[u8], boxed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        match boxed.split_first() {
            Some((&BOX_VERSION, rest)) => self.open_rest(associated, rest),
            _ => Err(UnsealError),
        }
    }

    /// Opens nonce and ciphertext, without the box's prefix.
    pub(super) fn open_rest(&self, associated: &[u8], rest: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(UnsealError)?;
        self.cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: associated })
            .map(Zeroizing::new)
            .map_err(|_| UnsealError)
    }
}

/// A box that this key does not open: another key, or altered bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed values cannot be opened with the key at hand; is it the right master key?")]
pub struct UnsealError;
