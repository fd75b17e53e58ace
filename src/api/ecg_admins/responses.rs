//! Response bodies, made from documents.

use crate::api::common::query::PageParameters;
use chrono::{DateTime, SecondsFormat, Utc};
use registrar_aggregates::admin::PhoneNumber;
use registrar_aggregates::values::CountryCode;
use registrar_projections::admins::{AdminAddress, AdminDocument, AuditInfo};
use registrar_projections::audit_trail::{Action, AuditChange, AuditEntry};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// A time in responses: UTC, milliseconds.
fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An ECG Admin as returned by every read and write operation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EcgAdminDisplayModel {
    /// Identifier of the ECG Admin record.
    id: Uuid,
    /// Identifiers of the policies granted to the admin.
    policies: Vec<String>,
    /// Identifiers of single permissions granted on top of the policies.
    #[schema(required = false)]
    custom_permissions: Vec<String>,
    active_info: ActiveInfoDto,
    person: PersonDisplayModel,
}

/// Whether the record is in force, and since when.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveInfoDto {
    /// True while the record may be used.
    active: bool,
    /// Moment of the latest switch between active and inactive; the creation time if it never changed.
    #[schema(format = DateTime)]
    active_status_changed_at: String,
}

/// Archive flag and its last change. No operation of this document changes it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveInfoDto {
    /// True once the record has been archived.
    #[schema(required = false)]
    archived: bool,
    /// Moment of the latest archive or restore; the creation time if it never changed.
    #[schema(format = DateTime, required = false)]
    archived_status_changed_at: String,
}

/// Creation and last-change stamps of one record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditInfoDto {
    /// Creation time.
    #[schema(format = DateTime, required = false)]
    created_at: String,
    /// Identifier of the caller who created the record (subject of the token).
    #[schema(required = false)]
    created_by: String,
    /// Time of the last change.
    #[schema(format = DateTime, required = false)]
    updated_at: String,
    /// Identifier of the caller who made the last change.
    #[schema(required = false)]
    updated_by: String,
}

/// The natural person behind an ECG Admin.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonDisplayModel {
    /// Identifier of the person; this is the {personId} of the paths.
    id: Uuid,
    /// Numeric salutation code; 0 when none was given.
    #[schema(schema_with = super::schemas::stored_salutation)]
    salutation: u32,
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
    /// Name suffix; empty text when none was given.
    suffix: String,
    /// Contact e-mail address; empty text when none was given.
    email_address: String,
    party: PartyDisplayModel,
}

/// The contact side of a person: identifiers from an older system, status blocks, telephone numbers and addresses.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartyDisplayModel {
    /// Identifier of the party.
    id: Uuid,
    /// Key in the system the record came from; empty text when there is none.
    legacy_identifier: String,
    archive_info: ArchiveInfoDto,
    audit_info: AuditInfoDto,
    active_info: ActiveInfoDto,
    /// Telephone numbers in their order.
    phone_numbers: Vec<PhoneNumberDisplayModel>,
    /// Addresses in their order.
    addresses: Vec<PartyAddressDisplayModel>,
}

/// A stored telephone number.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumberDisplayModel {
    /// Identifier of the number.
    id: Uuid,
    /// Numeric code of the kind of number.
    #[schema(schema_with = super::schemas::stored_phone_type)]
    phone_type: u32,
    /// The number as entered; empty text when none was given.
    phone_number: String,
    /// Extension; empty text when none was given.
    extension: String,
}

/// A stored postal address. The three *Name members are looked up from the matching codes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartyAddressDisplayModel {
    /// Identifier of the address.
    id: Uuid,
    /// Numeric code of the kind of address.
    #[schema(schema_with = super::schemas::stored_address_type)]
    address_type: u32,
    /// First line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address_line1: Option<String>,
    /// Second line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address_line2: Option<String>,
    /// State or province code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    state_province_code: Option<String>,
    /// Name belonging to stateProvinceCode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, read_only)]
    state_province_name: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    city: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    postal_code: Option<String>,
    /// Country code (ISO 3166-1 alpha-2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    country_code: Option<String>,
    /// Name belonging to countryCode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, read_only)]
    country_name: Option<String>,
    /// Data region of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = super::schemas::region_code)]
    region_code: Option<&'static str>,
    /// Name belonging to regionCode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, read_only)]
    region_name: Option<&'static str>,
    audit_info: AuditInfoDto,
}

