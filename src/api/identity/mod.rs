//! The identity dialect: users, sessions, organizations, roles, features, groups, individuals and access decisions, as
//! JSON:API documents and plain commands.

mod access;
mod activities;
mod call;
mod checkins;
pub mod contract;
pub mod documents;
mod features;
mod group_people;
mod groups;
mod individuals;
mod memberships;
mod named;
mod openapi;
mod organizations;
mod passwords;
mod people;
mod program_tokens;
mod refusals;
mod roles;
pub mod routes;
mod sessions;
mod tasks;
pub mod times;
mod totp;
mod users;

pub use openapi::document;
