//! Access tokens: JWT (RFC 7519) signed with Ed25519 (RFC 8037); their signing and their checks.
//!
//! The one algorithm is fixed, so this is all of JWS compact serialisation that is needed: no token can select another
//! algorithm, another key or no signature.

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

/// Audience of our tokens.
pub(super) const AUDIENCE: &str = "registrar";
/// The only algorithm that signs and verifies.
const ALGORITHM: &str = "EdDSA";
/// Largest clock difference between servers that share a database, in seconds.
const CLOCKS_DIFFER_SECS: i64 = 60;
/// Longest token that is parsed. A token with every claim has some 500 bytes.
const LENGTH_MAX: usize = 8 * 1024;

/// Claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Issuer: the public URL.
    pub(super) iss: String,
    /// Audience: [`AUDIENCE`].
    pub(super) aud: String,
    /// Subject: the id of the admin.
    pub(super) sub: String,
    /// Identifier of the token.
    pub(super) jti: String,
    /// Time of issue, in seconds since 1970.
    pub(super) iat: i64,
    /// Time from which the token is rejected, in seconds since 1970.
    pub(super) exp: i64,
    /// The only organization that the token reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) organization: Option<String>,
    /// The only permissions that the token carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) permissions: Option<Vec<String>>,
    /// The session of the token, which is valid only as long as the session is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<String>,
    /// Number of times that the admin's tokens had been ended at the issue; a token of another epoch is over. Sessions
    /// have epochs of their own.
    #[serde(default, skip_serializing_if = "is_first")]
    pub(super) epoch: u64,
    /// Further claims, for the client that asked for them; not used here.
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
    /// Extensions that must be understood (RFC 7515 4.1.11). No extension is supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

/// Reason why a token is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
pub(super) enum TokenError {
    /// The text is not a token of the kind we issue.
    Malformed,
    /// The signing key is not, or no longer, in the key ring.
    UnknownKey,
    /// The signature does not match.
    WrongSignature,
    /// The issuer or the audience is another party.
    NotForUs,
    /// The token has expired.
    Expired,
    /// The token was issued in the future, by this server's clock.
    FromTheFuture,
}

impl TokenError {
    /// The reason in the words shown to clients.
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

/// A token whose signature has not been checked yet.
pub(super) struct Unverified<'t> {
    /// Id of the signing key, as the token claims.
    pub(super) key_id: String,
    signed: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t> Unverified<'t> {
    /// Parses the header.
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

    /// Checks the signature, and only then parses the claims.
    ///
    /// # Errors
    /// `WrongSignature`; `Malformed` if the signed payload is not our claims.
    pub(super) fn verify(&self, key: &VerifyingKey) -> Result<Claims, TokenError> {
        let signature = BASE64URL.decode(self.signature).map_err(|_| TokenError::Malformed)?;
        let signature = Signature::from_slice(&signature).map_err(|_| TokenError::Malformed)?;
        key.verify_strict(self.signed.as_bytes(), &signature).map_err(|_| TokenError::WrongSignature)?;
        decode(self.payload)
    }
}

impl Claims {
    /// Checks audience, issuer and expiry, without leeway. Where this server has no issuer name of its own, the key
    /// alone shows that the token was issued here.
    ///
    /// # Errors
    /// `NotForUs`, `Expired`; `FromTheFuture` beyond the allowed clock difference.
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

/// An unusable key in the ring: the stored data was altered.
#[derive(Debug, thiserror::Error)]
#[error("a stored signing key is not an Ed25519 key")]
pub(super) struct BrokenKey;

/// Generates a key pair. Its id is its JWK thumbprint (RFC 7638).
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
