//! Users: listing, reading, changing, disabling and enabling them.

pub(super) mod filters;
mod shown;

pub(super) use shown::{Viewer, display_name};

use super::call::{Attributes, Call, EmptyBody, HandlerResult, Parameters, Parsed, PlainBody, Secret};
use super::documents::Reply;
use super::passwords::{REQUIRED, confirmed_again};
use super::refusals::{attribute, code_invalid, member};
use crate::access::resource::UserAct;
use crate::api::common::ApiError;
use crate::api::common::error::{RequestViolation, Source};
use crate::executor::{Outcome, RequestContext};
use crate::node::Node;
use crate::processes::accounts::{self, Contact};
use crate::processes::{DirectoryError, ProcessResult, membership};
use crate::security::{self, Event};
use filters::UserFilters;
use registrar_aggregates::DomainEvent;
use registrar_aggregates::user::{Amendment, Classification, Locale, Phone, Preferences, UserEvent, Username};
use registrar_aggregates::values::{EmailAddress, OrganizationId, UserId};
use registrar_projections::UserDocument;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<Parsed<EmailAddress>>,
    phone: Option<Parsed<Phone>>,
    username: Option<Username>,
    locale: Option<String>,
    tz: Option<String>,
    communication_preferences: Option<Value>,
    default_organization_id: Option<OrganizationId>,
    classification: Option<Classification>,
}

#[derive(Deserialize)]
pub(super) struct Email {
    email: Parsed<EmailAddress>,
    /// Sent by persons who change their own account.
    password: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ContactCode {
    confirmation_code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PhoneNumber {
    phone_number: Parsed<Phone>,
}

/// Lists users that the caller may see.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<UserFilters>) -> HandlerResult {
    let Some(query) = filters::query(&call, filters).await? else { return call.nothing() };
    let page = call.page(query).await?;
    let viewer = Viewer::of(&call, &page.items).await?;
    Ok(page.show(|user| viewer.resource(user)))
}

/// Answers with one user.
pub(super) async fn get(call: Call, Parameters(details): Parameters<shown::Details>) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::See).await?;
    let viewer = Viewer::of(&call, std::slice::from_ref(&*user)).await?;
    let sign_ups = shown::SignUps::of(&call, &user, &details).await?;
    Ok(Reply::found(viewer.detail(&user, &details, &sign_ups)))
}

/// Changes the attributes that were sent.
pub(super) async fn update(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::Change).await?;
    call.require(changes.classification.is_none() || call.holder.holds_everything())?;
    let expected = call.expected(&*user)?;
    let signs_in = changes.email.is_some() || changes.phone.is_some() || changes.username.is_some();
    if call.is(user.profile.id) && signs_in {
        // The published attributes lack a password, so it is in `meta`.
        let missing =
            ApiError::Wrong(vec![RequestViolation::at(Source::Pointer("/meta/password".to_owned()), REQUIRED)]);
        confirmed_again(&call, call.meta_text("password").map(Secret), missing).await?;
    }
    let amendment = changes.amendment()?;
    let composer = &call.app.settings.composer;
    commit(&call, &user, Reply::found, |node, context| {
        accounts::amend_and_tell(node, composer, context, user.profile.id, amendment, expected)
    })
    .await
}

impl Changes {
    fn amendment(self) -> Result<Amendment, ApiError> {
        let locale = self.locale.map(|locale| serde_json::from_value::<Locale>(Value::String(locale))).transpose();
        let preferences = self.communication_preferences.map(serde_json::from_value::<Preferences>).transpose();
        Ok(Amendment {
            first_name: self.first_name,
            last_name: self.last_name,
            email: self.email.map(|Parsed(email)| email),
            phone: self.phone.map(|Parsed(phone)| phone),
            username: self.username,
            locale: locale.map_err(|_| attribute("locale", "must be one of en_US, es_US"))?,
            time_zone: self.tz,
            preferences: preferences.map_err(|_| {
                attribute("communication-preferences", "must hold objects by channel: email, mobile, sms, voice, web")
            })?,
            default_organization: self.default_organization_id,
            classification: self.classification,
            birth_date: None,
        })
    }
}

