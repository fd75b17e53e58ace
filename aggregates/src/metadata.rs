//! Who caused an event, from where, in which request and why.

use serde::{Deserialize, Serialize};

/// What kind of principal acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorType {
    /// A signed-in person.
    User,
    /// A program with an API key.
    Api,
    /// Registrar itself: start-up, command line, scheduled work.
    System,
    /// Support staff.
    Support,
}

/// The principal that caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Kind of principal.
    #[serde(rename = "type")]
    pub kind: ActorType,
    /// Stable identifier: the subject of the token, the id of the key, or `system`.
    pub id: String,
    /// Name to show, as it was then. Personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Actor {
    /// The actor of start-up, command line and scheduled work.
    #[must_use]
    pub fn system() -> Self {
        Actor { kind: ActorType::System, id: "system".into(), name: Some("Registrar".into()) }
    }
}

/// The circumstances of an event. Every event of one command shares them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Who.
    pub actor: Actor,
    /// Tenant the event belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Address the request came from. Personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// `User-Agent` of the request. Personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Identifier shared by everything one request caused, a UUID.
    pub request_id: String,
    /// Position of the event that caused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<u64>,
    /// Why, in the words of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Anything else the caller wanted on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Metadata {
    /// Members that hold personal values of the actor; sealed with the actor's key.
    pub const PERSONAL: &'static [&'static str] = &["/actor/name", "/ipAddress", "/userAgent"];

    /// Metadata of an act of the server itself.
    #[must_use]
    pub fn system(request_id: impl Into<String>) -> Self {
        Metadata {
            actor: Actor::system(),
            organization_id: None,
            ip_address: None,
            user_agent: None,
            request_id: request_id.into(),
            causation: None,
            reason: None,
            comment: None,
        }
    }

    /// Whose key seals the personal members; `None` for the server itself, which is no person.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self.actor.kind {
            ActorType::System => None,
            ActorType::User | ActorType::Api | ActorType::Support => Some(&self.actor.id),
        }
    }
}
