//! Acts on credentials, accounts and rights, logged where every change passes, so that no operation can omit it.

use super::{Event, Line};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::admin::AdminEvent;
use registrar_aggregates::session::{Origin, SessionEvent};
use registrar_aggregates::totp::TotpEvent;
use registrar_aggregates::user::UserEvent;

/// Logs committed events, one line for each kind of act.
pub(crate) fn witness<'e>(events: impl Iterator<Item = &'e DomainEvent>) {
    let mut noted = Vec::new();
    for kind in events.filter_map(kind) {
        if !noted.contains(&kind) {
            noted.push(kind);
            Line::default().success(kind);
        }
    }
}

/// The kind of act of an event, if the security log covers it. Sign-ins are logged separately, with the name's digest.
fn kind(event: &DomainEvent) -> Option<Event> {
    match event {
        DomainEvent::User(event) => of_user(event),
        DomainEvent::Admin(event) => match event {
            AdminEvent::Registered(_) | AdminEvent::Activated {} | AdminEvent::Deactivated {} => Some(Event::Account),
            AdminEvent::GrantsAmended { .. } => Some(Event::Grant),
            AdminEvent::PasswordChanged { .. } => Some(Event::Password),
            AdminEvent::SessionsEnded {} => Some(Event::SignOut),
            AdminEvent::PersonAmended { .. }
            | AdminEvent::PartyAmended { .. }
            | AdminEvent::AddressAdded { .. }
            | AdminEvent::AddressAmended { .. }
            | AdminEvent::AddressRemoved { .. }
            | AdminEvent::PhoneNumberAdded { .. }
            | AdminEvent::PhoneNumberAmended { .. }
            | AdminEvent::PhoneNumberRemoved { .. } => None,
        },
        DomainEvent::Session(event) => match event {
            SessionEvent::Opened(opening) => (opening.origin != Origin::SignIn).then_some(Event::TokenIssue),
            SessionEvent::Refreshed { .. } | SessionEvent::Switched { .. } => Some(Event::Session),
            SessionEvent::Ended { .. } => Some(Event::SignOut),
            SessionEvent::Renewed { .. } => None,
        },
        DomainEvent::Totp(TotpEvent::CodeUsed { .. } | TotpEvent::RecoveryCodeUsed { .. }) => None,
        DomainEvent::Totp(_) => Some(Event::SecondFactor),
        DomainEvent::ApiKey(_) => Some(Event::ApiKey),
        DomainEvent::AccessToken(_) => Some(Event::TokenIssue),
        DomainEvent::KeyRing(_) | DomainEvent::CheckpointKey(_) => Some(Event::SigningKey),
        DomainEvent::Organization(_)
        | DomainEvent::AuditAccess(_)
        | DomainEvent::Roster(_)
        | DomainEvent::Guard(_)
        | DomainEvent::OneTimeCode(_)
        | DomainEvent::Quota(_)
        | DomainEvent::Feature(_)
        | DomainEvent::Setting(_)
        | DomainEvent::GeneralMessage(_)
        | DomainEvent::Theme(_)
        | DomainEvent::Individual(_)
        | DomainEvent::Group(_)
        | DomainEvent::Tree(_)
        | DomainEvent::Placement(_)
        | DomainEvent::Staffing(_)
        | DomainEvent::Checkin(_)
        | DomainEvent::FeedbackComment(_)
        | DomainEvent::UrlShortener(_)
        | DomainEvent::UrlVisits(_)
        | DomainEvent::OrganizationCode(_)
        | DomainEvent::ServiceDocument(_)
        | DomainEvent::MessageTemplate(_)
        | DomainEvent::Message(_)
        | DomainEvent::RegistrationInvitation(_)
        | DomainEvent::Onboarding(_)
        | DomainEvent::Task(_) => None,
    }
}

fn of_user(event: &UserEvent) -> Option<Event> {
    match event {
        UserEvent::PasswordChanged { .. } | UserEvent::Registered { .. } => Some(Event::Password),
        UserEvent::SessionsEnded {} => Some(Event::SignOut),
        UserEvent::EmailAmended { .. }
        | UserEvent::EmailConfirmed { .. }
        | UserEvent::EmailRestored { .. }
        | UserEvent::PhoneAmended { .. }
        | UserEvent::PhoneConfirmed { .. }
        | UserEvent::PhoneRestored { .. }
        | UserEvent::SignUpCorrected { .. }
        | UserEvent::UsernameChosen { .. } => Some(Event::Contact),
        UserEvent::Created(_)
        | UserEvent::SignUpConfirmed {}
        | UserEvent::Disabled { .. }
        | UserEvent::Enabled { .. }
        | UserEvent::Archived { .. }
        | UserEvent::HomeChanged { .. } => Some(Event::Account),
        UserEvent::OrganizationJoined { .. }
        | UserEvent::OrganizationRemoved { .. }
        | UserEvent::RoleGranted { .. }
        | UserEvent::RoleRevoked { .. }
        | UserEvent::SystemRoleGranted { .. }
        | UserEvent::SystemRoleRevoked { .. } => Some(Event::Grant),
        UserEvent::NamesAmended { .. }
        | UserEvent::BirthDateAmended { .. }
        | UserEvent::LocaleChosen { .. }
        | UserEvent::TimeZoneChosen { .. }
        | UserEvent::PreferencesAmended { .. }
        | UserEvent::Classified { .. }
        | UserEvent::DefaultOrganizationChanged { .. }
        | UserEvent::DocumentsAgreed { .. }
        | UserEvent::AgreementsDeleted {}
        | UserEvent::Enrolled { .. }
        | UserEvent::IndividualAdded { .. }
        | UserEvent::IndividualRemoved { .. }
        | UserEvent::PrimaryIndividualChanged { .. }
        | UserEvent::InvitationNoted { .. } => None,
    }
}