impl From<&AuditInfo> for AuditInfoDto {
    fn from(info: &AuditInfo) -> Self {
        AuditInfoDto {
            created_at: time(info.created_at),
            created_by: info.created_by.clone(),
            updated_at: time(info.updated_at),
            updated_by: info.updated_by.clone(),
        }
    }
}

impl From<&AdminDocument> for EcgAdminDisplayModel {
    fn from(admin: &AdminDocument) -> Self {
        let active_info =
            ActiveInfoDto { active: admin.active, active_status_changed_at: time(admin.active_changed_at) };
        EcgAdminDisplayModel {
            id: admin.id.0,
            policies: admin.policies.clone(),
            custom_permissions: admin.custom_permissions.clone(),
            active_info: active_info.clone(),
            person: PersonDisplayModel {
                id: admin.person_id.0,
                salutation: admin.person.salutation.unwrap_or_default(),
                first_name: admin.person.first_name.clone(),
                last_name: admin.person.last_name.clone(),
                suffix: admin.person.suffix.clone().unwrap_or_default(),
                email_address: admin.person.email_address.clone().unwrap_or_default(),
                party: PartyDisplayModel {
                    id: admin.party_id.0,
                    legacy_identifier: admin.legacy_identifier.clone().unwrap_or_default(),
                    archive_info: ArchiveInfoDto {
                        archived: false,
                        archived_status_changed_at: time(admin.audit_info.created_at),
                    },
                    audit_info: (&admin.audit_info).into(),
                    active_info,
                    phone_numbers: admin.phone_numbers.iter().map(Into::into).collect(),
                    addresses: admin.addresses.iter().map(Into::into).collect(),
                },
            },
        }
    }
}

impl From<&PhoneNumber> for PhoneNumberDisplayModel {
    fn from(number: &PhoneNumber) -> Self {
        PhoneNumberDisplayModel {
            id: number.id.0,
            phone_type: number.details.phone_type,
            phone_number: number.details.phone_number.clone().unwrap_or_default(),
            extension: number.details.extension.clone().unwrap_or_default(),
        }
    }
}

impl From<&AdminAddress> for PartyAddressDisplayModel {
    fn from(address: &AdminAddress) -> Self {
        let details = &address.details;
        let state = details.state_province_code.as_ref().filter(|code| !code.is_empty());
        PartyAddressDisplayModel {
            id: address.id.0,
            address_type: details.address_type,
            address_line1: details.address_line1.clone(),
            address_line2: details.address_line2.clone(),
            state_province_code: details.state_province_code.clone(),
            // Without a list of states the code serves as the name.
            state_province_name: state.map(|code| {
                let country = details.country_code.as_ref();
                country.and_then(|country| country.state_name(code).ok()).unwrap_or_else(|| code.clone())
            }),
            city: details.city.clone(),
            postal_code: details.postal_code.clone(),
            country_code: details.country_code.as_ref().map(|country| country.as_str().to_owned()),
            country_name: details.country_code.as_ref().map(CountryCode::name),
            region_code: details.region_code.map(|region| region.code()),
            region_name: details.region_code.map(|region| region.name()),
            audit_info: (&address.audit_info).into(),
        }
    }
}

/// Outcome of a switch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BooleanResult {
    /// True when the admin is in the asked-for state after the call.
    pub value: bool,
}

