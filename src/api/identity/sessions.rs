//! Signing in and out, and what sessions are given.

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource};
use super::refusals::{NO_USER, member, refused};
use super::times;
use crate::api::common::ApiError;
use crate::api::common::error::{Source, Wrong};
use crate::auth::is_reserved;
use crate::directory::sessions::{self, Live, Opened, Origins, Person, SESSION_SECS, Wish};
use crate::directory::sign_in::{Credentials, Desk, SignInError, SignedIn};
use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use registrar_aggregates::session::Origin;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{OrganizationId, SessionId, UserId};
use registrar_projections::UserDocument;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Life of a token for somebody who did not sign in, if nobody says otherwise, in seconds.
const SYNTHETIC_SECS: u64 = 1_800;

const NO_SESSION: ApiError = ApiError::NotFound("Session not found");
const NOT_SIGNED_IN: ApiError = ApiError::Unauthenticated { credentials_sent: true };

impl Call {
    /// Where signing in is decided.
    pub(super) fn desk(&self) -> Desk<'_> {
        Desk {
            node: &self.app.node,
            passwords: &self.app.passwords,
            authenticator: &self.app.authenticator,
            documents: &self.app.settings.service_documents,
        }
    }

    fn origins(&self) -> Origins {
        Origins { ip_address: self.facts.ip_address.clone(), user_agent: self.facts.user_agent.clone() }
    }

    /// The session that the caller acts in, with whoever that is.
    async fn session(&self) -> Result<Option<Live>, ApiError> {
        let id = self.caller.as_ref().and_then(|caller| caller.principal.session);
        match id {
            Some(id) => Ok(sessions::find(&self.app.node, id, Utc::now()).await?),
            None => Ok(None),
        }
    }
}

/// Tokens for name and password.
pub(super) async fn login(call: Call) -> Answered {
    let body = call.body();
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    let wish = Wish {
        access_secs: number("access-token-expiration-seconds")
            .and_then(|secs| u32::try_from(secs).ok())
            .unwrap_or(sessions::ACCESS_SECS),
        sticky: body.flag("sticky-access-token-expiration"),
        session_secs: number("refresh-token-expiration-seconds").unwrap_or(SESSION_SECS),
        ..Wish::plain(Origin::SignIn)
    };
    let credentials = Credentials {
        username: body.text("username").unwrap_or_default().to_owned(),
        password: Zeroizing::new(body.text("password").unwrap_or_default().to_owned()),
        code: body.text("totp-code").map(str::to_owned),
        agreements: body.uuids("service-document-agreements").unwrap_or_default().into_iter().collect(),
        interactive: body.get("interactive").and_then(Value::as_bool).unwrap_or(true),
    };
    match call.desk().sign_in(call.context(), &call.origins(), credentials, &wish).await? {
        SignedIn::Elsewhere(url) => Ok(Reply::said(json!({ "redirect-url": url }))),
        SignedIn::Here(signed_in) => {
            let (opened, person) = *signed_in;
            Ok(Reply::said(login_info(&opened, &person)))
        }
    }
}

/// New tokens for a refresh token.
pub(super) async fn refresh(call: Call) -> Answered {
    let node = &call.app.node;
    let token = Zeroizing::new(call.body().text("refresh-token").unwrap_or_default().to_owned());
    let live = sessions::find_by_refresh_token(node, &token, Utc::now()).await?.ok_or(NOT_SIGNED_IN)?;
    if let Person::User(user) = &live.person
        && call.body().flag("interactive")
    {
        let missing = call.app.settings.service_documents.missing(user, &Default::default());
        if !missing.is_empty() {
            return Err(SignInError::AgreementsNeeded(missing).into());
        }
    }
    let context = live.person.context(call.context(), live.session.state.id, &call.origins());
    let opened = sessions::refresh(node, &call.app.authenticator, &context, &live, &token).await?;
    Ok(Reply::said(login_info(&opened, &live.person)))
}

