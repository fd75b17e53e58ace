//! Circumstances of an event: actor, origin, request and reason.

use crate::values::SessionId;
use serde::{Deserialize, Serialize};

/// Kind of the acting principal.
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
    /// Display name at the time. Personal.
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

/// The principal that an actor acts for. Without a name: this principal did not act itself, and its key seals nothing
/// here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnBehalfOf {
    /// Kind of principal.
    #[serde(rename = "type")]
    pub kind: ActorType,
    /// Stable identifier.
    pub id: String,
}

/// Circumstances of an event. Every event of one command shares them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The acting principal.
    pub actor: Actor,
    /// The principal that the actor represents, if it acts for another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalfOf>,
    /// Session of the actor; absent for tokens without a session, API keys and the server itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Tenant of the event, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Address the request came from. Personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// `User-Agent` of the request. Personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Identifier shared by all events of one request, a UUID.
    pub request_id: String,
    /// Position of the event that caused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<u64>,
    /// Reason, in the words of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Further remark of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Metadata {
    /// Members that hold personal values of the actor; sealed with the actor's key.
    pub const PERSONAL: &'static [&'static str] = &["/actor/name", "/ipAddress", "/userAgent"];

    /// Metadata of an action by the server itself.
    #[must_use]
    pub fn system(request_id: impl Into<String>) -> Self {
        Metadata {
            actor: Actor::system(),
            on_behalf_of: None,
            session: None,
            organization_id: None,
            ip_address: None,
            user_agent: None,
            request_id: request_id.into(),
            causation: None,
            reason: None,
            comment: None,
        }
    }

    /// Subject whose key seals the personal members; `None` for the server itself, which is no person.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self.actor.kind {
            ActorType::System => None,
            ActorType::User | ActorType::Api | ActorType::Support => Some(&self.actor.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personal;
    use serde_json::json;

    fn full() -> Metadata {
        Metadata {
            actor: Actor { kind: ActorType::User, id: "a1".into(), name: Some("personal-name".into()) },
            on_behalf_of: Some(OnBehalfOf { kind: ActorType::User, id: "u1".into() }),
            session: Some(SessionId(uuid::Uuid::from_u128(1))),
            organization_id: Some("o1".into()),
            ip_address: Some("personal-address".into()),
            user_agent: Some("personal-agent".into()),
            request_id: "r1".into(),
            causation: Some(7),
            reason: Some("asked for".into()),
            comment: Some("none".into()),
        }
    }

    #[test]
    fn metadata_is_read_back_as_it_was_written() {
        for metadata in [full(), Metadata::system("r1")] {
            let written = serde_json::to_value(&metadata).expect("JSON");
            assert_eq!(serde_json::from_value::<Metadata>(written).expect("its own shape"), metadata);
        }
    }

    #[test]
    fn absent_circumstances_are_not_written() {
        let written = serde_json::to_value(Metadata::system("r1")).expect("JSON");
        assert_eq!(
            written,
            json!({"actor": {"type": "system", "id": "system", "name": "Registrar"}, "requestId": "r1"})
        );
    }

    #[test]
    fn metadata_without_session_is_read_and_written_as_before() {
        let before = json!({"actor": {"type": "user", "id": "a1"}, "organizationId": "o1", "requestId": "r1"});
        let metadata: Metadata = serde_json::from_value(before.clone()).expect("the former shape");
        assert_eq!((&metadata.on_behalf_of, metadata.session), (&None, None));
        assert_eq!(serde_json::to_value(metadata).expect("JSON"), before);
    }

    #[test]
    fn no_personal_value_is_left_in_sealed_metadata() {
        let mut document = serde_json::to_value(full()).expect("JSON");
        let taken = personal::take(&mut document, Metadata::PERSONAL);
        assert_eq!(taken.len(), 3);
        assert!(!document.to_string().contains("personal"), "{document}");
        assert!(serde_json::from_value::<Metadata>(document).is_ok());
    }

    #[test]
    fn personal_circumstances_belong_to_the_actor_unless_it_is_the_server() {
        let of = |kind| Metadata { actor: Actor { kind, ..full().actor }, ..full() };
        for kind in [ActorType::User, ActorType::Api, ActorType::Support] {
            assert_eq!(of(kind).subject(), Some("a1"));
        }
        assert_eq!(of(ActorType::System).subject(), None);
    }
}
