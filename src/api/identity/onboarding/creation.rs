//! Creation of an onboarding request.

use super::shown::resource;
use crate::access::resource::{GroupAct, OrganizationAct};
use crate::api::common::ApiError;
use crate::api::common::error::{RequestViolation, Source};
use crate::api::identity::call::{Attributes, Call, HandlerResult, Parsed, Secret};
use crate::api::identity::documents::Reply;
use crate::api::identity::named::bounded;
use crate::api::identity::refusals::attribute;
use crate::processes::DirectoryError;
use crate::processes::onboarding::{self, FirstPassword, NewOnboarding};
use crate::processes::passwords::{self, PasswordError, Rules};
use chrono::Utc;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::message::Channel;
use registrar_aggregates::onboarding::{OnboardKind, Request};
use registrar_aggregates::user::{Locale, Names, Phone, Preferences, Role, Username};
use registrar_aggregates::values::{
    EmailAddress, GroupId, IndividualId, OnboardingRequestId, OrganizationId, RecipientId, UserId,
};
use registrar_projections::groups::GroupDocument;
use registrar_projections::onboarding_requests::OnboardingDocument;
use registrar_projections::{IndividualDocument, OrganizationDocument};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::api::identity) struct NewRequest {
    organization: OrganizationId,
    onboard_type: Option<OnboardKind>,
    patient: Option<IndividualId>,
    patient_email: Option<Parsed<EmailAddress>>,
    phone_number: Option<Parsed<Phone>>,
    username: Option<String>,
    password: Option<Secret>,
    provider_roles: Option<Vec<String>>,
    individual_group_id: Option<GroupId>,
    #[serde(default)]
    individual_group_ids: Vec<GroupId>,
    #[serde(default)]
    notifications: Vec<Channel>,
    communication_preferences: Option<Value>,
    #[serde(default)]
    email_user_now: bool,
    #[serde(default)]
    auto_confirm: bool,
    #[serde(default)]
    auto_sign_up: bool,
}

/// Onboards a patient or a provider. Providers of the organization onboard patients, its admins also providers; only
/// admins give passwords and confirmations.
pub(in crate::api::identity) async fn create(call: Call, Attributes(asked): Attributes<NewRequest>) -> HandlerResult {
    let at = Source::attribute("organization");
    let organization = call.named::<OrganizationDocument>(at, asked.organization, OrganizationAct::Onboard).await?;
    let kind = asked.onboard_type.unwrap_or(OnboardKind::Patient);
    let for_admins =
        kind == OnboardKind::Provider || asked.auto_confirm || asked.auto_sign_up || asked.password.is_some();
    call.require(!for_admins || call.may(&*organization, OrganizationAct::Administer).await?)?;
    // Refused whether or not an account is created with the request.
    call.own_acts_only()?;
    let created_by = call.holder.account_id().ok_or_else(|| call.forbidden())?;
    let (new, invites) = asked.prepared(&call, organization.id, kind, created_by).await?;
    count_lookups(&call, &new.request).await?;
    let (id, granter, composer) = (new.request.id, call.holder.granter(), &call.app.settings.composer);
    call.commit_document::<OnboardingDocument, DirectoryError, _>(
        id.to_string(),
        Reply::created,
        resource,
        |node, context| onboarding::create(node, context, composer, &granter, new, invites),
    )
    .await
}

impl NewRequest {
    /// The request with its account, and whether the person is invited now.
    async fn prepared(
        self,
        call: &Call,
        organization: OrganizationId,
        kind: OnboardKind,
        created_by: UserId,
    ) -> Result<(NewOnboarding, bool), ApiError> {
        let email = self.patient_email.map(|Parsed(email)| email);
        let phone = self.phone_number.map(|Parsed(phone)| phone);
        if email.is_none() && phone.is_none() {
            return Err(attribute("patient-email", "or phone-number is required"));
        }
        let individual_id = match (kind, self.patient) {
            (OnboardKind::Patient, Some(id)) => Some(individual(call, organization, id).await?),
            (OnboardKind::Patient, None) => return Err(attribute("patient", "is required for a patient")),
            (OnboardKind::Provider, Some(_)) => return Err(attribute("patient", "is for patients only")),
            (OnboardKind::Provider, None) => None,
        };
        let roles = roles(kind, self.provider_roles)?;
        let username = username(self.username, email.as_ref(), phone.as_ref())?;
        let groups = groups(call, organization, self.individual_group_id, &self.individual_group_ids).await?;
        let preferences = self.communication_preferences.map(serde_json::from_value::<Preferences>).transpose();
        let preferences = preferences.map_err(|_| {
            attribute("communication-preferences", "must hold objects by channel: email, mobile, sms, voice, web")
        })?;
        let password = match (self.auto_sign_up, self.password) {
            (true, Some(password)) => Some(accepted(call, password, email.as_ref(), phone.as_ref()).await?),
            (true, None) => return Err(attribute("password", "is required to sign a person up")),
            (false, Some(_)) => return Err(attribute("password", "is taken only with auto-sign-up")),
            (false, None) => None,
        };
        let given = |channel: &Channel| match channel {
            Channel::Email => email.is_some(),
            Channel::Sms => phone.is_some(),
        };
        let wanted = |channel: &Channel| match self.notifications.as_slice() {
            [] => given(channel),
            wanted => wanted.contains(channel),
        };
        let notifications = [Channel::Email, Channel::Sms].into_iter().filter(wanted).collect();
        let id = OnboardingRequestId(Uuid::now_v7());
        let request = Request {
            id,
            organization_id: organization,
            kind,
            individual_id,
            email,
            phone,
            roles,
            groups,
            notifications,
            auto_confirm: self.auto_confirm,
            auto_sign_up: self.auto_sign_up,
            locale: Locale::default(),
            created_by,
            user_id: None,
            holder: RecipientId(id.0),
        };
        let new = NewOnboarding {
            request,
            user: UserId(Uuid::now_v7()),
            username,
            preferences: preferences.unwrap_or_default(),
            password,
            holders: vec![],
            individual: IndividualId(Uuid::now_v7()),
            now: Utc::now(),
        };
        Ok((new, self.email_user_now))
    }
}

