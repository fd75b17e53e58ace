//! Access tokens: JWT (RFC 7519) signed with Ed25519 (RFC 8037). What is signed, and what is believed.
//!
//! There is one algorithm and it is ours, so this is the whole of JWS compact serialisation that is needed: nothing
//! here can be talked into another algorithm, another key or no signature.

use base64::{
    Engine, engine::general_purpose::STANDARD as BASE64, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL,
};
use chrono::{DateTime, Utc};
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use registrar_aggregates::key_ring::{KeyRing, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Whom our tokens are meant for.
pub(super) const AUDIENCE: &str = "registrar";
/// The only algorithm that signs and verifies.
const ALGORITHM: &str = "EdDSA";
/// How far the clocks of servers that share a database may be apart, in seconds.
const CLOCKS_DIFFER_SECS: i64 = 60;
/// Longer texts are not looked at. A token with every claim has some 500 bytes.
const LENGTH_MAX: usize = 8 * 1024;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Issuer: the public URL.
    pub(super) iss: String,
    /// Audience: [`AUDIENCE`].
    pub(super) aud: String,
    /// Whom it stands for: the id of an admin.
    pub(super) sub: String,
    /// Its own identifier.
    pub(super) jti: String,
    /// When it was issued, in seconds since 1970.
    pub(super) iat: i64,
    /// From when on it is not accepted, in seconds since 1970.
    pub(super) exp: i64,
    /// The only organization it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) organization: Option<String>,
    /// The only permissions it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) permissions: Option<Vec<String>>,
    /// The session that it belongs to; it counts as long as that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<String>,
    /// How often the admin's tokens had been ended by then; a token of another one is over. Sessions have their own.
    #[serde(default, skip_serializing_if = "is_first")]
    pub(super) epoch: u64,
    /// What else it says, to whoever asked for it; nothing here goes by it.
    #[serde(flatten)]
    pub(super) additional: BTreeMap<String, serde_json::Value>,
}

fn is_first(epoch: &u64) -> bool {
    *epoch == 0
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    /// Extensions that must be understood (RFC 7515 4.1.11). We understand none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
pub(super) enum TokenError {
    /// Not a token of the kind we issue.
    Malformed,
    /// Signed by a key that is not, or no longer, in the key ring.
    UnknownKey,
    /// Not what was signed.
    WrongSignature,
    /// Issued by or for somebody else.
    NotForUs,
    /// Its time is over.
    Expired,
    /// It was issued in the future, as far as this server's clock tells.
    FromTheFuture,
}

impl TokenError {
    /// The reason as clients are told.
    #[must_use]
    pub(super) fn reason(self) -> &'static str {
        match self {
            TokenError::Malformed => "the token is malformed",
            TokenError::UnknownKey => "the token is signed by an unknown key",
            TokenError::WrongSignature => "the token's signature is wrong",
            TokenError::NotForUs => "the token is not meant for this server",
            TokenError::Expired => "the token has expired",
            TokenError::FromTheFuture => "the token was issued in the future",
        }
    }
}

/// A signed token whose signature was not looked at yet.
pub(super) struct Unverified<'t> {
    /// The key it says it was signed with.
    pub(super) key_id: String,
    signed: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t> Unverified<'t> {
    /// Reads the header.
    ///
    /// # Errors
    /// `Malformed` for anything but a compact JWS with our algorithm and a key id.
    pub(super) fn parse(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > LENGTH_MAX {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = decode(header)?;
        if header.alg != ALGORITHM || header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        Ok(Unverified { key_id: header.kid, signed, payload, signature })
    }

    /// Checks the signature, and only then reads the claims.
    ///
    /// # Errors
    /// `WrongSignature`; `Malformed` if what was signed are not our claims.
    pub(super) fn verify(&self, key: &VerifyingKey) -> Result<Claims, TokenError> {
        let signature = BASE64URL.decode(self.signature).map_err(|_| TokenError::Malformed)?;
        let signature = Signature::from_slice(&signature).map_err(|_| TokenError::Malformed)?;
        key.verify_strict(self.signed.as_bytes(), &signature).map_err(|_| TokenError::WrongSignature)?;
        decode(self.payload)
    }
}