/// Who the bearer is.
pub(super) async fn authenticate(call: Call) -> Answered {
    let caller = call.caller.as_ref().ok_or(NOT_SIGNED_IN)?;
    let principal = &caller.principal;
    let organization = call.organization();
    let session = principal.session.map_or_else(Uuid::nil, |session| session.0);
    let (email, roles) = match call.holder.as_user() {
        Some(user) => {
            let email = user.contacts.email.as_ref().map(ToString::to_string).unwrap_or_default();
            let here = acting_organization(&call).await?.or(organization);
            let own = here.and_then(|here| user.memberships.get(&here)).into_iter().flat_map(|own| &own.roles);
            let roles: Vec<_> =
                own.map(|role| role.name()).chain(user.system_roles.iter().map(|role| role.name())).collect();
            let data = json!({
                "user-id": user.profile.id, "session-id": session, "email": email, "roles": roles, "organization-id": here,
            });
            return Ok(Reply::said(json!({ "data": data })));
        }
        None => {
            let role = match organization {
                Some(organization) if call.holder.is_admin(organization) => Some(Role::Admin.name()),
                None if call.holder.holds_everything() => Some(SystemRole::Admin.name()),
                _ => None,
            };
            (String::new(), role.into_iter().collect::<Vec<_>>())
        }
    };
    let data = json!({
        "user-id": principal.admin_id, "session-id": session, "email": email, "roles": roles, "organization-id": organization,
    });
    Ok(Reply::said(json!({ "data": data })))
}

/// Where the caller's session acts, which also those have who reach every organization.
async fn acting_organization(call: &Call) -> Result<Option<OrganizationId>, ApiError> {
    let live = call.session().await?;
    Ok(live.and_then(|live| live.session.state.scope).map(|scope| scope.organization_id))
}

/// A live session.
pub(super) async fn get(call: Call) -> Answered {
    let id = SessionId(call.path_id(NO_SESSION)?);
    let live = sessions::find(&call.app.node, id, Utc::now()).await?.ok_or(NO_SESSION)?;
    let session = &live.session.state;
    let owner = call.caller.as_ref().is_some_and(|caller| caller.principal.actor.id == session.user_id.to_string());
    if !owner && !call.holder.is_service() {
        return Err(NO_SESSION);
    }
    let mut attributes = json!({ "expiration-time": times::write(session.expires_at), "user-id": session.user_id });
    if call.flag_argument("include-login-info") {
        attributes["login-info"] = profile(&live.person, session.id);
    }
    Ok(Reply::found(Resource::new("sessions", session.id, attributes)))
}

/// Tokens of the same session for another organization.
pub(super) async fn switch(call: Call) -> Answered {
    let node = &call.app.node;
    let id = UserId(call.path_id(NO_USER)?);
    if !call.is(id) {
        let other = call.user_by_id(id).await?.filter(|other| call.holder.sees(other));
        return Err(if other.is_some() { call.forbidden() } else { NO_USER });
    }
    let live = call.session().await?.ok_or_else(|| call.forbidden())?;
    let organization = call.body().uuid("organization-id").map(OrganizationId).ok_or_else(|| call.forbidden())?;
    let set_default = call.body().flag("set-default");
    let switched =
        sessions::switch(node, &call.app.authenticator, call.context(), &live, organization, set_default).await?;
    let opened = switched.ok_or_else(|| call.forbidden())?;
    Ok(Reply::said(json!({
        "access-token": opened.tokens.access, "id-token": opened.tokens.id, "refresh-token": "",
    })))
}