/// Counts each address that belongs to an account which the caller does not see. The answer does not tell of it, but the
/// request has no pending account then. Addresses without an account do not count, so that many people may be onboarded.
async fn count_lookups(call: &Call, request: &Request) -> Result<(), ApiError> {
    call.check_lookups()?;
    for holder in onboarding::holders(&call.app.node, request).await? {
        let user = match holder.user {
            Some(id) => call.user_by_id(id).await?,
            None => None,
        };
        if !user.is_some_and(|user| call.holder.sees(&user)) {
            call.count_lookup()?;
        }
    }
    Ok(())
}

/// An individual that the organization owns and the caller sees.
async fn individual(call: &Call, organization: OrganizationId, id: IndividualId) -> Result<IndividualId, ApiError> {
    let found = call.seen::<IndividualDocument>(id).await?;
    let own = found.filter(|found| found.owner == Owner::Organization(organization));
    let own = own.ok_or_else(|| attribute("patient", "names no individual of the organization"))?;
    Ok(own.id)
}

/// The roles of a provider by their names; `org.provider` where none is given.
fn roles(kind: OnboardKind, names: Option<Vec<String>>) -> Result<BTreeSet<Role>, ApiError> {
    let names = names.unwrap_or_default();
    match kind {
        OnboardKind::Patient if names.is_empty() => Ok(BTreeSet::new()),
        OnboardKind::Patient => Err(attribute("provider-roles", "are for providers only")),
        OnboardKind::Provider if names.is_empty() => Ok([Role::Provider].into()),
        OnboardKind::Provider => {
            let role = |name: &String| [Role::Admin, Role::Provider].into_iter().find(|role| role.name() == name);
            let roles: Option<BTreeSet<_>> = names.iter().map(role).collect();
            roles.ok_or_else(|| attribute("provider-roles", "must be of org.admin and org.provider"))
        }
    }
}

/// The contact to sign in with: the one that is named, by its kind or by itself; else the e-mail address, if there is
/// one.
fn username(named: Option<String>, email: Option<&EmailAddress>, phone: Option<&Phone>) -> Result<Username, ApiError> {
    let Some(named) = named else { return Ok(if email.is_some() { Username::Email } else { Username::Phone }) };
    let is_email = |email: &EmailAddress| {
        named == "email" || EmailAddress::parse(&named).is_ok_and(|named| named.comparable() == email.comparable())
    };
    let is_phone = |phone: &Phone| named == "phone" || named.trim() == phone.as_str();
    if email.is_some_and(is_email) {
        Ok(Username::Email)
    } else if phone.is_some_and(is_phone) {
        Ok(Username::Phone)
    } else {
        Err(attribute("username", "must be email, phone, or one of the given addresses"))
    }
}

/// The groups of the older and the newer attribute together, all of which the caller may change.
async fn groups(
    call: &Call,
    organization: OrganizationId,
    one: Option<GroupId>,
    several: &[GroupId],
) -> Result<BTreeSet<GroupId>, ApiError> {
    const SEVERAL: &str = "/data/attributes/individual-group-ids";
    bounded(SEVERAL, several.len())?;
    let one = one.map(|id| (Source::attribute("individual-group-id"), id));
    let several = several.iter().enumerate().map(|(index, id)| (Source::Pointer(format!("{SEVERAL}/{index}")), *id));
    let mut groups = BTreeSet::new();
    for (source, id) in one.into_iter().chain(several) {
        let group = call.named::<GroupDocument>(source.clone(), id, GroupAct::Change).await?;
        if group.organization_id != organization {
            let foreign = RequestViolation::at(source, "names no group of the organization");
            return Err(ApiError::Wrong(vec![foreign]));
        }
        groups.insert(group.id);
    }
    Ok(groups)
}

/// The hash of a password that the rules accept. Its owner did not choose it, so it is good for a time.
async fn accepted(
    call: &Call,
    Secret(password): Secret,
    email: Option<&EmailAddress>,
    phone: Option<&Phone>,
) -> Result<FirstPassword, ApiError> {
    let mut rules = match email {
        Some(email) => {
            let unknown = Names { first_name: String::new(), last_name: String::new() };
            Rules::of_new_user(&unknown, email, false)
        }
        None => Rules::default(),
    };
    rules.words.extend(phone.map(|phone| phone.as_str().to_owned()));
    let hash = passwords::accept(&call.app.passwords, call.app.settings.pwned.as_ref(), password, rules).await;
    let hash = hash.map_err(|error| match error {
        PasswordError::Weak(weak) => attribute("password", weak.to_string()),
        PasswordError::Busy(busy) => busy.into(),
        PasswordError::NotLookedUp => ApiError::Unavailable(None),
    })?;
    Ok(FirstPassword { hash, expires_at: Utc::now() + call.app.settings.first_password_life.0 })
}
