//! Changes of a session with the tokens of the response: signed first, committed then.
//!
//! So the response is known before the commit and can be committed with it. A token of a session that was never opened,
//! or of a switch that never happened, is harmless: the session is looked up on each request, and acts where its
//! document says.

use super::{
    ACCESS_SECS, LiveSession, OpenedSession, Person, SessionOpenError, SessionRequest, SessionStart, too_many,
};
use crate::auth::{Authenticator, SigningInput, places};
use crate::executor::RequestContext;
use crate::node::Node;
use crate::processes::second_factor::RecoveryCodes;
use crate::processes::{DirectoryError, commit};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use registrar_aggregates::processes::sessions::{self as rules, SessionChange};
use registrar_aggregates::session::{Opening, Scope, Session, SessionCommand, SessionError};
use registrar_aggregates::values::{OrganizationId, SessionId};
use std::collections::BTreeMap;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A session with signed tokens, not committed yet.
pub struct PreparedSession {
    opened: OpenedSession,
    change: SessionChange,
}

impl PreparedSession {
    /// The session and tokens to return once it is committed.
    #[must_use]
    pub fn opened(&self) -> &OpenedSession {
        &self.opened
    }

    /// Adds recovery codes to the result.
    #[must_use]
    pub(in crate::processes) fn giving(mut self, recovery_codes: Option<RecoveryCodes>) -> Self {
        self.opened.recovery_codes = recovery_codes;
        self
    }

    /// The change of the session, to be committed together with other decisions.
    pub(in crate::processes) fn change(&self) -> &SessionChange {
        &self.change
    }

    /// Commits the session.
    ///
    /// # Errors
    /// `Over`, `OtherToken`; the journal's. The tokens are useless then.
    pub async fn commit(self, node: &Node, context: &RequestContext) -> Result<OpenedSession, DirectoryError> {
        commit(node, context, |streams| rules::change(streams, &self.change)).await?;
        Ok(self.into_opened())
    }

    /// The session and tokens, after another process committed it.
    pub(in crate::processes) fn into_opened(self) -> OpenedSession {
        self.opened
    }
}

/// Prepares a session of `person` by `request`.
///
/// # Errors
/// `SignInElsewhere`, `Retired`, `NotAMember` by the organization that it would begin in; `Directory`.
pub async fn prepare(
    node: &Node,
    authenticator: &Authenticator,
    person: &Person,
    request: &SessionRequest,
) -> Result<PreparedSession, SessionOpenError> {
    let scope = match person.begins(&node.documents, request).await? {
        SessionStart::At(scope) => scope,
        SessionStart::Elsewhere(url) => return Err(SessionOpenError::SignInElsewhere(url)),
        SessionStart::Retired => return Err(SessionOpenError::Retired),
        SessionStart::Nowhere => return Err(SessionOpenError::NotAMember),
    };
    prepare_at(node, authenticator, person, request, scope).await
}

/// Prepares a session that begins in `scope`.
pub(in crate::processes) async fn prepare_at(
    node: &Node,
    authenticator: &Authenticator,
    person: &Person,
    request: &SessionRequest,
    scope: Option<Scope>,
) -> Result<PreparedSession, SessionOpenError> {
    let now = Utc::now();
    let id = SessionId(Uuid::now_v7());
    let bound = authenticator.bounds().of(request.origin, person.is_privileged());
    let wished = i64::try_from(request.session_secs.max(1)).ok().and_then(TimeDelta::try_seconds);
    let life = wished.map_or(bound.life, |wished| wished.min(bound.life));
    let access_secs = request.access_secs.clamp(1, ACCESS_SECS);
    let refresh_token = request.refreshable.then(|| refresh_token(id));
    let opening = Opening {
        id,
        user_id: person.id(),
        account: person.account(),
        epoch: person.epoch(),
        scope,
        origin: request.origin,
        by: request.by,
        via: request.via,
        expires_at: now + life,
        access_secs: request.sticky.then_some(access_secs),
        refresh_digest: refresh_token.as_ref().map(|token| digest(node, token)),
    };
    let signing = SigningInput {
        subject: person.id().to_string(),
        session: id,
        organization: scope.map(|scope| scope.organization_id),
        seconds: access_secs,
        additional: request.additional.clone(),
        identity: person.identity(),
    };
    let opened = sign(node, authenticator, signing, refresh_token, now).await?;
    let ended = too_many(&node.documents, bound, &opening, now).await?;
    let command = SessionCommand::Open(Box::new(opening));
    Ok(PreparedSession { opened, change: SessionChange { id, command, default_of: None, ended } })
}

