//! Authenticates callers by bearer token, and issues these tokens.

use super::keys::{self, KeyCache};
use super::tokens::{self, Claims, Unverified};
use super::{AuthError, Permission, Principal, SessionBounds};
use crate::executor::{ExecuteError, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::read_store::Documents;
use chrono::{DateTime, Utc};
use quick_cache::sync::Cache;
use registrar_aggregates::access_token::{AccessToken, Issue};
use registrar_aggregates::values::AdminId;
use registrar_projections::AdminDocument;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// Longest life of a token. A retired key keeps verifying for as long.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Size of the cache of verified tokens: checking the signature is the most expensive part of a request.
const VERIFIED_MAX: usize = 10_000;

/// Request for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The admin that the token stands for.
    pub admin_id: AdminId,
    /// Life of the token, in whole seconds from 1 to [`TTL_MAX`].
    pub ttl: Duration,
    /// The only organization the token reaches, if it is to be narrowed.
    pub organization: Option<String>,
    /// The only permissions the token carries, if it is to be narrowed. Those that the admin does not hold have no
    /// effect.
    pub permissions: Option<Vec<Permission>>,
}

/// Reason why a token was not issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Admin not found.
    #[error("there is no such admin")]
    NoSuchAdmin,
    /// The admin is deactivated.
    #[error("the admin is not active")]
    Inactive,
    /// The life would be zero or longer than [`TTL_MAX`].
    #[error("a token lives between a second and 24 hours")]
    LifeOutOfRange,
    /// The issue could not be recorded.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Authenticates principals by their bearer tokens.
pub struct Authenticator {
    pub(super) issuer: String,
    checks_issuer: bool,
    keys: KeyCache,
    verified: Cache<[u8; 32], Arc<VerifiedToken>>,
    bounds: SessionBounds,
}

/// A token whose signature was verified.
struct VerifiedToken {
    key_id: String,
    claims: Claims,
}

impl Authenticator {
    /// Opens an authenticator that issues in the name of `issuer`, the public URL, and accepts no other issuer. If the
    /// key ring is empty, it creates the first key.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` if the keys cannot be opened, above all when they were sealed with another master key.
    pub async fn open(node: &Node, issuer: String) -> JournalResult<Self> {
        keys::establish(node, &RequestContext::system()).await?;
        let keys = KeyCache::load(node).await?;
        let (verified, bounds) = (Cache::new(VERIFIED_MAX), SessionBounds::default());
        Ok(Authenticator { issuer, checks_issuer: true, keys, verified, bounds })
    }

    /// Accepts any issuer and relies on the key alone, which belongs to this database only. For a server without a
    /// configured public URL: it knows only the address that it happens to listen on, and `registrar token create` not
    /// even that.
    #[must_use]
    pub fn accepting_any_issuer(mut self) -> Self {
        self.checks_issuer = false;
        self
    }

    /// Replaces the bounds of sessions.
    #[must_use]
    pub fn bounding_sessions(self, bounds: SessionBounds) -> Self {
        Authenticator { bounds, ..self }
    }

    /// The address of this server for clients, without a slash at its end; tokens name it as their issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Bounds on the length of sessions.
    #[must_use]
    pub fn bounds(&self) -> &SessionBounds {
        &self.bounds
    }