impl Claims {
    /// Checks whom the token is meant for and whether its time has come to an end, without leeway. Where this server
    /// has no name of its own, the key alone says that the token was issued here.
    ///
    /// # Errors
    /// `NotForUs`, `Expired`; `FromTheFuture` beyond what clocks of servers differ by.
    pub(super) fn check(&self, issuer: Option<&str>, now: DateTime<Utc>) -> Result<(), TokenError> {
        if self.aud != AUDIENCE || issuer.is_some_and(|issuer| issuer != self.iss) {
            return Err(TokenError::NotForUs);
        }
        if self.iat > now.timestamp() + CLOCKS_DIFFER_SECS {
            return Err(TokenError::FromTheFuture);
        }
        if now.timestamp() >= self.exp { Err(TokenError::Expired) } else { Ok(()) }
    }
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let json = BASE64URL.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
}

/// A key of the ring that is not a key. Somebody altered what is stored.
#[derive(Debug, thiserror::Error)]
#[error("a stored signing key is not an Ed25519 key")]
pub(super) struct BrokenKey;

/// Makes a new key pair. Its id is its JWK thumbprint (RFC 7638).
///
/// # Errors
/// `BrokenKey` if the pair cannot be written as PKCS #8; it always can.
pub(super) fn generate_key() -> Result<SigningKey, BrokenKey> {
    let key = ed25519_dalek::SigningKey::from_bytes(&Zeroizing::new(crate::vault::random()));
    let private = key.to_pkcs8_der().map_err(|_| BrokenKey)?;
    let public_key = BASE64URL.encode(key.verifying_key().as_bytes());
    let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public_key}"}}"#));
    Ok(SigningKey {
        key_id: BASE64URL.encode(thumbprint),
        public_key,
        private_key: BASE64.encode(private.as_bytes()),
        verifies_until: None,
    })
}

/// Signs `claims`.
///
/// # Errors
/// `BrokenKey`.
pub(super) fn sign<C: Serialize>(claims: &C, key: &SigningKey) -> Result<String, BrokenKey> {
    let private = Zeroizing::new(BASE64.decode(&key.private_key).map_err(|_| BrokenKey)?);
    let signing = ed25519_dalek::SigningKey::from_pkcs8_der(&private).map_err(|_| BrokenKey)?;
    let header = Header { alg: ALGORITHM.into(), kid: key.key_id.clone(), typ: Some("JWT".into()), crit: None };
    let encode = |json: serde_json::Result<Vec<u8>>| json.map(|json| BASE64URL.encode(json)).map_err(|_| BrokenKey);
    let signed = format!("{}.{}", encode(serde_json::to_vec(&header))?, encode(serde_json::to_vec(claims))?);
    let signature = BASE64URL.encode(signing.sign(signed.as_bytes()).to_bytes());
    Ok(format!("{signed}.{signature}"))
}

/// The public half of a key of the ring.
///
/// # Errors
/// `BrokenKey`.
pub(super) fn public_key(key: &SigningKey) -> Result<VerifyingKey, BrokenKey> {
    let bytes = BASE64URL.decode(&key.public_key).map_err(|_| BrokenKey)?;
    VerifyingKey::try_from(bytes.as_slice()).map_err(|_| BrokenKey)
}

/// The keys that verify at `now`, as a JWK set (RFC 7517, RFC 8037).
#[must_use]
pub(super) fn jwks(ring: &KeyRing, now: DateTime<Utc>) -> serde_json::Value {
    let keys: Vec<_> = ring
        .verifying(now)
        .map(|key| json!({"kty": "OKP", "crv": "Ed25519", "x": key.public_key, "kid": key.key_id, "alg": ALGORITHM, "use": "sig"}))
        .collect();
    json!({ "keys": keys })
}

#[cfg(test)]
mod tests;