/// A token for somebody who does not sign in.
pub(super) async fn create_synthetic(call: Call) -> Answered {
    if !call.holder.is_service() {
        return Err(call.forbidden());
    }
    let node = &call.app.node;
    let data = call.body().get("data").cloned().unwrap_or_default();
    let at = |name: &str| Source::Pointer(format!("/data/{name}"));
    let wrong = |name: &str, detail: &str| ApiError::Wrong(vec![Wrong::at(at(name), detail)]);
    let mut additional = BTreeMap::new();
    for (index, claim) in data.get("additional-claims").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let (name, value) = (claim.text("claim").unwrap_or_default(), claim.text("value").unwrap_or_default());
        if is_reserved(name) || additional.insert(name.to_owned(), json!(value)).is_some() {
            return Err(wrong(&format!("additional-claims/{index}/claim"), "is reserved, or given twice"));
        }
    }
    let user = match data.uuid("user-id") {
        Some(id) => call.user_by_id(UserId(id)).await?.filter(|user| user.state.is_enabled()),
        None => None,
    };
    let user = user.ok_or_else(|| wrong("user-id", "names no user"))?;
    let organization = data.uuid("organization-id").map(OrganizationId);
    if organization.is_some_and(|organization| !user.memberships.contains_key(&organization)) {
        return Err(wrong("organization-id", "names none of the user's organizations"));
    }
    let seconds = data.get("expiration-secs").and_then(Value::as_u64).unwrap_or(SYNTHETIC_SECS);
    let wish = Wish {
        organization,
        access_secs: u32::try_from(seconds).unwrap_or(sessions::ACCESS_SECS),
        session_secs: seconds,
        refreshable: false,
        additional,
        ..Wish::plain(Origin::Synthetic)
    };
    let now = Utc::now();
    let person = Person::User(user);
    let opened = sessions::open(node, &call.app.authenticator, call.context(), &person, &wish).await?;
    let expires = now + TimeDelta::seconds(i64::from(opened.access_secs));
    Ok(Reply::said(json!({ "data": {
        "access-token": opened.tokens.access,
        "expiration-secs": opened.access_secs,
        "expiration-time": times::write(expires),
        "session-id": opened.id,
    }})))
}

/// Tokens of a service account, for a program that shows the digest of its token.
pub(super) async fn internal_v1(call: Call) -> Answered {
    let body = call.body();
    let text = |name: &str| body.text(name).unwrap_or_default();
    let workload = call.app.settings.workloads.by_digest(text("namespace"), text("sa-name"), text("sa-token-sha512"));
    let user = match workload.and_then(|workload| workload.user()) {
        Some(user) => enabled(&call, user).await?,
        None => None,
    };
    let Some(user) = user else { return Err(stranger(&call)) };
    let (opened, user) = open_for_program(&call, user, true).await?;
    let refresh = opened.refresh_token.as_ref().map(|token| token.as_str()).unwrap_or_default();
    Ok(Reply::said(json!({
        "access-token": opened.tokens.access,
        "id-token": opened.tokens.id,
        "refresh-token": refresh,
        "token-type": "Bearer",
        "expires-in": opened.access_secs,
        "email": user.contacts.email,
        "user-id": user.profile.id,
        "username": user.username_text(),
    })))
}

/// An access token of a service account, for a program that shows its token.
pub(super) async fn internal(mut call: Call) -> Answered {
    let attributes = call.attributes()?;
    let token = Zeroizing::new(attributes.text("token").unwrap_or_default().to_owned());
    let Some(workload) = call.app.settings.workloads.by_token(&token) else { return Err(stranger(&call)) };
    let user = match workload.user() {
        Some(user) => enabled(&call, user).await?.ok_or_else(|| call.forbidden())?,
        None => return Err(call.forbidden()),
    };
    let (opened, _) = open_for_program(&call, user, false).await?;
    let attributes = json!({ "access-token": opened.tokens.access });
    Ok(Reply::created(Resource::new("internal-auths", opened.id, attributes)))
}

fn stranger(_: &Call) -> ApiError {
    tracing::info!(target: "registrar::security", reason = "no such workload", "a sign-in failed");
    refused(StatusCode::UNAUTHORIZED, "bad-credentials", "no such workload, or another token")
}

async fn enabled(call: &Call, user: UserId) -> Result<Option<Arc<UserDocument>>, ApiError> {
    Ok(call.user_by_id(user).await?.filter(|user| user.state.is_enabled()))
}