/// Prepares new tokens for a session; with `rotate` also another refresh token, which ends the one that was shown.
///
/// # Errors
/// `Unavailable`, `Corrupt`; whether the token belongs to the session is decided at the commit.
pub async fn refresh(
    node: &Node,
    authenticator: &Authenticator,
    live: &LiveSession,
    token: &str,
    rotate: bool,
) -> Result<PreparedSession, DirectoryError> {
    let now = Utc::now();
    let organization = live.session.state.scope.map(|scope| scope.organization_id);
    let another = rotate.then(|| refresh_token(live.session.state.id));
    let replacement = another.as_ref().map(|another| digest(node, another));
    let opened = sign(node, authenticator, live.signing(organization), another, now).await?;
    let command = SessionCommand::Refresh { digest: digest(node, token), replacement, now };
    let change = SessionChange { id: opened.id, command, default_of: None, ended: Vec::new() };
    Ok(PreparedSession { opened, change })
}

/// Prepares a session's switch to another organization of its user, with tokens for it, including a refresh token if
/// the session has one.
///
/// # Errors
/// `NotAMember`, `SignInElsewhere`, `Retired`; `Directory` with `Over`.
pub async fn switch(
    node: &Node,
    authenticator: &Authenticator,
    live: &LiveSession,
    organization: OrganizationId,
    set_default: bool,
) -> Result<PreparedSession, SessionOpenError> {
    let now = Utc::now();
    let (Person::User(user), Some(scope)) = (&live.person, live.person.scope(organization)) else {
        return Err(SessionOpenError::NotAMember);
    };
    let session = &live.session.state;
    match places::entry_status(&node.documents, user, organization, session.via).await? {
        places::EntryStatus::Usable => {}
        places::EntryStatus::SignInElsewhere(url) => return Err(SessionOpenError::SignInElsewhere(url)),
        places::EntryStatus::Retired => return Err(SessionOpenError::Retired),
        places::EntryStatus::Gone => return Err(SessionOpenError::NotAMember),
    }
    let (_, Session::Open(running)) = node.executor.state::<Session>(&session.id.to_string()).await? else {
        return Err(DirectoryError::Refused(SessionError::Over.into()).into());
    };
    let refresh_token = running.is_refreshable().then(|| refresh_token(session.id));
    let digest = refresh_token.as_ref().map(|token| digest(node, token));
    let opened = sign(node, authenticator, live.signing(Some(organization)), refresh_token, now).await?;
    let default_of = set_default.then(|| (live.person.id(), organization));
    let command = SessionCommand::Switch { scope, digest, now };
    Ok(PreparedSession { opened, change: SessionChange { id: session.id, command, default_of, ended: Vec::new() } })
}

impl LiveSession {
    fn signing(&self, organization: Option<OrganizationId>) -> SigningInput {
        SigningInput {
            subject: self.person.id().to_string(),
            session: self.session.state.id,
            organization,
            seconds: self.session.state.access_secs.unwrap_or(ACCESS_SECS),
            additional: BTreeMap::new(),
            identity: self.person.identity(),
        }
    }
}

async fn sign(
    node: &Node,
    authenticator: &Authenticator,
    signing: SigningInput,
    refresh_token: Option<Zeroizing<String>>,
    now: DateTime<Utc>,
) -> Result<OpenedSession, DirectoryError> {
    let tokens = authenticator.sign_session(node, &signing, now).await?;
    let SigningInput { session, organization, seconds, .. } = signing;
    Ok(OpenedSession { id: session, organization, tokens, refresh_token, access_secs: seconds, recovery_codes: None })
}

fn refresh_token(session: SessionId) -> Zeroizing<String> {
    let secret = Zeroizing::new(crate::vault::random::<32>());
    Zeroizing::new(format!("{session}.{}", BASE64_URL_SAFE_NO_PAD.encode(*secret)))
}

pub(super) fn digest(node: &Node, refresh_token: &str) -> String {
    BASE64_STANDARD.encode(node.vault.digest("refresh-token", &[refresh_token.as_bytes()]))
}