    /// Public URL of the server, without a slash at its end; the issuer of its tokens.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.issuer
    }

    /// Authenticates the bearer of the token in an `Authorization` header, by the state of `documents`.
    ///
    /// # Errors
    /// `Unauthenticated` without a valid token of an active admin. `Unavailable` when the database cannot be read.
    pub async fn authenticate(
        &self,
        node: &Node,
        documents: &Documents,
        authorization: Option<&str>,
    ) -> Result<Principal, AuthError> {
        let token = authorization.and_then(bearer).ok_or(AuthError::Unauthenticated("a bearer token is needed"))?;
        let now = Utc::now();
        let verified = self.verify(node, token, now).await?;
        let claims = &verified.claims;
        claims.check(self.checks_issuer.then_some(self.issuer.as_str()), now)?;
        if let Some(session) = &claims.sid {
            return super::sessions::recognise(documents, &self.bounds, claims, session, now).await;
        }
        let document = documents.find::<AdminDocument>(&claims.sub).await?.value;
        let document = document
            .filter(|document| document.active)
            .ok_or(AuthError::Unauthenticated("the token's admin is not active"))?;
        if document.token_epoch != claims.epoch {
            return Err(AuthError::Unauthenticated("the token was ended"));
        }
        let principal = Principal::new(&document, claims.organization.clone(), claims.permissions.as_deref());
        Ok(principal.standing(documents).await?)
    }

    async fn verify(&self, node: &Node, token: &str, now: DateTime<Utc>) -> Result<Arc<VerifiedToken>, AuthError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(verified) = self.verified.get(&digest) {
            // A cached signature stays right, but its key may have expired meanwhile.
            self.keys.find(node, &verified.key_id, now).await??;
            return Ok(verified);
        }
        let unverified = Unverified::parse(token)?;
        let key = self.keys.find(node, &unverified.key_id, now).await??;
        let claims = unverified.verify(&key)?;
        let verified = Arc::new(VerifiedToken { key_id: unverified.key_id, claims });
        self.verified.insert(digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// Issues a token, after recording the issue.
    ///
    /// # Errors
    /// `NoSuchAdmin`, `Inactive`, `LifeOutOfRange`; `Journal` if it could not be recorded. The token was not issued
    /// then.
    pub async fn issue(
        &self,
        node: &Node,
        context: &RequestContext,
        request: TokenRequest,
    ) -> Result<String, IssueError> {
        if request.ttl < Duration::from_secs(1) || request.ttl > TTL_MAX {
            return Err(IssueError::LifeOutOfRange);
        }
        let admin_id = request.admin_id.to_string();
        let epoch = match node.documents.find::<AdminDocument>(&admin_id).await?.value {
            None => return Err(IssueError::NoSuchAdmin),
            Some(document) if !document.active => return Err(IssueError::Inactive),
            Some(document) => document.token_epoch,
        };
        let now = Utc::now();
        let expires = now + request.ttl;
        // Reads the journal and not the cache: a key that another node has retired must not sign any more.
        let ring = keys::ring(node).await?;
        let key = ring.signing().ok_or_else(|| JournalError::corrupt("the key ring has no key that signs"))?;
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: tokens::AUDIENCE.to_owned(),
            sub: admin_id,
            jti: uuid::Uuid::now_v7().to_string(),
            iat: now.timestamp(),
            exp: expires.timestamp(),
            organization: request.organization,
            permissions: request
                .permissions
                .map(|list| list.iter().map(|permission| permission.name().to_owned()).collect()),
            sid: None,
            epoch,
            additional: std::collections::BTreeMap::new(),
        };
        let token = tokens::sign(&claims, key).map_err(JournalError::corrupt)?;
        let issue = Issue {
            admin_id: request.admin_id,
            expires_at: DateTime::from_timestamp(claims.exp, 0).unwrap_or(expires),
            organization_id: claims.organization,
            permissions: claims.permissions,
        };
        match node.executor.execute::<AccessToken>(context, &claims.jti, issue, None).await {
            Ok(_) => Ok(token),
            Err(ExecuteError::Journal(error)) => Err(error.into()),
            Err(ExecuteError::Refused(refused)) => Err(JournalError::corrupt(refused).into()),
        }
    }

    /// The public keys, as a JWK set.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn jwks(&self, node: &Node) -> JournalResult<serde_json::Value> {
        Ok(tokens::jwks(&keys::ring(node).await?, Utc::now()))
    }
}

/// The token of an `Authorization` header with the scheme `Bearer`, letter case aside (RFC 6750, RFC 9110 11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
