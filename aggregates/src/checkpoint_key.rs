//! The key that signs checkpoints of the journal. Made once with the name of the journal and never rotated: the holder
//! of the public half can verify everything it ever signed.

use crate::{
    Decide,
    decide::aggregate,
    facts::{EventFacts, event_names},
};
use serde::{Deserialize, Serialize};

/// Stream of the only checkpoint key.
pub const CHECKPOINT_KEY_ID: &str = "checkpoint-signing";

/// Life cycle of a journal's key.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckpointKey {
    /// Not made yet.
    #[default]
    Absent,
    /// Made; never changes.
    Established(NoteKey),
}

/// An Ed25519 key pair with the name under which it signs (C2SP signed-note).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CheckpointSigningKey"))]
#[serde(rename_all = "camelCase")]
pub struct NoteKey {
    /// Name of the key and origin of the checkpoints; without spaces and `+`.
    pub name: String,
    /// Public key, 32 bytes as base64.
    pub public_key: String,
    /// Private key, 32 bytes as base64. A secret.
    pub private_key: String,
}

impl std::fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoteKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Makes `key` the journal's key; does nothing if a key exists.
#[derive(Debug, Clone)]
pub struct Establish {
    /// The key.
    pub key: NoteKey,
}

/// Events of the checkpoint key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum CheckpointKeyEvent {
    /// The key that signs checkpoints of the journal was made.
    #[serde(rename = "checkpoint-key.established")]
    Established {
        /// The key.
        key: NoteKey,
    },
}

event_names!(CheckpointKeyEvent {
    Established => "checkpoint-key.established" @ "1.0" Insert, clear ["/key/name", "/key/publicKey"];
});

impl EventFacts for CheckpointKeyEvent {
    const HAS_SUBJECT: bool = true;

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            CheckpointKeyEvent::Established { .. } => &["/key/privateKey"],
        }
    }
}

impl CheckpointKey {
    /// The key, if made.
    #[must_use]
    pub fn key(&self) -> Option<&NoteKey> {
        match self {
            CheckpointKey::Absent => None,
            CheckpointKey::Established(key) => Some(key),
        }
    }

    fn evolve(&mut self, event: CheckpointKeyEvent) {
        match event {
            CheckpointKeyEvent::Established { key } => *self = CheckpointKey::Established(key),
        }
    }
}

impl Decide for CheckpointKey {
    fn decide(&self, Establish { key }: Establish) -> Result<Vec<CheckpointKeyEvent>, std::convert::Infallible> {
        Ok(match self {
            CheckpointKey::Absent => vec![CheckpointKeyEvent::Established { key }],
            CheckpointKey::Established(_) => vec![],
        })
    }
}

aggregate!(CheckpointKey, "checkpoint-key", Establish, CheckpointKeyEvent, std::convert::Infallible);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::TestFramework;

    impl Samples for CheckpointKeyEvent {
        fn samples() -> Vec<Self> {
            vec![established("registrar/1")]
        }
    }

    fn key(name: &str) -> NoteKey {
        NoteKey { name: name.into(), public_key: "public".into(), private_key: "private".into() }
    }

    fn established(name: &str) -> CheckpointKeyEvent {
        CheckpointKeyEvent::Established { key: key(name) }
    }

    #[test]
    fn the_key_is_made_once_and_stays() {
        TestFramework::<CheckpointKey>::with(())
            .given_no_previous_events()
            .when(Establish { key: key("one") })
            .then_expect_events(vec![established("one")]);
        TestFramework::<CheckpointKey>::with(())
            .given(vec![established("one")])
            .when(Establish { key: key("two") })
            .then_expect_events(vec![]);
    }

    #[test]
    fn a_key_shows_no_secret_when_printed() {
        assert!(!format!("{:?}", established("one")).contains("private"));
    }
}