/// Changes the e-mail address.
pub(super) async fn change_email(call: Call, PlainBody(asked): PlainBody<Email>) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::Change).await?;
    let Email { email: Parsed(email), password } = asked;
    if call.is(user.profile.id) {
        confirmed_again(&call, password, member("password", REQUIRED)).await?;
    }
    let amendment = Amendment { email: Some(email), ..Amendment::default() };
    let composer = &call.app.settings.composer;
    call.commit(Reply::done(), |node, context| {
        accounts::amend_and_tell(node, composer, context, user.profile.id, amendment, None)
    })
    .await
}

/// Confirms, by the code that was sent to it, the person's contact that is not verified yet.
pub(super) async fn confirm_contact(call: Call, PlainBody(entered): PlainBody<ContactCode>) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::Own).await?;
    call.own_acts_only()?;
    let (id, session, epoch) = (user.profile.id, call.session_id(), call.user()?.epoch);
    let code = entered.confirmation_code;
    let confirmed = call
        .commit_rendered(
            |outcome| is_confirmed(outcome).then(Reply::done),
            |node, context| accounts::confirm_by_code(node, context, id, session, epoch, &code),
        )
        .await?;
    confirmed.ok_or_else(|| {
        security::refused(Event::Contact, "the code is wrong");
        code_invalid()
    })
}

/// Whether a contact was confirmed: a wrong code is counted by events as well.
fn is_confirmed(outcome: &Outcome) -> bool {
    let mut events = outcome.events.iter().map(|event| &*event.event);
    events.any(|event| {
        matches!(event, DomainEvent::User(UserEvent::EmailConfirmed { .. } | UserEvent::PhoneConfirmed { .. }))
    })
}

/// Confirms, by an admin or a program, that the telephone number is the user's.
pub(super) async fn confirm_phone(call: Call, PlainBody(number): PlainBody<PhoneNumber>) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::ConfirmPhone).await?;
    call.own_acts_only()?;
    let PhoneNumber { phone_number: Parsed(phone) } = number;
    call.commit(Reply::done(), |node, context| {
        accounts::confirm_contact(node, context, user.profile.id, None, Contact::Phone(phone))
    })
    .await
}

/// Blocks sign-in.
pub(super) async fn disable(call: Call, PlainBody(EmptyBody {}): PlainBody<EmptyBody>) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::Administer).await?;
    let admin = call.caller.as_ref().and_then(|caller| caller.principal.admin_id).map(|admin| UserId(admin.0));
    let by = call.holder.user_id().or(admin).ok_or_else(|| call.forbidden())?;
    commit(&call, &user, Reply::created, |node, context| membership::disable(node, context, user.profile.id, by)).await
}

/// Allows sign-in again.
pub(super) async fn enable(call: Call, PlainBody(EmptyBody {}): PlainBody<EmptyBody>) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::Administer).await?;
    commit(&call, &user, Reply::created, |node, context| membership::enable(node, context, user.profile.id)).await
}

/// Staff reset their own agreements, so that they are asked again.
pub(super) async fn forget_agreements(call: Call, PlainBody(EmptyBody {}): PlainBody<EmptyBody>) -> HandlerResult {
    let user = call.load::<UserDocument>(UserAct::ForgetAgreements).await?;
    call.commit(Reply::done(), |node, context| accounts::forget_agreements(node, context, user.profile.id)).await
}

/// Carries out an act on an account and answers with the user, as the caller sees it.
async fn commit<'c, Act>(
    call: &'c Call,
    user: &Arc<UserDocument>,
    reply: fn(super::documents::Resource) -> Reply,
    act: impl FnOnce(&'c Node, &'c RequestContext) -> Act,
) -> HandlerResult
where
    Act: Future<Output = ProcessResult>,
{
    let viewer = Arc::new(Viewer::of(call, std::slice::from_ref(&**user)).await?);
    let resource = move |user: &UserDocument| viewer.resource(user);
    call.commit_document::<UserDocument, DirectoryError, Act>(user.profile.id.to_string(), reply, resource, act).await
}
