//! Tokens of sessions: issuing them, and recognising their bearers. The documents are read on every request, so a token
//! is valid as long as its session is.

use super::places::{self, EntryStatus};
use super::tokens::{self, Claims};
use super::{AuthError, Authenticator, Principal, keys};
use crate::access::find_user;
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::read_store::Documents;
use chrono::{DateTime, TimeDelta, Utc};
use registrar_aggregates::Actor;
use registrar_aggregates::session::{Account, Opener, Origin};
use registrar_aggregates::user::{Profile, SystemRole};
use registrar_aggregates::values::{AdminId, OrganizationId, SessionId};
use registrar_projections::sessions::SessionDocument;
use registrar_projections::{AdminDocument, UserDocument};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest life of an access token, in seconds.
pub const ACCESS_SECS_MAX: u32 = 3_600;
/// Bounds on the length of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Longest life from the beginning.
    pub life: TimeDelta,
    /// Longest time since the last sign-in, refresh or switch. Requests with an access token are not recorded, so a
    /// bound shorter than the life of such a token would end sessions in use.
    pub idle: TimeDelta,
}

/// Bounds of sessions by kind of account. They are compared on each request and not stored, so a tighter setting and a
/// granted role count at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionBounds {
    /// Sessions of all accounts.
    pub all: Bound,
    /// Sessions begun by signing in to a privileged account: of an ECG admin or a holder of a system role.
    pub privileged: Bound,
}

impl Default for SessionBounds {
    /// The published bounds, equal for all accounts.
    fn default() -> Self {
        let all = Bound { life: TimeDelta::days(90), idle: TimeDelta::days(14) };
        SessionBounds { all, privileged: all }
    }
}

impl SessionBounds {
    /// The bound of a session by its origin and by whether its account is privileged.
    #[must_use]
    pub fn of(&self, origin: Origin, privileged: bool) -> Bound {
        match origin {
            Origin::SignIn if privileged => self.privileged,
            // Programs that act for a user, or identify themselves, have no person to ask.
            Origin::SignIn | Origin::Synthetic | Origin::Workload => self.all,
        }
    }

    /// The end of a session that stays in use until then.
    #[must_use]
    pub fn end(&self, session: &SessionDocument, privileged: bool) -> DateTime<Utc> {
        let bound = self.of(session.state.origin, privileged);
        session.state.expires_at.min(session.created_at + bound.life)
    }

    /// Whether a session is within its life and its idle time. The account may have become privileged since the session
    /// began.
    #[must_use]
    pub fn goes_on(&self, session: &SessionDocument, privileged: bool, now: DateTime<Utc>) -> bool {
        let idle = self.of(session.state.origin, privileged).idle;
        now < self.end(session, privileged) && now < session.updated_at + idle
    }
}
/// Audience of id tokens: programs that need to know the signed-in user. An id token grants nothing.
const ID_AUDIENCE: &str = "registrar-clients";

const OVER: AuthError = AuthError::Unauthenticated("the session is over");

/// Authenticates the bearer of a session's token.
pub(super) async fn recognise(
    documents: &Documents,
    bounds: &SessionBounds,
    claims: &Claims,
    session: &str,
    now: DateTime<Utc>,
) -> Result<Principal, AuthError> {
    let (found, user) =
        tokio::try_join!(documents.find::<SessionDocument>(session), find_user(documents, &claims.sub))?;
    let session = found.value.filter(|session| session.state.user_id.to_string() == claims.sub).ok_or(OVER)?;
    let scope = session.state.scope.map(|scope| scope.organization_id);
    match session.state.account {
        Account::User => {
            let user = user.ok_or(OVER)?;
            let ActingUser { rights, by } = acting(documents, bounds, &session, &user, now).await?.ok_or(OVER)?;
            let principal = Principal::of_user(rights, session.state.id, scope);
            Ok(match by {
                Some(actor) => principal.acted_by(actor),
                None => principal,
            })
        }
        Account::Admin => {
            let admin = documents.find::<AdminDocument>(&claims.sub).await?.value.ok_or(OVER)?;
            if !bounds.goes_on(&session, true, now) || !admin.active || admin.epoch != session.state.epoch {
                return Err(OVER);
            }
            let organization = scope.map(|scope| scope.to_string());
            let principal = Principal::new(&admin, organization, None).standing(documents).await?;
            Ok(principal.in_session(session.state.id))
        }
    }
}

/// A user in a valid session.
#[derive(Debug, Clone)]
pub struct ActingUser {
    /// The user with the rights that count in this session (see `places::counting`).
    pub rights: Arc<UserDocument>,
    /// The acting party, where it is not the user.
    pub by: Option<Actor>,
}