async fn open_for_program(
    call: &Call,
    user: Arc<UserDocument>,
    refreshable: bool,
) -> Result<(Opened, Arc<UserDocument>), ApiError> {
    let person = Person::User(Arc::clone(&user));
    let wish = Wish { refreshable, ..Wish::plain(Origin::Workload) };
    let context = person.context(call.context(), SessionId(Uuid::nil()), &call.origins());
    let opened = sessions::open(&call.app.node, &call.app.authenticator, &context, &person, &wish).await?;
    Ok((opened, user))
}

/// Ends the session.
pub(super) async fn logout(call: Call) -> Answered {
    let session = call.caller.as_ref().and_then(|caller| caller.principal.session);
    let session = session.ok_or_else(|| ApiError::Conflict("the token belongs to no session".to_owned()))?;
    call.remember(|_| Some(Reply::done()));
    sessions::end(&call.app.node, call.context(), session).await?;
    Ok(Reply::done())
}

/// Tokens with the profile.
fn login_info(opened: &Opened, person: &Person) -> Value {
    let mut info = profile(person, opened.id);
    info["access-token"] = json!(opened.tokens.access);
    info["id-token"] = json!(opened.tokens.id);
    if let Some(token) = &opened.refresh_token {
        info["refresh-token"] = json!(token.as_str());
    }
    info
}

/// Whoever a session is of.
fn profile(person: &Person, session: SessionId) -> Value {
    match person {
        Person::User(user) => {
            let organizations: Vec<_> = user.memberships.keys().collect();
            let individual = user.individuals.first().map(ToString::to_string).unwrap_or_default();
            json!({
                "email": user.contacts.email.as_ref().map(ToString::to_string).unwrap_or_default(),
                "first-name": user.names.first_name,
                "last-name": user.names.last_name,
                "individual": { "id": individual },
                "locale": user.locale,
                "locale-explicit": user.locale_explicit,
                "multi-organization": organizations.len() > 1,
                "organizations": organizations,
                "session-id": session,
                "tz": user.time_zone,
                "tz-explicit": user.time_zone_explicit,
                "user-id": user.profile.id,
                "username": user.username_text(),
            })
        }
        Person::Admin(admin) => {
            let email = admin.account.as_ref().map(|account| account.email.to_string()).unwrap_or_default();
            json!({
                "email": email,
                "first-name": admin.person.first_name,
                "last-name": admin.person.last_name,
                "individual": { "id": "" },
                "locale": registrar_aggregates::user::Locale::default(),
                "locale-explicit": false,
                "multi-organization": false,
                "organizations": [],
                "session-id": session,
                "tz": null,
                "tz-explicit": false,
                "user-id": admin.id,
                "username": email,
            })
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::BadCredentials => {
                refused(StatusCode::UNAUTHORIZED, "bad-credentials", "wrong user name or password")
            }
            SignInError::CodeNeeded => {
                refused(StatusCode::UNAUTHORIZED, "totp-required", "a code of the second factor is needed")
            }
            SignInError::BadCode => {
                refused(StatusCode::UNAUTHORIZED, "totp-invalid", "the code is wrong, or was used before")
            }
            SignInError::Disabled => refused(StatusCode::FORBIDDEN, "account-disabled", "the account is disabled"),
            SignInError::Unconfirmed => refused(StatusCode::FORBIDDEN, "forbidden", "the account is not confirmed yet"),
            SignInError::ResetNeeded => {
                refused(StatusCode::FORBIDDEN, "password-reset-required", "another password must be set first")
            }
            SignInError::AgreementsNeeded(documents) => ApiError::Refused {
                status: StatusCode::FORBIDDEN,
                code: "agreements-required",
                detail: "documents must be agreed to first",
                meta: Some(json!({ "service-document-ids": documents })),
            },
            SignInError::NoSuchDocument(_) => member("service-document-agreements", "names no document"),
            SignInError::Locked(locked) => crate::directory::Refusal::from(locked).into(),
            SignInError::Busy(busy) => busy.into(),
            SignInError::Directory(error) => error.into(),
        }
    }
}
