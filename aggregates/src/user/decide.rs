//! Decisions of the User aggregate.

use super::contacts::{Contacts, Username};
use super::enrollment::Enrollment;
use super::home::Home;
use super::profile::{InvitationState, Profile, UserState};
use super::roles::{Membership, Role, SystemRole};
use super::{
    Amendment, CORRECTIONS_MAX, Creation, INDIVIDUALS_MAX, MEMBERSHIPS_MAX, NAME_LENGTH_MAX, User, UserCommand,
    UserError, UserEvent, preferences,
};
use crate::one_time_code::VALIDITY;
use crate::values::{
    EmailAddress, Finding, IndividualId, OnboardingRequestId, OrganizationId, Problem, UserId, check_length,
    check_visible,
};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

type Decision = Result<Vec<UserEvent>, UserError>;

impl Decide for User {
    fn creates(command: &UserCommand) -> bool {
        matches!(command, UserCommand::Create(_))
    }

    fn decide(&self, command: UserCommand) -> Decision {
        let profile = match (self, &command) {
            (User::Absent, UserCommand::Create(_)) => None,
            (User::Absent, _) => return Err(UserError::NotFound),
            (User::Present(_), UserCommand::Create(_)) => return Err(UserError::AlreadyExists),
            (User::Present(profile), UserCommand::Archive) if profile.state == UserState::Archived => {
                return Ok(vec![]);
            }
            // An archived user may still leave.
            (
                User::Present(profile),
                UserCommand::Leave(_)
                | UserCommand::RemoveIndividual(_)
                | UserCommand::Revoke(..)
                | UserCommand::RevokeSystem(_)
                | UserCommand::RevertEmail(_)
                | UserCommand::RevertPhone(_),
            ) => Some(profile),
            (User::Present(profile), _) if profile.state == UserState::Archived => return Err(UserError::Archived),
            (User::Present(profile), _) => Some(profile),
        };
        match (profile, command) {
            (None, UserCommand::Create(creation)) => create(*creation),
            (Some(profile), command) => decide(profile, command),
            (None, _) => Err(UserError::NotFound),
        }
    }
}

fn decide(profile: &Profile, command: UserCommand) -> Decision {
    match command {
        UserCommand::Create(_) => Err(UserError::AlreadyExists),
        UserCommand::Amend(amendment) => amend(profile, *amendment),
        UserCommand::ConfirmEmail(email) => profile.contacts.confirm_email(&email),
        UserCommand::ConfirmPhone(phone) => profile.contacts.confirm_phone(&phone),
        UserCommand::RevertEmail(email) => Ok(profile.contacts.revert_email(&email)),
        UserCommand::RevertPhone(phone) => Ok(profile.contacts.revert_phone(&phone)),
        UserCommand::ChangePassword { former, .. } if profile.password_hash.as_ref() != Some(&former) => {
            Err(UserError::OtherPassword)
        }
        UserCommand::ChangePassword { hash, keep_sessions, .. } => {
            let state = match profile.state {
                UserState::ForceResetPassword => UserState::Confirmed,
                other => other,
            };
            Ok(vec![UserEvent::PasswordChanged { password_hash: hash, state, ends_sessions: !keep_sessions }])
        }
        UserCommand::SetPassword { hash, keep_sessions } => {
            let state = match profile.state {
                UserState::Confirmed => UserState::ForceResetPassword,
                other => other,
            };
            Ok(vec![UserEvent::PasswordChanged { password_hash: hash, state, ends_sessions: !keep_sessions }])
        }
        UserCommand::ResetPassword { hash } => {
            let state = match profile.state {
                UserState::ForceResetPassword => UserState::Confirmed,
                other => other,
            };
            Ok(vec![UserEvent::PasswordChanged { password_hash: hash, state, ends_sessions: true }])
        }
        UserCommand::Register { hash, onboarding, at } => register(profile, hash, onboarding, at),
        UserCommand::CompleteSignUp => complete(profile.state),
        UserCommand::Enroll(enrollment) => enroll(profile, *enrollment),
        UserCommand::CorrectEmail(email) => correct_email(profile, email),
        UserCommand::EndSessions => Ok(vec![UserEvent::SessionsEnded {}]),
        UserCommand::Disable { by } => disable(profile, by),
        UserCommand::Enable => Ok(enable(profile)),
        UserCommand::Archive => Ok(vec![profile.contacts.archive()]),
        UserCommand::Join(organization) => join(profile, organization),
        UserCommand::Leave(organization) => Ok(leave(profile, organization)),
        UserCommand::Grant(organization, role) => {
            let membership = profile.memberships.get(&organization).ok_or(UserError::NotAMember)?;
            let event = UserEvent::RoleGranted { organization_id: organization, role };
            Ok(only_if(!membership.roles.contains(&role), event))
        }
        UserCommand::Revoke(organization, role) => {
            Ok(revoke(profile.memberships.get(&organization), organization, role))
        }
        UserCommand::GrantSystem(role) => {
            Ok(only_if(!profile.system_roles.contains(&role), UserEvent::SystemRoleGranted { role }))
        }
        UserCommand::RevokeSystem(role) => Ok(revoke_system(profile, role)),
        UserCommand::Agree(documents) => {
            let documents: BTreeSet<_> = documents.difference(&profile.agreements).copied().collect();
            Ok(only_if(!documents.is_empty(), UserEvent::DocumentsAgreed { documents }))
        }
        UserCommand::ForgetAgreements => Ok(only_if(!profile.agreements.is_empty(), UserEvent::AgreementsDeleted {})),
        UserCommand::AddIndividual(individual) => add_individual(profile, individual),
        UserCommand::AddPrimaryIndividual(individual) => add_primary_individual(profile, individual),
        UserCommand::RemoveIndividual(individual) => Ok(only_if(
            profile.individuals.contains(&individual),
            UserEvent::IndividualRemoved { individual_id: individual },
        )),
        UserCommand::MoveHome(organization) => {
            let is_pending = matches!(profile.state, UserState::Init | UserState::Registered);
            let event = UserEvent::HomeChanged { organization_id: Some(organization) };
            Ok(only_if(is_pending && profile.home() != Some(organization), event))
        }
        UserCommand::NoteInvitation(state) => {
            let is_news = profile.invitation != InvitationState::Accepted && profile.invitation != state;
            Ok(only_if(is_news, UserEvent::InvitationNoted { state }))
        }
    }
}

