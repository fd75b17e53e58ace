//! Given recorded events, then the documents.

#![allow(missing_docs, unreachable_pub, reason = "nobody reads the API of a test")]

mod admins;
mod api_keys;
mod audit_trail;
mod collections;
mod declared;
mod diff;
mod given;
mod organization_codes;
mod organizations;
mod service_documents;
mod trail;
mod url_shorteners;
mod users;
mod working_set;
#[allow(dead_code, reason = "tests of the domain use the rest")]
#[path = "../../../aggregates/tests/support/written.rs"]
mod written;