/// The user in a session; `None` for a session that is over. A session is also over when its organization was retired,
/// was deleted, or has a sign-in of its own that the session was not opened by; and a session for another user when its
/// opener is disabled, or when that user holds a system role by now.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn acting(
    documents: &Documents,
    bounds: &SessionBounds,
    session: &SessionDocument,
    user: &Arc<UserDocument>,
    now: DateTime<Utc>,
) -> JournalResult<Option<ActingUser>> {
    let state = &session.state;
    if !is_live(bounds, session, user, now) {
        return Ok(None);
    }
    if let Some(scope) = state.scope
        && !matches!(
            places::entry_status(documents, user, scope.organization_id, state.via).await?,
            EntryStatus::Usable
        )
    {
        return Ok(None);
    }
    let by = match (state.by, state.origin) {
        (Some(opener), _) => {
            let actor = opener_of(documents, opener).await?.filter(|_| user.system_roles.is_empty());
            let Some(actor) = actor else { return Ok(None) };
            Some(actor)
        }
        // Sessions of former releases do not record the actor; they live for an hour at most.
        (None, Origin::Synthetic) => return Ok(None),
        (None, Origin::SignIn | Origin::Workload) => None,
    };
    Ok(Some(ActingUser { rights: places::counting(documents, user, state.via).await?, by }))
}

/// The opener of a session for another user, if still allowed to open one.
async fn opener_of(documents: &Documents, opener: Opener) -> JournalResult<Option<Actor>> {
    match opener.account {
        Account::User => {
            let user = find_user(documents, &opener.id.to_string()).await?;
            let roles = [SystemRole::Service, SystemRole::Admin];
            let may = |user: &Arc<UserDocument>| {
                user.state.is_enabled() && roles.iter().any(|role| user.system_roles.contains(role))
            };
            Ok(user.filter(may).map(|user| Principal::of_user(user, SessionId(uuid::Uuid::nil()), None).actor))
        }
        Account::Admin => {
            let admin = documents.find::<AdminDocument>(&AdminId(opener.id.0).to_string()).await?.value;
            let principal = admin.filter(|admin| admin.active).map(|admin| Principal::new(&admin, None, None));
            Ok(principal.filter(|opener| opener.holder().holds_everything()).map(|opener| opener.actor))
        }
    }
}

/// Whether a user's session is valid: within its bounds, its user enabled and in the session's epoch, and a continuous
/// member of the organization that it acts in.
fn is_live(bounds: &SessionBounds, session: &SessionDocument, user: &UserDocument, now: DateTime<Utc>) -> bool {
    let in_time = bounds.goes_on(session, !user.system_roles.is_empty(), now);
    let session = &session.state;
    let member = session.scope.is_none_or(|scope| {
        let membership = user.memberships.get(&scope.organization_id);
        membership.is_some_and(|membership| membership.number == scope.membership)
    });
    in_time && user.state.is_enabled() && user.epoch == session.epoch && member
}

/// Input for signing a session's tokens.
#[derive(Debug, Clone)]
pub struct SigningInput {
    /// Identifier of the user or admin.
    pub subject: String,
    /// The session that the tokens belong to.
    pub session: SessionId,
    /// The organization that the session acts in.
    pub organization: Option<OrganizationId>,
    /// Life of the tokens, in seconds.
    pub seconds: u32,
    /// Additional claims of the access token.
    pub additional: BTreeMap<String, Value>,
    /// Claims of the id token about the signed-in user.
    pub identity: Identity,
}

/// Identity claims of OpenID Connect Core 1.0, section 5.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    email_verified: bool,
    given_name: String,
    family_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zoneinfo: Option<String>,
}

impl From<&Profile> for Identity {
    fn from(profile: &Profile) -> Self {
        Identity {
            email: profile.contacts.email.as_ref().map(ToString::to_string),
            email_verified: profile.contacts.email_verified,
            given_name: profile.names.first_name.clone(),
            family_name: profile.names.last_name.clone(),
            zoneinfo: profile.time_zone.clone(),
        }
    }
}

impl From<&AdminDocument> for Identity {
    fn from(admin: &AdminDocument) -> Self {
        Identity {
            email: admin.account.as_ref().map(|account| account.email.to_string()),
            email_verified: true,
            given_name: admin.person.first_name.clone(),
            family_name: admin.person.last_name.clone(),
            zoneinfo: None,
        }
    }
}