fn only_if(needed: bool, event: UserEvent) -> Vec<UserEvent> {
    if needed { vec![event] } else { vec![] }
}

fn create(mut creation: Creation) -> Decision {
    let mut findings = Vec::new();
    for (field, name) in [("firstName", &mut creation.names.first_name), ("lastName", &mut creation.names.last_name)] {
        note(&mut findings, field, fit_name(name).map(|fit| *name = fit));
    }
    if let Some(zone) = &creation.time_zone {
        note(&mut findings, "timeZone", check_time_zone(zone));
    }
    let contact = match creation.username {
        Username::Email => creation.contacts.email.is_some(),
        Username::Phone => creation.contacts.phone.is_some(),
    };
    if !findings.is_empty() {
        return Err(UserError::Invalid(findings));
    }
    // Invited users may have no contact yet.
    if !contact && creation.state != UserState::Init {
        return Err(UserError::NoSuchContact);
    }
    creation.home.get_or_insert(Home::SYSTEM);
    // A first contact has no verified predecessor to keep.
    creation.contacts = Contacts { verified_email: None, verified_phone: None, ..creation.contacts };
    Ok(vec![UserEvent::Created(Box::new(creation))])
}

/// One event for each changed member.
fn amend(profile: &Profile, amendment: Amendment) -> Decision {
    let Amendment {
        first_name,
        last_name,
        email,
        phone,
        username,
        locale,
        time_zone,
        preferences: wishes,
        default_organization,
        classification,
        birth_date,
    } = amendment;
    let (mut events, mut findings) = (Vec::new(), Vec::new());
    let mut names = profile.names.clone();
    for (field, given, name) in
        [("firstName", first_name, &mut names.first_name), ("lastName", last_name, &mut names.last_name)]
    {
        if let Some(given) = given {
            note(&mut findings, field, fit_name(&given).map(|fit| *name = fit));
        }
    }
    if let Some(zone) = &time_zone {
        note(&mut findings, "timeZone", check_time_zone(zone));
    }
    let mut wished = profile.preferences.clone();
    if let Some(given) = wishes.filter(|given| !given.is_empty()) {
        let merged = preferences::merged(&wished, given);
        note(&mut findings, "communicationPreferences", merged.map(|merged| wished = merged));
    }
    if !findings.is_empty() {
        return Err(UserError::Invalid(findings));
    }
    let contacts = &profile.contacts;
    let has = |contact| match contact {
        Username::Email => email.is_some() || contacts.email.is_some(),
        Username::Phone => phone.is_some() || contacts.phone.is_some(),
    };
    if username.is_some_and(|chosen| !has(chosen)) {
        return Err(UserError::NoSuchContact);
    }
    if default_organization.is_some_and(|organization| !profile.memberships.contains_key(&organization)) {
        return Err(UserError::NotAMember);
    }
    if names != profile.names {
        events.push(UserEvent::NamesAmended { names });
    }
    if let Some(birth_date) = birth_date.filter(|date| profile.birth_date.as_ref() != Some(date)) {
        events.push(UserEvent::BirthDateAmended { birth_date });
    }
    events.extend(email.and_then(|email| contacts.amend_email(email)));
    events.extend(phone.and_then(|phone| contacts.amend_phone(phone)));
    if let Some(username) = username.filter(|username| *username != profile.username) {
        events.push(UserEvent::UsernameChosen { username });
    }
    // Choosing the present value is recorded too, once.
    if let Some(locale) = locale.filter(|locale| (*locale, true) != (profile.locale, profile.locale_explicit)) {
        events.push(UserEvent::LocaleChosen { locale });
    }
    if let Some(time_zone) =
        time_zone.filter(|zone| (Some(zone), true) != (profile.time_zone.as_ref(), profile.time_zone_explicit))
    {
        events.push(UserEvent::TimeZoneChosen { time_zone });
    }
    if wished != profile.preferences {
        events.push(UserEvent::PreferencesAmended { preferences: wished });
    }
    if default_organization.is_some() && default_organization != profile.default_organization {
        events.push(UserEvent::DefaultOrganizationChanged { organization_id: default_organization });
    }
    if let Some(classification) = classification.filter(|given| profile.classification != Some(*given)) {
        events.push(UserEvent::Classified { classification });
    }
    Ok(events)
}

