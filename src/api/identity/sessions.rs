//! Signing in and out, and the tokens of sessions.

use super::call::{Call, EmptyBody, HandlerResult, Parameters, PlainBody, Secret};
use super::documents::{Reply, Resource};
use super::passwords::{REQUIRED, confirmed_again};
use super::refusals::{NO_SESSION, into_api_error, member};
use super::{times, totp};
use crate::access::resource::{Guarded, UserAct};
use crate::api::common::ApiError;
use crate::journal::JournalResult;
use crate::processes::service_documents::ServiceDocuments;
use crate::processes::sessions::{self, LiveSession, OpenedSession, Person, SESSION_SECS, SessionRequest};
use crate::processes::sign_in::{Credentials, PendingSignIn, SetUp, SignInError, SignInResult};
use chrono::Utc;
use registrar_aggregates::session::{EndReason, Origin};
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{OrganizationId, SessionId, UserId};
use registrar_projections::UserDocument;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

const NOT_SIGNED_IN: ApiError = ApiError::Unauthenticated { credentials_sent: true };

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SignIn {
    username: String,
    password: Secret,
    /// New password, if the present one was set by support.
    new_password: Option<Secret>,
    totp_code: Option<String>,
    /// Whether to return the secret of a second factor that must be set up.
    #[serde(default)]
    totp_setup: bool,
    /// Two codes of the device, which enable that factor.
    totp_setup_codes: Option<[String; 2]>,
    #[serde(default)]
    service_document_agreements: BTreeSet<Uuid>,
    #[serde(default = "yes")]
    interactive: bool,
    access_token_expiration_seconds: Option<u32>,
    refresh_token_expiration_seconds: Option<u64>,
    #[serde(default)]
    sticky_access_token_expiration: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Refresh {
    refresh_token: Secret,
    #[serde(default)]
    interactive: bool,
    /// Whether to exchange the refresh token for a new one.
    #[serde(default)]
    rotate: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EndAll {
    /// Whether to keep the calling session.
    #[serde(default)]
    keep_current: bool,
    password: Option<Secret>,
}

#[derive(Deserialize)]
pub(super) struct End {
    password: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Details {
    #[serde(default)]
    include_login_info: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Switch {
    organization_id: OrganizationId,
    #[serde(default)]
    set_default: bool,
}

fn yes() -> bool {
    true
}

/// Signs in by name and password, and returns tokens.
pub(super) async fn login(call: Call, PlainBody(asked): PlainBody<SignIn>) -> HandlerResult {
    let request = SessionRequest {
        access_secs: asked.access_token_expiration_seconds.unwrap_or(sessions::ACCESS_SECS),
        sticky: asked.sticky_access_token_expiration,
        session_secs: asked.refresh_token_expiration_seconds.unwrap_or(SESSION_SECS),
        ..SessionRequest::plain(Origin::SignIn)
    };
    let set_up = match asked.totp_setup_codes {
        Some(codes) => Some(SetUp::Finish(codes)),
        None => asked.totp_setup.then_some(SetUp::Begin),
    };
    let credentials = Credentials {
        username: asked.username,
        password: asked.password.0,
        new_password: asked.new_password.map(|new| new.0),
        code: asked.totp_code,
        set_up,
        agreements: asked.service_document_agreements,
        interactive: asked.interactive,
    };
    let reply = |prospect: &PendingSignIn<'_>| match prospect {
        PendingSignIn::Here(opened, person) => Reply::said(login_info(opened, person)),
        PendingSignIn::SetUp(provisioning) => Reply::said(json!({ "totp-secret": totp::shown(provisioning) })),
    };
    match call.sign_in(credentials, &request, reply).await.map_err(into_api_error)? {
        SignInResult::SetUp(provisioning) => Ok(reply(&PendingSignIn::SetUp(&provisioning))),
        SignInResult::Elsewhere(url) => Ok(Reply::said(json!({ "redirect-url": url }))),
        SignInResult::Here(signed_in) => Ok(reply(&PendingSignIn::Here(&signed_in.0, &signed_in.1))),
    }
}

/// Exchanges a refresh token for new tokens.
pub(super) async fn refresh(call: Call, PlainBody(asked): PlainBody<Refresh>) -> HandlerResult {
    let (node, token, bounds) = (&call.app.node, &asked.refresh_token.0, call.app.authenticator.bounds());
    let live = sessions::find_by_refresh_token(node, bounds, token, Utc::now()).await?.ok_or(NOT_SIGNED_IN)?;
    if let Person::User(user) = &live.person
        && asked.interactive
    {
        let organization = live.session.state.scope.map(|scope| scope.organization_id);
        let documents = ServiceDocuments::of_session(&node.documents, organization).await?;
        let missing = documents.missing(user, &BTreeSet::new());
        if !missing.is_empty() {
            return Err(into_api_error(SignInError::AgreementsNeeded(missing)));
        }
    }
    if call.end_if_spent(&live, token).await? {
        return Err(NOT_SIGNED_IN);
    }
    check_second_factor(&call, &live).await?;
    let rotate = asked.rotate || call.app.settings.rotate_refresh;
    let prepared =
        sessions::refresh(node, &call.app.authenticator, &live, token, rotate).await.map_err(into_api_error)?;
    let opened = prepared.opened();
    let (acts_in, reply) = ((Some(opened.id), opened.organization), Reply::said(login_info(opened, &live.person)));
    let (client_info, person) = (call.client_info(), &live.person);
    let done = call.commit(reply, |node, context| async move {
        prepared.commit(node, &person.context(context, acts_in, &client_info)).await
    });
    let done = done.await;
    // If two requests exchange the same token concurrently, the second shows a spent one.
    if matches!(done, Err(ApiError::Unauthenticated { .. })) {
        call.end_if_spent(&live, token).await?;
    }
    done
}

/// Refuses further tokens to a person who must set up a second factor by now: that is done at sign-in.
///
/// # Errors
/// 403.
async fn check_second_factor(call: &Call, live: &LiveSession) -> Result<(), ApiError> {
    let signed_in = live.session.state.origin == Origin::SignIn;
    if signed_in && call.app.settings.second_factor.is_unmet(&call.app.node, &live.person).await? {
        return Err(into_api_error(SignInError::SetUpNeeded));
    }
    Ok(())
}

/// The caller's own live sessions, newest first.
pub(super) async fn list(call: Call) -> HandlerResult {
    let current = call.session_id();
    let (person, bounds) = (call.account().await?, call.app.authenticator.bounds());
    let own = sessions::of_person(call.documents(), bounds, &person, Utc::now()).await?;
    let rows = own.iter().map(|session| {
        let attributes = json!({
            "created-time": times::write(session.created_at),
            "last-active-time": times::write(session.updated_at),
            "expiration-time": times::write(bounds.end(session, person.is_privileged())),
            "origin": session.origin,
            "organization-id": session.scope.map(|scope| scope.organization_id),
            "current": current == Some(session.id),
        });
        Resource::new("sessions", session.id, attributes)
    });
    call.part(rows.collect())
}

/// Ends one of the caller's own sessions.
pub(super) async fn end(call: Call, PlainBody(End { password }): PlainBody<End>) -> HandlerResult {
    let (person, bounds) = (call.account().await?, call.app.authenticator.bounds());
    let own = sessions::of_person(call.documents(), bounds, &person, Utc::now()).await?;
    let named = UserDocument::key(call.path_text()).and_then(|id| Uuid::try_parse(&id).ok());
    let session = own.iter().find(|session| named == Some(session.id.0)).ok_or(NO_SESSION)?.id;
    call.own_acts_only()?;
    let own = call.session_id() == Some(session);
    // Ending the own session is a sign-out and needs no password.
    if !own {
        confirmed_again(&call, password, member("password", REQUIRED)).await?;
    }
    let reason = if own { EndReason::SignedOut } else { EndReason::EndedElsewhere };
    call.commit(Reply::done(), |node, context| sessions::end(node, context, session, reason)).await
}

/// Ends all of the caller's own sessions, and revokes its tokens issued without a session.
pub(super) async fn end_all(call: Call, PlainBody(asked): PlainBody<EndAll>) -> HandlerResult {
    let person = &call.account().await?;
    call.own_acts_only()?;
    confirmed_again(&call, asked.password, member("password", REQUIRED)).await?;
    let kept = call.session_id().filter(|_| asked.keep_current);
    call.commit(Reply::done(), |node, context| sessions::end_all(node, context, person, kept)).await
}

/// Answers with the bearer of the token.
pub(super) async fn authenticate(call: Call, PlainBody(EmptyBody {}): PlainBody<EmptyBody>) -> HandlerResult {
    let caller = call.caller.as_ref().ok_or(NOT_SIGNED_IN)?;
    let session = call.session_id().map_or_else(Uuid::nil, |session| session.0);
    let said = |user: UserId, email: Option<String>, roles: Vec<&str>, organization: Option<OrganizationId>| {
        let data = json!({
            "user-id": user, "session-id": session, "email": email.unwrap_or_default(), "roles": roles,
            "organization-id": organization,
        });
        Reply::said(json!({ "data": data }))
    };
    let organization = call.organization();
    if let Some(user) = call.holder.as_user() {
        let here = acting_organization(&call).await?.or(organization);
        let own = here.and_then(|here| user.memberships.get(&here)).into_iter().flat_map(|own| &own.roles);
        let system = user.system_roles.iter().map(|role| role.name());
        let roles = own.map(|role| role.name()).chain(system).collect();
        return Ok(said(user.profile.id, user.contacts.email.as_ref().map(ToString::to_string), roles, here));
    }
    let role = match organization {
        Some(organization) if call.holder.is_admin(organization) => Some(Role::Admin.name()),
        None if call.holder.holds_everything() => Some(SystemRole::Admin.name()),
        _ => None,
    };
    let email = match call.account().await {
        Ok(Person::Admin(admin)) => admin.account.as_ref().map(|account| account.email.to_string()),
        Ok(Person::User(_)) | Err(_) => None,
    };
    let admin = caller.principal.admin_id.map_or_else(Uuid::nil, |admin| admin.0);
    Ok(said(UserId(admin), email, role.into_iter().collect(), organization))
}

/// Organization of the caller's session, also for callers who reach every organization.
async fn acting_organization(call: &Call) -> JournalResult<Option<OrganizationId>> {
    let live = session(call).await?;
    Ok(live.and_then(|live| live.session.state.scope).map(|scope| scope.organization_id))
}

/// Session of the caller, with its owner.
async fn session(call: &Call) -> JournalResult<Option<LiveSession>> {
    match call.session_id() {
        Some(id) => sessions::find(&call.app.node, call.app.authenticator.bounds(), id, Utc::now()).await,
        None => Ok(None),
    }
}

/// Answers with a live session.
pub(super) async fn get(call: Call, Parameters(details): Parameters<Details>) -> HandlerResult {
    let id = UserDocument::key(call.path_text()).and_then(|id| Uuid::try_parse(&id).ok()).ok_or(NO_SESSION)?;
    let bounds = call.app.authenticator.bounds();
    let live = sessions::find(&call.app.node, bounds, SessionId(id), Utc::now()).await?.ok_or(NO_SESSION)?;
    let session = &live.session.state;
    let owner = call.caller.as_ref().is_some_and(|caller| caller.principal.subject() == session.user_id.to_string());
    if !owner && !call.holder.is_service() {
        return Err(NO_SESSION);
    }
    let mut attributes = json!({
        "expiration-time": times::write(bounds.end(&live.session, live.person.is_privileged())),
        "user-id": session.user_id,
    });
    if details.include_login_info {
        attributes["login-info"] = profile(&live.person, session.id);
    }
    Ok(Reply::found(Resource::new("sessions", session.id, attributes)))
}

/// Switches the session to another organization, and returns tokens.
pub(super) async fn switch(call: Call, PlainBody(asked): PlainBody<Switch>) -> HandlerResult {
    call.load::<UserDocument>(UserAct::Own).await?;
    let live = session(&call).await?.ok_or_else(|| call.forbidden())?;
    check_second_factor(&call, &live).await?;
    let (node, authenticator) = (&call.app.node, &call.app.authenticator);
    let prepared = sessions::switch(node, authenticator, &live, asked.organization_id, asked.set_default).await;
    let prepared = prepared.map_err(into_api_error)?;
    let opened = prepared.opened();
    // A session without refresh token stays without one.
    let refresh = opened.refresh_token.as_ref().map(|token| token.as_str()).unwrap_or_default();
    let reply = Reply::said(json!({
        "access-token": opened.tokens.access, "id-token": opened.tokens.id, "refresh-token": refresh,
    }));
    call.commit(reply, |node, context| prepared.commit(node, context)).await
}

/// Ends the caller's session.
pub(super) async fn logout(call: Call, PlainBody(EmptyBody {}): PlainBody<EmptyBody>) -> HandlerResult {
    let session = call.session_id();
    let session = session.ok_or_else(|| ApiError::Conflict("the token belongs to no session".to_owned()))?;
    let reason = EndReason::SignedOut;
    call.commit(Reply::done(), |node, context| sessions::end(node, context, session, reason)).await
}

/// Tokens and profile of the person.
pub(super) fn login_info(opened: &OpenedSession, person: &Person) -> Value {
    let mut info = profile(person, opened.id);
    info["access-token"] = json!(opened.tokens.access);
    info["id-token"] = json!(opened.tokens.id);
    if let Some(token) = &opened.refresh_token {
        info["refresh-token"] = json!(token.as_str());
    }
    if let Some(codes) = &opened.recovery_codes {
        info["recovery-codes"] = codes.texts().collect();
    }
    info
}

/// Owner of a session, as profile.
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
