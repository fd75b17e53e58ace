//! The keys that sign access tokens. A new key signs at once; its predecessor goes on verifying until the last token
//! that it signed has expired.

use crate::{
    Decide,
    decide::aggregate,
    facts::{EventFacts, event_names},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Stream of the only key ring.
pub const KEY_RING_ID: &str = "token-signing";

/// All keys, oldest first.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct KeyRing {
    keys: Vec<SigningKey>,
}

/// An Ed25519 key pair (RFC 8037).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "TokenSigningKey"))]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// `kid` of the tokens signed by the key.
    pub key_id: String,
    /// Public key, 32 bytes as base64url without padding.
    pub public_key: String,
    /// Private key in PKCS #8, base64. A secret.
    pub private_key: String,
    /// Time until which the key verifies; absent for the signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifies_until: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("key_id", &self.key_id)
            .field("verifies_until", &self.verifies_until)
            .finish_non_exhaustive()
    }
}

/// Commands of the key ring.
#[derive(Debug, Clone)]
pub enum KeyRingCommand {
    /// Adds the first key; does nothing if a key exists.
    Establish {
        /// The key.
        key: SigningKey,
    },
    /// Makes a new key the signing key and sets the end of the present one.
    Rotate {
        /// The new signing key.
        key: SigningKey,
        /// Expiry of the last token that the present key can have signed.
        present_verifies_until: DateTime<Utc>,
    },
    /// Sets an earlier end of a former key.
    Retire {
        /// The key.
        key_id: String,
        /// Time until which the key verifies.
        verifies_until: DateTime<Utc>,
    },
}

/// Refusals of the key ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// Key not found.
    #[error("there is no signing key with this identifier")]
    NotFound,
    /// The key is the signing key; only a rotation ends it.
    #[error("this key signs now")]
    Signs,
}

/// Events of the key ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum KeyRingEvent {
    /// A key that signs access tokens was added; it signs from now on.
    #[serde(rename = "key-ring.key-added")]
    KeyAdded {
        /// The key.
        key: SigningKey,
    },
    /// A key was retired and signs no longer.
    #[serde(rename = "key-ring.key-retired")]
    KeyRetired {
        /// The key.
        key_id: String,
        /// Time until which the key verifies.
        verifies_until: DateTime<Utc>,
    },
}

event_names!(KeyRingEvent {
    KeyAdded => "key-ring.key-added" @ "1.0" Insert, clear ["/key/keyId", "/key/publicKey", "/key/verifiesUntil"];
    KeyRetired => "key-ring.key-retired" @ "1.0" Update, clear ["/keyId", "/verifiesUntil"];
});

impl EventFacts for KeyRingEvent {
    const HAS_SUBJECT: bool = true;

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            KeyRingEvent::KeyAdded { .. } => &["/key/privateKey"],
            KeyRingEvent::KeyRetired { .. } => &[],
        }
    }
}

impl KeyRing {
    /// The signing key, if any.
    #[must_use]
    pub fn signing(&self) -> Option<&SigningKey> {
        self.keys.iter().rev().find(|key| key.verifies_until.is_none())
    }

    /// The keys that verify at `now`.
    pub fn verifying(&self, now: DateTime<Utc>) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter().filter(move |key| key.verifies_until.is_none_or(|until| until > now))
    }

    fn evolve(&mut self, event: KeyRingEvent) {
        match event {
            KeyRingEvent::KeyAdded { key } => self.keys.push(key),
            KeyRingEvent::KeyRetired { key_id, verifies_until } => {
                if let Some(key) = self.keys.iter_mut().find(|key| key.key_id == key_id) {
                    key.verifies_until = Some(verifies_until);
                }
            }
        }
    }
}

impl Decide for KeyRing {
    fn decide(&self, command: KeyRingCommand) -> Result<Vec<KeyRingEvent>, KeyRingError> {
        Ok(match (self.signing(), command) {
            (Some(_), KeyRingCommand::Establish { .. }) => vec![],
            (None, KeyRingCommand::Establish { key } | KeyRingCommand::Rotate { key, .. }) => {
                vec![KeyRingEvent::KeyAdded { key }]
            }
            (Some(present), KeyRingCommand::Rotate { key, present_verifies_until }) => vec![
                KeyRingEvent::KeyRetired { key_id: present.key_id.clone(), verifies_until: present_verifies_until },
                KeyRingEvent::KeyAdded { key },
            ],
            (_, KeyRingCommand::Retire { key_id, verifies_until }) => {
                let key = self.keys.iter().find(|key| key.key_id == key_id).ok_or(KeyRingError::NotFound)?;
                match key.verifies_until {
                    None => return Err(KeyRingError::Signs),
                    Some(until) if until <= verifies_until => vec![],
                    Some(_) => vec![KeyRingEvent::KeyRetired { key_id, verifies_until }],
                }
            }
        })
    }
}

