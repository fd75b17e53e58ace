//! Properties of a user's events: claims, acts that are never done on behalf of another, and secret members.

use super::contacts::{Contacts, Phone};
use super::event::UserEvent;
use crate::facts::EventFacts;
use crate::values::EmailAddress;
use crate::{Claim, ClaimKey};

impl EventFacts for UserEvent {
    const HAS_SUBJECT: bool = true;

    fn claims(&self) -> Vec<Claim> {
        let email = |email: &Option<EmailAddress>, claim: fn(ClaimKey) -> Claim| {
            email.as_ref().map(|email| claim(ClaimKey::account_email(email)))
        };
        let phone = |phone: &Option<Phone>, claim: fn(ClaimKey) -> Claim| {
            phone.as_ref().map(|phone| claim(ClaimKey::user_phone(phone)))
        };
        match self {
            UserEvent::Created(creation) => {
                let Contacts { email: address, phone: number, .. } = &creation.contacts;
                email(address, Claim::Take).into_iter().chain(phone(number, Claim::Take)).collect()
            }
            UserEvent::EmailAmended { former, email: address, .. } => {
                exchanged(former.as_ref().map(ClaimKey::account_email), ClaimKey::account_email(address))
            }
            UserEvent::SignUpCorrected { former, email: address } => {
                exchanged(Some(ClaimKey::account_email(former)), ClaimKey::account_email(address))
            }
            UserEvent::PhoneAmended { former, phone: number, .. } => {
                exchanged(former.as_ref().map(ClaimKey::user_phone), ClaimKey::user_phone(number))
            }
            UserEvent::EmailConfirmed { former, .. } => email(former, Claim::Release).into_iter().collect(),
            UserEvent::PhoneConfirmed { former, .. } => phone(former, Claim::Release).into_iter().collect(),
            UserEvent::EmailRestored { former, .. } => vec![Claim::Release(ClaimKey::account_email(former))],
            UserEvent::PhoneRestored { former, .. } => vec![Claim::Release(ClaimKey::user_phone(former))],
            UserEvent::Archived { email: address, phone: number, kept_email, kept_phone } => {
                let emails = [address, kept_email].into_iter().filter_map(|address| email(address, Claim::Release));
                emails
                    .chain([number, kept_phone].into_iter().filter_map(|number| phone(number, Claim::Release)))
                    .collect()
            }
            UserEvent::NamesAmended { .. }
            | UserEvent::BirthDateAmended { .. }
            | UserEvent::UsernameChosen { .. }
            | UserEvent::LocaleChosen { .. }
            | UserEvent::TimeZoneChosen { .. }
            | UserEvent::PreferencesAmended { .. }
            | UserEvent::Classified { .. }
            | UserEvent::PasswordChanged { .. }
            | UserEvent::Registered { .. }
            | UserEvent::SignUpConfirmed {}
            | UserEvent::Enrolled { .. }
            | UserEvent::Disabled { .. }
            | UserEvent::Enabled { .. }
            | UserEvent::OrganizationJoined { .. }
            | UserEvent::OrganizationRemoved { .. }
            | UserEvent::DefaultOrganizationChanged { .. }
            | UserEvent::RoleGranted { .. }
            | UserEvent::RoleRevoked { .. }
            | UserEvent::SystemRoleGranted { .. }
            | UserEvent::SystemRoleRevoked { .. }
            | UserEvent::DocumentsAgreed { .. }
            | UserEvent::AgreementsDeleted {}
            | UserEvent::IndividualAdded { .. }
            | UserEvent::HomeChanged { .. }
            | UserEvent::IndividualRemoved { .. }
            | UserEvent::PrimaryIndividualChanged { .. }
            | UserEvent::InvitationNoted { .. }
            | UserEvent::SessionsEnded {} => vec![],
        }
    }

    fn own_act(&self) -> bool {
        match self {
            UserEvent::EmailAmended { .. }
            | UserEvent::PhoneAmended { .. }
            | UserEvent::PhoneConfirmed { .. }
            | UserEvent::EmailConfirmed { .. }
            | UserEvent::EmailRestored { .. }
            | UserEvent::PhoneRestored { .. }
            | UserEvent::SignUpCorrected { .. }
            | UserEvent::UsernameChosen { .. }
            | UserEvent::PasswordChanged { .. }
            | UserEvent::Registered { .. }
            | UserEvent::SessionsEnded {}
            | UserEvent::RoleGranted { .. }
            | UserEvent::RoleRevoked { .. }
            | UserEvent::SystemRoleGranted { .. }
            | UserEvent::SystemRoleRevoked { .. } => true,
            UserEvent::Created(_)
            | UserEvent::NamesAmended { .. }
            | UserEvent::BirthDateAmended { .. }
            | UserEvent::LocaleChosen { .. }
            | UserEvent::TimeZoneChosen { .. }
            | UserEvent::PreferencesAmended { .. }
            | UserEvent::Classified { .. }
            | UserEvent::SignUpConfirmed {}
            | UserEvent::Enrolled { .. }
            | UserEvent::Disabled { .. }
            | UserEvent::Enabled { .. }
            | UserEvent::Archived { .. }
            | UserEvent::OrganizationJoined { .. }
            | UserEvent::OrganizationRemoved { .. }
            | UserEvent::DefaultOrganizationChanged { .. }
            | UserEvent::DocumentsAgreed { .. }
            | UserEvent::AgreementsDeleted {}
            | UserEvent::IndividualAdded { .. }
            | UserEvent::IndividualRemoved { .. }
            | UserEvent::PrimaryIndividualChanged { .. }
            | UserEvent::InvitationNoted { .. }
            | UserEvent::HomeChanged { .. } => false,
        }
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            UserEvent::Created(_) | UserEvent::PasswordChanged { .. } | UserEvent::Registered { .. } => {
                &["/passwordHash"]
            }
            _ => &[],
        }
    }
}

/// Replaces one key by another; a different spelling of the same key changes nothing.
fn exchanged(former: Option<ClaimKey>, key: ClaimKey) -> Vec<Claim> {
    if former.as_ref() == Some(&key) {
        return vec![];
    }
    former.map(Claim::Release).into_iter().chain([Claim::Take(key)]).collect()
}
