//! Every operation of the offered groups has a test, and every route belongs to one of them.

use registrar::api::identity::routes::ROUTES;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Operation groups that are offered completely.
const OFFERED: [&str; 14] = [
    "users",
    "sessions",
    "internal-auth",
    "passwords",
    "mfa-totp",
    "organizations",
    "user-organizations",
    "roles",
    "features",
    "individual-groups",
    "individuals",
    "authz",
    "user-activities",
    "user-checkins",
];

/// Offered operations of other groups, which the offered groups depend on.
const BESIDES: [&str; 5] = ["logout", "get-task", "list-sessions", "end-session", "end-all-sessions"];

/// Operations of these groups that are not offered yet: both need file storage.
const LATER: [&str; 2] = ["create-organization-logo-upload", "process-organization-logo"];

/// Each operation with a test in which it succeeds.
const TESTS: &[(&str, &str)] = &[
    ("add-feature-users", "features::users_are_given_a_feature_all_or_none"),
    ("add-group-individuals", "group_people::individuals_come_and_leave_and_are_unassigned_in_between"),
    ("add-group-leaders", "group_people::users_get_posts_by_identifier_and_by_address"),
    ("add-group-members", "group_people::users_get_posts_by_identifier_and_by_address"),
    ("add-organization-user", "memberships::twin_resources_are_views_of_one_fact"),
    ("add-role-user", "memberships::a_role_is_given_and_taken_away"),
    ("authenticate", "sign_in::a_user_who_signs_in_gets_tokens_and_a_profile"),
    ("bulk-check-resource-access", "access::many_users_are_asked_about_at_once"),
    ("change-user-email", "users::an_address_is_changed_by_a_command_too"),
    ("change-user-password", "passwords::the_session_that_changes_the_password_goes_on_and_the_others_end"),
    ("check-password-strength", "passwords::a_password_is_judged_and_not_kept"),
    ("check-resource-access", "access::grants_follow_from_roles_posts_and_participation"),
    ("confirm-user-phone", "users::a_telephone_number_is_confirmed_if_it_is_the_users"),
    ("create-feature", "features::a_feature_is_created_shown_and_amended"),
    ("create-individual", "individuals::an_individual_is_recorded_once"),
    ("create-individual-group", "groups::a_group_is_created_with_its_first_people"),
    ("create-organization", "organizations::an_organization_is_created_with_its_groups_and_roles"),
    ("create-organization-feature", "features::settings::settings_of_organizations_are_kept"),
    ("create-role-user", "memberships::twin_resources_are_views_of_one_fact"),
    ("create-synthetic-user-token", "sessions::a_program_gets_a_token_for_a_user"),
    ("create-totp-configuration", "totp::a_device_is_put_in_force_and_asked_for_at_every_sign_in"),
    ("create-user-checkin", "checkins::check_ins_of_devices_are_stored"),
    ("create-user-feature", "features::settings::settings_of_users_are_kept"),
    ("create-user-organization", "memberships::pairs_are_made_and_listed"),
    ("delete-totp-configuration", "totp::a_device_is_disabled_and_deleted"),
    ("delete-user-service-document-agreements", "sign_in::binding_documents_are_agreed_to_before_a_session_opens"),
    ("disable-totp-configuration", "totp::a_device_is_disabled_and_deleted"),
    ("disable-user", "users::a_user_is_disabled_and_enabled_again"),
    ("enable-totp-configuration", "totp::a_device_is_put_in_force_and_asked_for_at_every_sign_in"),
    ("enable-user", "users::a_user_is_disabled_and_enabled_again"),
    ("end-all-sessions", "own_sessions::all_sessions_end_at_once_but_for_the_one_that_asks_if_it_is_kept"),
    ("end-session", "own_sessions::own_sessions_are_listed_and_ended"),
    ("get-authz-user-status", "access::grants_are_never_stale"),
    ("get-feature", "features::a_feature_is_created_shown_and_amended"),
    ("get-individual", "individuals::an_individual_is_recorded_once"),
    ("get-individual-group", "groups::a_group_is_visible_to_callers_who_may_read_it"),
    ("get-individual-group-v1", "groups::a_group_is_visible_to_callers_who_may_read_it"),
    ("get-organization", "organizations::an_organization_is_created_with_its_groups_and_roles"),
    ("get-organization-feature", "features::settings::settings_of_organizations_are_kept"),
    ("get-session", "sessions::a_session_is_shown_to_its_owner_and_to_programs"),
    ("get-task", "moves::a_group_is_moved_with_everything_below_it"),
    ("get-user", "users::a_user_is_shown_with_everything_but_secrets"),
    ("get-user-feature", "features::settings::settings_of_users_are_kept"),
    ("internal-auth", "sessions::a_workload_is_known_by_its_token"),
    ("internal-auth-v1", "sessions::a_workload_is_known_by_its_token"),
    ("list-accessible-resources", "access::lists::the_accessible_resources_are_listed"),
    ("list-authz-individuals", "access::people::individuals_are_found_by_attributes_of_their_people"),
    ("list-eligible-group-members", "group_eligible::users_without_the_post_are_eligible"),
    ("list-features", "features::a_feature_is_created_shown_and_amended"),
    ("list-individual-group-individuals", "group_people::the_people_of_a_group_are_listed_page_by_page"),
    ("list-individual-group-leaders", "group_people::the_people_of_a_group_are_listed_page_by_page"),
    ("list-individual-group-logs", "group_logs::every_coming_and_leaving_is_a_row_newest_first"),
    ("list-individual-groups", "group_lists::lists_are_filtered_by_attributes_of_groups"),
    ("list-individual-groups-v1", "group_lists::the_older_list_carries_the_people_as_well"),
    ("list-organization-features", "features::settings::settings_of_organizations_are_kept"),
    ("list-organizations", "organizations::lists_are_narrowed_and_paged"),
    ("list-resource-accessors", "access::lists::the_users_with_access_are_listed"),
    ("list-role-users", "memberships::twin_resources_are_views_of_one_fact"),
    ("list-roles", "memberships::roles_are_listed_by_name"),
    ("list-sessions", "own_sessions::own_sessions_are_listed_and_ended"),
    ("list-totp-configurations", "totp::a_device_is_put_in_force_and_asked_for_at_every_sign_in"),
    ("list-user-activities", "checkins::activities_of_users_are_listed"),
    ("list-user-checkins", "checkins::check_ins_of_devices_are_stored"),
    ("list-user-features", "features::settings::settings_of_users_are_kept"),
    ("list-user-organizations", "memberships::pairs_are_made_and_listed"),
    ("list-users", "users::lists_show_the_visible_users"),
    ("login", "sign_in::a_user_who_signs_in_gets_tokens_and_a_profile"),
    ("logout", "sessions::a_session_ends_when_its_user_signs_out"),
    ("move-individual-group", "moves::a_group_is_moved_with_everything_below_it"),
    ("refresh-token", "sessions::a_session_is_refreshed_any_number_of_times"),
    ("remove-feature-users", "features::a_feature_given_to_users_is_taken_away"),
    ("remove-group-individuals", "group_people::individuals_come_and_leave_and_are_unassigned_in_between"),
    ("remove-group-leaders", "group_people::users_get_posts_by_identifier_and_by_address"),
    ("remove-group-members", "group_people::users_get_posts_by_identifier_and_by_address"),
    ("remove-organization-user", "memberships::twin_resources_are_views_of_one_fact"),
    ("remove-role-user", "memberships::a_role_is_given_and_taken_away"),
    ("switch-user-organization", "sessions::a_session_goes_to_another_organization_of_its_user"),
    ("update-feature", "features::a_feature_is_created_shown_and_amended"),
    ("update-individual-group", "groups::a_change_replaces_names_tags_and_leaders_as_far_as_they_are_given"),
    ("update-organization", "organizations::an_organization_is_changed_by_its_admins"),
    ("update-organization-feature", "features::settings::settings_of_organizations_are_kept"),
    ("update-user", "users::a_user_is_changed_by_itself_and_by_its_admins"),
    ("update-user-feature", "features::settings::settings_of_users_are_kept"),
];

