//! End-to-end tests of the identity dialect, over HTTP in process, on both stores.

#![allow(
    clippy::unwrap_used,
    clippy::large_futures,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "a test that cannot go on may panic; nobody reads its API, and not every binary uses all of the support"
)]

#[path = "../e2e/cloud_app.rs"]
mod cloud_app;
#[path = "../e2e/ecg_app.rs"]
mod ecg_app;
#[path = "../e2e/site_app.rs"]
mod site_app;
#[path = "../e2e/support.rs"]
mod support;
#[path = "../e2e/tables.rs"]
mod tables;

mod access;
mod access_properties;
mod acting;
mod addresses;
mod agreements;
mod altered_documents;
mod app;
mod bounds;
mod checkins;
mod confirm_contact;
mod confirmed_changes;
mod conformance;
mod coverage;
mod email_logs;
mod ended_organizations;
mod features;
mod feedback;
mod forgot_password;
mod general_messages;
mod granting;
mod group_eligible;
mod group_lists;
mod group_logs;
mod group_people;
mod groups;
mod idempotent;
mod individuals;
mod matrix;
mod memberships;
mod moves;
mod notices;
mod onboarding;
mod organization_codes;
mod organizations;
mod own_sessions;
mod passwords;
mod personal;
mod posts;
mod races;
mod registration_invitations;
mod second_factor_required;
mod service_documents;
mod sessions;
mod shapes;
mod sign_in;
mod sign_up;
mod site_access;
mod suite;
mod templates;
mod themes;
mod totp;
mod url_shorteners;
mod users;

use suite::Suite;

/// The suites. A static, as requests of one suite are made with those of others: a constant would depend on itself.
static SUITES: &[Suite] = &[
    sessions::SUITE,
    users::SUITE,
    confirm_contact::SUITE,
    forgot_password::SUITE,
    totp::SUITE,
    organizations::SUITE,
    themes::SUITE,
    memberships::SUITE,
    features::SUITE,
    features::settings::SUITE,
    general_messages::SUITE,
    groups::SUITE,
    individuals::SUITE,
    access::SUITE,
    checkins::SUITE,
    feedback::SUITE,
    registration_invitations::SUITE,
    url_shorteners::SUITE,
    service_documents::SUITE,
    templates::SUITE,
    organization_codes::SUITE,
    email_logs::SUITE,
    onboarding::SUITE,
    sign_up::SUITE,
    matrix::other_dialects::SUITE,
];
