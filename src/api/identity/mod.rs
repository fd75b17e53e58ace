//! The identity dialect: users, sessions, organizations, roles, features, groups, individuals and access decisions, as
//! JSON:API documents and plain commands. The table of the operations is here, and their code in the modules.

mod access;
mod activities;
mod call;
mod checkins;
pub mod contract;
pub mod documents;
mod email_logs;
mod features;
mod feedback;
mod general_messages;
mod group_people;
mod groups;
mod individuals;
mod memberships;
mod named;
mod onboarding;
mod openapi;
mod organization_codes;
mod organizations;
mod passwords;
mod people;
mod program_tokens;
mod recovery;
mod refusals;
mod registration_invitations;
mod roles;
pub mod routes;
mod service_documents;
mod sessions;
mod sign_up;
mod tasks;
mod templates;
mod themes;
pub mod times;
mod totp;
mod url_shorteners;
mod users;

pub use openapi::document;

use routes::operations;

operations! {
    "login": Public => sessions::login,
    "refresh-token": Public => sessions::refresh,
    "authenticate": Session => sessions::authenticate,
    "get-session": Session => sessions::get,
    "list-sessions": Session => sessions::list,
    "end-session": Session => sessions::end,
    "end-all-sessions": Session => sessions::end_all,
    "switch-user-organization": Session => sessions::switch,
    "create-synthetic-user-token": Admin => program_tokens::create_synthetic,
    "internal-auth-v1": Public => program_tokens::internal_v1,
    "internal-auth": Public => program_tokens::internal,
    "forgot-password": Public => recovery::forgot,
    "confirm-forgot-password": Public => recovery::confirm,
    "sign-up": Public => sign_up::sign_up,
    "confirm-sign-up": Public => sign_up::confirm,
    "resend-invitation": Public => sign_up::resend,
    "check-password-strength": Public => passwords::strength,
    "list-totp-configurations": Session => totp::list,
    "create-totp-configuration": Session => totp::create,
    "enable-totp-configuration": Session => totp::enable,
    "disable-totp-configuration": Session => totp::disable,
    "delete-totp-configuration": Session => totp::delete,
    "list-users": Session => users::list,
    "get-user": Session => users::get,
    "update-user": Session => users::update,
    "change-user-email": Session => users::change_email,
    "change-user-password": Session => passwords::change,
    "confirm-contact": Session => users::confirm_contact,
    "confirm-user-phone": Admin => users::confirm_phone,
    "disable-user": Admin => users::disable,
    "enable-user": Admin => users::enable,
    "delete-user-service-document-agreements": Admin => users::forget_agreements,
    "list-organizations": Session => organizations::list,
    "create-organization": Admin => organizations::create,
    "get-organization": Session => organizations::get,
    "update-organization": Admin => organizations::update,
    "list-organization-themes": Admin => themes::list,
    "create-organization-theme": Admin => themes::create,
    "get-organization-theme": Admin => themes::get,
    "update-organization-theme": Admin => themes::update,
    "add-organization-user": Admin => memberships::add,
    "remove-organization-user": Session => memberships::remove,
    "list-user-organizations": Session => memberships::list,
    "create-user-organization": Admin => memberships::create,
    "list-roles": Session => roles::list,
    "list-role-users": Admin => roles::list_users,
    "create-role-user": Admin => roles::create_user,
    "add-role-user": Admin => roles::add_user,
    "remove-role-user": Admin => roles::remove_user,
    "list-features": Session => features::list,
    "create-feature": Admin => features::create,
    "get-feature": Session => features::get,
    "update-feature": Admin => features::update,
    "add-feature-users": Admin => features::add_users,
    "remove-feature-users": Admin => features::remove_users,
    "list-organization-features": Admin => features::list_organization,
    "create-organization-feature": Admin => features::create_organization,
    "get-organization-feature": Admin => features::get_organization,
    "update-organization-feature": Admin => features::update_organization,
    "list-user-features": Session => features::list_user,
    "create-user-feature": Admin => features::create_user,
    "get-user-feature": Session => features::get_user,
    "update-user-feature": Admin => features::update_user,
    "list-organization-general-messages": Session => general_messages::list,
    "create-organization-general-message": Admin => general_messages::create,
    "get-organization-general-message": Session => general_messages::get,
    "update-organization-general-message": Admin => general_messages::update,
    "list-individual-groups-v1": Session => groups::list_v1,
    "list-individual-groups": Session => groups::list,
    "create-individual-group": Session => groups::create,
    "get-individual-group-v1": Session => groups::get_v1,
    "get-individual-group": Session => groups::get,
    "update-individual-group": Session => groups::update,
    "move-individual-group": Session => groups::start_move,
    "add-group-individuals": Session => group_people::add_individuals,
    "remove-group-individuals": Session => group_people::remove_individuals,
    "add-group-leaders": Session => group_people::add_leaders,
    "remove-group-leaders": Session => group_people::remove_leaders,
    "add-group-members": Session => group_people::add_members,
    "remove-group-members": Session => group_people::remove_members,
    "list-eligible-group-members": Session => group_people::list_eligible,
    "list-individual-group-individuals": Session => group_people::list_individuals,
    "list-individual-group-leaders": Session => group_people::list_leaders,
    "list-individual-group-logs": Session => group_people::list_logs,
    "create-individual": Admin => individuals::create,
    "get-individual": Session => individuals::get,
    "check-resource-access": Session => access::check,
    "bulk-check-resource-access": Admin => access::check_bulk,
    "list-accessible-resources": Session => access::list_resources,
    "list-authz-individuals": Session => access::list_individuals,
    "list-resource-accessors": Admin => access::list_accessors,
    "get-authz-user-status": Session => access::status,
    "list-user-activities": Admin => activities::list,
    "list-email-logs": Admin => email_logs::list,
    "list-user-checkins": Session => checkins::list,
    "create-user-checkin": Session => checkins::create,
    "list-feedback-comments": Session => feedback::list,
    "create-feedback-comment": Session => feedback::create,
    "get-feedback-comment": Session => feedback::get,
    "list-registration-invitations": Session => registration_invitations::list,
    "create-registration-invitation": Session => registration_invitations::create,
    "get-registration-invitation": Session => registration_invitations::get,
    "list-url-shorteners": Admin => url_shorteners::list,
    "create-url-shortener": Admin => url_shorteners::create,
    "get-url-shortener": Admin => url_shorteners::get,
    "update-url-shortener": Admin => url_shorteners::update,
    "list-organization-codes": Admin => organization_codes::list,
    "create-organization-code": Admin => organization_codes::create,
    "get-organization-code": Admin => organization_codes::get,
    "update-organization-code": Admin => organization_codes::update,
    "list-organization-code-users": Admin => organization_codes::list_users,
    "get-organization-code-info": Public => organization_codes::info,
    "list-service-documents": Public => service_documents::list,
    "get-service-document": Public => service_documents::get,
    "list-organization-email-templates": Admin => templates::list_email,
    "create-organization-email-template": Admin => templates::create,
    "get-organization-email-template": Admin => templates::get_email,
    "update-organization-email-template": Admin => templates::update_email,
    "list-organization-sms-templates": Admin => templates::list_sms,
    "create-organization-sms-template": Admin => templates::create,
    "get-organization-sms-template": Admin => templates::get_sms,
    "update-organization-sms-template": Admin => templates::update_sms,
    "list-onboarding-requests": Session => onboarding::list,
    "create-onboarding-request": Session => onboarding::create,
    "get-onboarding-request": Session => onboarding::get,
    "update-onboarding-request": Session => onboarding::update,
    "resend-onboarding-invitation": Session => onboarding::resend,
    "update-onboarding-text-status": Admin => onboarding::report_text,
    "get-onboarding-info": Public => onboarding::get_info,
    "claim-onboarding-request": Session => onboarding::claim,
    "logout": Session => sessions::logout,
    "get-task": Session => tasks::get,
}