aggregate!(KeyRing, "key-ring", KeyRingCommand, KeyRingEvent, KeyRingError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::{Aggregate, test::TestFramework};

    impl Samples for KeyRingEvent {
        fn samples() -> Vec<Self> {
            let at = DateTime::UNIX_EPOCH + chrono::Duration::milliseconds(1);
            let key = SigningKey {
                key_id: "k1".into(),
                public_key: "public".into(),
                private_key: "private".into(),
                verifies_until: Some(at),
            };
            vec![KeyRingEvent::KeyAdded { key }, KeyRingEvent::KeyRetired { key_id: "k1".into(), verifies_until: at }]
        }
    }

    fn key(id: &str) -> SigningKey {
        SigningKey {
            key_id: id.into(),
            public_key: "public".into(),
            private_key: "private".into(),
            verifies_until: None,
        }
    }

    fn added(id: &str) -> KeyRingEvent {
        KeyRingEvent::KeyAdded { key: key(id) }
    }

    #[test]
    fn the_first_key_is_established_once() {
        let establish = || KeyRingCommand::Establish { key: key("k1") };
        TestFramework::<KeyRing>::with(())
            .given_no_previous_events()
            .when(establish())
            .then_expect_events(vec![added("k1")]);
        TestFramework::<KeyRing>::with(()).given(vec![added("k0")]).when(establish()).then_expect_events(vec![]);
    }

    #[test]
    fn after_a_rotation_the_former_key_verifies_until_its_end_and_no_longer() {
        let until = DateTime::UNIX_EPOCH + chrono::Duration::hours(1);
        let mut ring = KeyRing::default();
        ring.apply(added("k1"));
        for event in ring
            .decide(KeyRingCommand::Rotate { key: key("k2"), present_verifies_until: until })
            .expect("never refused")
        {
            ring.apply(event);
        }
        let verifying = |now| ring.verifying(now).map(|key| key.key_id.as_str()).collect::<Vec<_>>();
        assert_eq!(ring.signing().map(|key| key.key_id.as_str()), Some("k2"));
        assert_eq!(verifying(DateTime::UNIX_EPOCH), ["k1", "k2"]);
        assert_eq!(verifying(until), ["k2"]);
    }

    fn rotate(id: &str) -> KeyRingCommand {
        KeyRingCommand::Rotate { key: key(id), present_verifies_until: DateTime::UNIX_EPOCH }
    }

    fn retired(id: &str) -> KeyRingEvent {
        KeyRingEvent::KeyRetired { key_id: id.into(), verifies_until: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn a_rotation_retires_the_key_that_signs_and_adds_another() {
        TestFramework::<KeyRing>::with(())
            .given(vec![added("k1")])
            .when(rotate("k2"))
            .then_expect_events(vec![retired("k1"), added("k2")]);
    }

    #[test]
    fn a_second_rotation_leaves_the_first_key_retired_as_it_was() {
        TestFramework::<KeyRing>::with(())
            .given(vec![added("k1"), retired("k1"), added("k2")])
            .when(rotate("k3"))
            .then_expect_events(vec![retired("k2"), added("k3")]);
    }

    fn until(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds)
    }

    fn retiring(id: &str, seconds: i64) -> KeyRingEvent {
        KeyRingEvent::KeyRetired { key_id: id.into(), verifies_until: until(seconds) }
    }

    fn retire(id: &str, seconds: i64) -> KeyRingCommand {
        KeyRingCommand::Retire { key_id: id.into(), verifies_until: until(seconds) }
    }

    #[test]
    fn a_former_key_is_given_an_earlier_end() {
        TestFramework::<KeyRing>::with(())
            .given(vec![added("k1"), retiring("k1", 100), added("k2")])
            .when(retire("k1", 7))
            .then_expect_events(vec![retiring("k1", 7)]);
    }

    #[test]
    fn a_former_key_that_has_ended_by_then_stays_as_it_is() {
        TestFramework::<KeyRing>::with(())
            .given(vec![added("k1"), retiring("k1", 7), added("k2")])
            .when(retire("k1", 7))
            .then_expect_events(vec![]);
    }

    #[test]
    fn the_key_that_signs_is_not_retired_by_itself() {
        TestFramework::<KeyRing>::with(())
            .given(vec![added("k1"), retiring("k1", 7), added("k2")])
            .when(retire("k2", 7))
            .then_expect_error(KeyRingError::Signs);
    }

    #[test]
    fn an_unknown_key_is_not_retired() {
        TestFramework::<KeyRing>::with(())
            .given(vec![added("k1")])
            .when(retire("k0", 7))
            .then_expect_error(KeyRingError::NotFound);
    }

    #[test]
    fn a_rotation_without_a_key_adds_the_first() {
        TestFramework::<KeyRing>::with(())
            .given_no_previous_events()
            .when(rotate("k1"))
            .then_expect_events(vec![added("k1")]);
    }

    #[test]
    fn a_ring_without_keys_neither_signs_nor_verifies() {
        let ring = KeyRing::default();
        assert_eq!(ring.signing(), None);
        assert_eq!(ring.verifying(DateTime::UNIX_EPOCH).count(), 0);
    }

    #[test]
    fn retiring_an_unknown_key_changes_nothing() {
        let mut ring = KeyRing::default();
        ring.apply(added("k1"));
        ring.apply(retired("k0"));
        assert_eq!(ring.signing(), Some(&key("k1")));
    }

    #[test]
    fn a_key_shows_no_secret_when_printed() {
        assert!(!format!("{:?}", added("k1")).contains("private"));
    }
}