/// One record touched by one request: what happened, to what, by whom, when.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditTrailDisplayModel {
    /// Identifier of the entry.
    id: Uuid,
    /// Position in the trail; grows by one with each entry and is never reused, so a gap shows loss.
    #[schema(schema_with = super::schemas::sequence)]
    sequence: u64,
    /// Kind of change.
    #[schema(schema_with = super::schemas::action)]
    action: Action,
    /// Kind of record touched.
    #[schema(schema_with = super::schemas::entity)]
    entity: String,
    /// Identifier of the record touched.
    #[schema(format = Uuid)]
    entity_id: String,
    /// Person of the ECG Admin the record belongs to.
    #[schema(format = Uuid)]
    person_id: String,
    /// ECG Admin the record belongs to.
    #[schema(format = Uuid)]
    ecg_admin_id: String,
    /// Elements that changed, in path order.
    #[schema(min_items = 1)]
    changes: Vec<AuditFieldChange>,
    /// Subject of the token that made the call.
    modified_by: String,
    /// Display name of that caller at the time, when known.
    #[schema(required = false)]
    modified_by_name: Option<String>,
    /// Commit time in UTC with milliseconds; the same for all entries of one request.
    #[schema(format = DateTime)]
    modified_at: String,
    /// Shared by all entries that one request produced.
    #[schema(format = Uuid)]
    request_id: String,
    /// Address the call came from.
    #[schema(required = false)]
    ip_address: Option<String>,
    /// User-Agent header of the call.
    #[schema(required = false)]
    user_agent: Option<String>,
}

/// One element that changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditFieldChange {
    /// JSON Pointer of the element in EcgAdminDisplayModel, with list elements named by their id rather than their
    /// position.
    path: String,
    /// Value before; null when there was none. Secrets read "***".
    old_value: Value,
    /// Value after; null when it is gone. Secrets read "***".
    new_value: Value,
}

impl From<AuditChange> for AuditFieldChange {
    fn from(change: AuditChange) -> Self {
        AuditFieldChange { path: change.path, old_value: change.old_value, new_value: change.new_value }
    }
}

impl From<AuditEntry> for AuditTrailDisplayModel {
    fn from(entry: AuditEntry) -> Self {
        AuditTrailDisplayModel {
            id: entry.id,
            sequence: entry.sequence,
            action: entry.action,
            entity: entry.entity,
            entity_id: entry.entity_id,
            person_id: entry.person_id.unwrap_or_default(),
            ecg_admin_id: entry.aggregate_id,
            changes: entry.changes.into_iter().map(Into::into).collect(),
            modified_by: entry.actor_id,
            modified_by_name: entry.actor_name,
            modified_at: time(entry.recorded_at),
            request_id: entry.request_id,
            ip_address: entry.ip_address,
            user_agent: entry.user_agent,
        }
    }
}

/// Defines the page type of one kind of entry; each kind has a schema of its own.
macro_rules! page {
    ($(#[$doc:meta])* $name:ident of $item:ident, $description:literal) => {
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            items: Vec<$item>,
            current_page_number: u64,
            records_per_page: u64,
            total_records: u64,
            total_pages: u64,
        }

        impl $name {
            /// The requested page, out of `total` records.
            #[must_use]
            pub fn new(items: Vec<$item>, page: PageParameters, total: u64) -> Self {
                $name {
                    items,
                    current_page_number: page.skip,
                    records_per_page: page.take,
                    total_records: total,
                    total_pages: page.pages(total),
                }
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                super::schemas::page_of($description, &$item::name())
            }
        }

        impl ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                schemas.push(($item::name().into_owned(), $item::schema()));
                $item::schemas(schemas);
            }
        }
    };
}

page!(
    /// One page of ECG Admins, with totals over all pages.
    PagedEcgAdmins of EcgAdminDisplayModel,
    "One page of ECG Admins, with totals over all pages."
);
page!(
    /// One page of audit trail entries, with totals over all pages.
    PagedAuditTrails of AuditTrailDisplayModel,
    "One page of audit trail entries, with totals over all pages."
);