fn note(findings: &mut Vec<Finding>, field: &str, checked: Result<(), Problem>) {
    if let Err(problem) = checked {
        findings.push(Finding { field: field.to_owned(), problem });
    }
}

/// A name may be empty while unknown.
fn fit_name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    check_visible(name)?;
    check_length(name, NAME_LENGTH_MAX)?;
    Ok(name.to_owned())
}

fn check_time_zone(zone: &str) -> Result<(), Problem> {
    zone.parse::<chrono_tz::Tz>().map(drop).map_err(|_| Problem::UnknownTimeZone)
}

/// A second sign-up with one invitation is refused while the code of the first one is good: of two at the same moment
/// one wins.
fn register(profile: &Profile, hash: String, onboarding: Option<OnboardingRequestId>, at: DateTime<Utc>) -> Decision {
    match (profile.state, profile.registered_at) {
        (UserState::Registered, Some(since)) if at < since + VALIDITY => return Err(UserError::SigningUp),
        (UserState::Init | UserState::Registered, _) => {}
        (
            UserState::Confirmed
            | UserState::ForceResetPassword
            | UserState::Disabled
            | UserState::RegisteredDisabled
            | UserState::Archived,
            _,
        ) => return Err(UserError::HasAccount),
    }
    Ok(vec![UserEvent::Registered { password_hash: hash, onboarding_id: onboarding, at }])
}

fn complete(state: UserState) -> Decision {
    match state {
        UserState::Registered => Ok(vec![UserEvent::SignUpConfirmed {}]),
        UserState::Confirmed | UserState::ForceResetPassword => Ok(vec![]),
        UserState::Init | UserState::Disabled | UserState::RegisteredDisabled | UserState::Archived => {
            Err(UserError::NotRegistered)
        }
    }
}

fn enroll(profile: &Profile, enrollment: Enrollment) -> Decision {
    let enrollment = enrollment.checked().map_err(UserError::Invalid)?;
    let told = profile.enrollment.as_deref();
    let is_known = enrollment.is_empty() || told == Some(&enrollment);
    Ok(only_if(!is_known, UserEvent::Enrolled { enrollment }))
}

