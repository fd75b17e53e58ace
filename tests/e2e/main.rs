//! End-to-end tests. Those that need PostgreSQL or NATS use private servers that `./scripts/test` starts.

#![allow(
    clippy::unwrap_used,
    clippy::large_futures,
    unreachable_pub,
    missing_docs,
    reason = "a test that cannot go on may panic; nobody reads its API"
)]

mod asyncapi;
mod audit_access;
mod audit_app;
mod audit_archived;
mod audit_events;
mod audit_organizations;
mod audit_properties;
mod audit_states;
mod cli;
mod cli_accounts;
mod cli_documents;
mod cli_keys;
mod cli_seed;
mod cli_templates;
mod cloud_activities;
mod cloud_app;
mod cloud_cli;
mod cloud_http;
mod cloud_keys;
mod cloud_organizations;
mod cloud_outage;
mod cloud_secrets;
mod committer;
mod committer_doubt;
mod committer_races;
mod contract;
mod contract_clients;
mod contract_idempotency;
mod contract_numbers;
mod contract_races;
mod core_corners;
mod documents_altered;
mod documents_verify;
mod ecg_app;
mod ecg_create;
mod ecg_grants;
mod ecg_http;
mod ecg_idempotency;
mod ecg_list;
mod ecg_outage;
mod ecg_patch;
mod ecg_switch;
mod ecg_trails;
mod event_stream;
mod fault_disk;
mod fault_kill;
mod fault_messages;
mod fault_nats;
mod fault_nodes;
mod fault_postgres;
mod fault_processes;
mod followers;
mod framing;
mod hardened;
mod identity_stock;
mod journal;
mod journal_answers;
mod journal_append;
mod journal_claims;
mod journal_files_archive;
mod journal_files_archived;
mod journal_files_export;
mod journal_files_import;
mod journal_files_support;
mod journal_reading;
mod journal_sealing;
mod journal_selection;
mod journal_snapshots;
mod lost_history;
mod master_key;
mod messages;
mod migrations;
mod nats_security;
mod one_moment;
mod organizations;
mod postgres_tls;
mod process;
mod proof_api;
mod proof_verify;
mod properties;
mod publishing;
mod read_store;
mod reading_only;
mod roles;
mod rooms;
mod schemathesis;
mod security_log;
mod site_app;
mod site_bad_input;
mod site_http;
mod site_put;
mod site_siblings;
mod slow_readers;
mod support;
mod tables;
mod tls;
mod upgrades;
mod url_shorteners;
