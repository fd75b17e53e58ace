//! An admin as shown to auditors: the same members at the same paths as in the audit trail.

use super::{Admin, profile::Profile};
use crate::personal::SECRET;
use serde_json::{Value, json};

impl Admin {
    pub(super) fn shown_state(&self) -> Option<Value> {
        match self {
            Admin::Absent => None,
            Admin::Active(profile) => Some(shown(profile, true)),
            Admin::Inactive(profile) => Some(shown(profile, false)),
        }
    }
}

fn shown(profile: &Profile, active: bool) -> Value {
    let Profile {
        id,
        person_id,
        party_id,
        policies,
        custom_permissions,
        person,
        legacy_identifier,
        addresses,
        phone_numbers,
        account,
    } = profile;
    let mut shown = json!({
        "id": id,
        "activeInfo": {"active": active},
        "policies": policies,
        "customPermissions": custom_permissions,
        "person": person,
    });
    shown["person"]["id"] = json!(person_id);
    shown["person"]["party"] = json!({
        "id": party_id,
        "activeInfo": {"active": active},
        "addresses": addresses,
        "phoneNumbers": phone_numbers,
    });
    if let Some(legacy_identifier) = legacy_identifier {
        shown["person"]["party"]["legacyIdentifier"] = json!(legacy_identifier);
    }
    if let Some(account) = account {
        shown["account"] = json!({"id": account.id, "email": account.email, "password": SECRET});
    }
    shown
}