/// Only a sign-in name is corrected: with it the person can sign in only who knows of the correction. Another contact can
/// be changed after a sign-in.
fn correct_email(profile: &Profile, email: EmailAddress) -> Decision {
    let contacts = &profile.contacts;
    let is_open = profile.state == UserState::Registered && profile.onboarding.is_none() && !contacts.email_verified;
    let is_name = profile.username == Username::Email;
    let Some(former) = contacts.email.clone().filter(|_| is_open && is_name) else {
        return Err(UserError::NotRegistered);
    };
    if former.comparable() == email.comparable() {
        return Ok(vec![]);
    }
    if profile.corrections >= CORRECTIONS_MAX {
        return Err(UserError::TooManyCorrections);
    }
    Ok(vec![UserEvent::SignUpCorrected { former, email }])
}

fn disable(profile: &Profile, by: UserId) -> Decision {
    if by == profile.id {
        return Err(UserError::Oneself);
    }
    let state = match profile.state {
        UserState::Disabled | UserState::RegisteredDisabled => return Ok(vec![]),
        UserState::Init | UserState::Registered => UserState::RegisteredDisabled,
        UserState::Confirmed | UserState::ForceResetPassword => UserState::Disabled,
        UserState::Archived => return Err(UserError::Archived),
    };
    Ok(vec![UserEvent::Disabled { state }])
}

fn enable(profile: &Profile) -> Vec<UserEvent> {
    let (disabled, otherwise) = match profile.state {
        UserState::Disabled => (true, UserState::Confirmed),
        UserState::RegisteredDisabled => (true, UserState::Registered),
        other => (false, other),
    };
    only_if(disabled, UserEvent::Enabled { state: profile.before_disabled.unwrap_or(otherwise) })
}

fn join(profile: &Profile, organization: OrganizationId) -> Decision {
    if profile.memberships.contains_key(&organization) {
        return Ok(vec![]);
    }
    if profile.memberships.len() >= MEMBERSHIPS_MAX {
        return Err(UserError::TooManyMemberships);
    }
    let mut events = vec![UserEvent::OrganizationJoined { organization_id: organization, number: profile.joined + 1 }];
    if profile.default_organization.is_none() {
        events.push(UserEvent::DefaultOrganizationChanged { organization_id: Some(organization) });
    }
    Ok(events)
}

fn leave(profile: &Profile, organization: OrganizationId) -> Vec<UserEvent> {
    if !profile.memberships.contains_key(&organization) {
        return vec![];
    }
    let mut events = vec![UserEvent::OrganizationRemoved { organization_id: organization }];
    let heir = profile.heir(organization);
    if profile.default_organization == Some(organization) {
        events.push(UserEvent::DefaultOrganizationChanged { organization_id: heir });
    }
    if profile.home() == Some(organization) {
        events.push(UserEvent::HomeChanged { organization_id: heir });
    }
    events
}

fn revoke(membership: Option<&Membership>, organization: OrganizationId, role: Role) -> Vec<UserEvent> {
    let held = membership.is_some_and(|membership| membership.roles.contains(&role));
    only_if(held, UserEvent::RoleRevoked { organization_id: organization, role })
}

fn revoke_system(profile: &Profile, role: SystemRole) -> Vec<UserEvent> {
    only_if(profile.system_roles.contains(&role), UserEvent::SystemRoleRevoked { role })
}

fn add_individual(profile: &Profile, individual: IndividualId) -> Decision {
    if profile.individuals.contains(&individual) {
        return Ok(vec![]);
    }
    if profile.individuals.len() >= INDIVIDUALS_MAX {
        return Err(UserError::TooManyIndividuals);
    }
    Ok(vec![UserEvent::IndividualAdded { individual_id: individual }])
}

fn add_primary_individual(profile: &Profile, individual: IndividualId) -> Decision {
    let mut events = add_individual(profile, individual)?;
    if profile.individuals.first().is_some_and(|primary| *primary != individual) {
        events.push(UserEvent::PrimaryIndividualChanged { individual_id: individual });
    }
    Ok(events)
}

impl User {
    /// The profile, unless absent.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        match self {
            User::Present(profile) => Some(profile),
            User::Absent => None,
        }
    }

    fn evolve(&mut self, event: UserEvent) {
        match (self, event) {
            (user, UserEvent::Created(creation)) => *user = User::Present(Box::new((*creation).into())),
            (User::Present(profile), event) => profile.evolve(event),
            // Only a creation can be the first event; recorded events are never refused.
            (User::Absent, _) => {}
        }
    }
}

aggregate!(User, "user", UserCommand, UserEvent, UserError);