#[test]
fn every_operation_that_is_offered_has_a_test() {
    let tested: Vec<&str> = TESTS.iter().map(|(operation, _)| *operation).collect();
    assert!(tested.is_sorted_by(|one, next| one < next), "in order, and none twice");
    let mut expected = published();
    for later in LATER {
        assert!(expected.remove(later), "{later} is not published");
    }
    expected.extend(BESIDES.map(str::to_owned));
    let tested: BTreeSet<String> = tested.into_iter().map(str::to_owned).collect();
    let routes: BTreeSet<String> = ROUTES.iter().map(|route| route.operation.to_owned()).collect();
    let differing = |one: &BTreeSet<String>| one.symmetric_difference(&tested).cloned().collect::<Vec<_>>();
    assert_eq!(differing(&expected), [""; 0], "published or tested, not both");
    assert_eq!(differing(&routes), [""; 0], "served or tested, not both");
}

#[test]
fn every_test_that_is_named_exists() {
    let missing: Vec<_> = TESTS.iter().map(|(_, test)| *test).filter(|test| !exists(test)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!exists("users::lists_show_the_visible") && !exists("nothing::lists_show_the_visible_users"));
}

/// Whether a test with this module and name exists. Both are as `cargo nextest` prints them, without the suffix of the
/// store.
fn exists(test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else { return false };
    let module = module.replace("::", "/");
    [format!("{module}.rs"), format!("{module}/mod.rs")].iter().any(|file| {
        let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity").join(file));
        source.is_ok_and(|source| source.contains(&format!("async fn {name}(")))
    })
}

/// Identifiers of the published operations of these groups.
fn published() -> BTreeSet<String> {
    let contract: Value = serde_json::from_str(include_str!("../../src/api/identity/contract.json")).unwrap();
    let items = contract["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let offered = operations.filter(|operation| {
        let tags = operation["tags"].as_array().into_iter().flatten();
        tags.filter_map(Value::as_str).any(|tag| OFFERED.contains(&tag) && operation["operationId"].is_string())
    });
    offered
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .filter(|id| !BESIDES.contains(&id.as_str()))
        .collect()
}