/// Tokens of a session.
#[derive(Clone)]
pub struct SessionTokens {
    /// Access token, sent with every request.
    pub access: String,
    /// Id token: names the signed-in user to a program.
    pub id: String,
}

#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    sid: String,
    iat: i64,
    exp: i64,
    #[serde(flatten)]
    identity: &'a Identity,
}

impl Authenticator {
    /// Signs the tokens of a session before it is opened, refreshed or switched, so that the response is committed with
    /// that. Tokens of a session that was never opened are harmless: each request looks the session up.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn sign_session(
        &self,
        node: &Node,
        signing: &SigningInput,
        now: DateTime<Utc>,
    ) -> JournalResult<SessionTokens> {
        let ring = keys::ring(node).await?;
        let key = ring.signing().ok_or_else(|| JournalError::corrupt("the key ring has no key that signs"))?;
        let (iat, exp) = (now.timestamp(), now.timestamp() + i64::from(signing.seconds));
        let access = Claims {
            iss: self.issuer.clone(),
            aud: tokens::AUDIENCE.to_owned(),
            sub: signing.subject.clone(),
            jti: uuid::Uuid::now_v7().to_string(),
            iat,
            exp,
            organization: signing.organization.map(|organization| organization.to_string()),
            permissions: None,
            sid: Some(signing.session.to_string()),
            epoch: 0,
            additional: signing.additional.clone(),
        };
        let id = IdClaims {
            iss: &self.issuer,
            aud: ID_AUDIENCE,
            sub: &signing.subject,
            sid: signing.session.to_string(),
            iat,
            exp,
            identity: &signing.identity,
        };
        Ok(SessionTokens {
            access: tokens::sign(&access, key).map_err(JournalError::corrupt)?,
            id: tokens::sign(&id, key).map_err(JournalError::corrupt)?,
        })
    }
}

/// Whether a claim is set here alone, so that additional claims may not use the name.
#[must_use]
pub fn is_reserved(claim: &str) -> bool {
    const RESERVED: [&str; 14] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "sid",
        "epoch",
        "organization",
        "permissions",
        "roles",
        "scope",
        "azp",
    ];
    RESERVED.contains(&claim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unused_session_ends_after_fourteen_days() {
        let at = |days: i64| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        let id = uuid::Uuid::nil();
        let document = json!({
            "state": { "id": id, "userId": id, "epoch": 0, "origin": "sign-in", "expiresAt": at(30) },
            "version": 2, "createdAt": at(0), "updatedAt": at(3),
        });
        let session: SessionDocument = serde_json::from_value(document).expect("a session");
        let (moment, bounds) = (TimeDelta::milliseconds(1), SessionBounds::default());
        let goes_on = |session: &SessionDocument, now| bounds.goes_on(session, false, now);
        assert!(goes_on(&session, at(17) - moment) && !goes_on(&session, at(17)));
        let refreshed = SessionDocument { updated_at: at(29), ..session };
        assert!(goes_on(&refreshed, at(30) - moment) && !goes_on(&refreshed, at(30)));
    }

    #[test]
    fn a_session_of_a_privileged_account_ends_by_bounds_of_its_own() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let id = uuid::Uuid::nil();
        let session = |origin: &str, updated: i64| -> SessionDocument {
            let document = json!({
                "state": { "id": id, "userId": id, "epoch": 0, "origin": origin, "expiresAt": at(24 * 30) },
                "version": 2, "createdAt": at(0), "updatedAt": at(updated),
            });
            serde_json::from_value(document).expect("a session")
        };
        let moment = TimeDelta::milliseconds(1);
        let bounds = SessionBounds {
            privileged: Bound { life: TimeDelta::hours(8), idle: TimeDelta::hours(3) },
            ..SessionBounds::default()
        };
        let idle = session("sign-in", 2);
        assert!(bounds.goes_on(&idle, true, at(5) - moment) && !bounds.goes_on(&idle, true, at(5)));
        assert!(bounds.goes_on(&idle, false, at(5)), "others go on");
        let used = session("sign-in", 7);
        assert!(bounds.goes_on(&used, true, at(8) - moment) && !bounds.goes_on(&used, true, at(8)));
        assert_eq!((bounds.end(&used, true), bounds.end(&used, false)), (at(8), at(24 * 30)));
        assert!(bounds.goes_on(&session("workload", 7), true, at(24)), "programs have no person to ask");
        let shorter = SessionBounds { all: Bound { life: TimeDelta::hours(10), idle: TimeDelta::hours(1) }, ..bounds };
        assert!(!shorter.goes_on(&used, false, at(8)) && shorter.end(&used, false) == at(10));
    }
}
