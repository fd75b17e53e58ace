//! Entries of keys and of the tokens signed with them: the records are keys, with identifiers of their own, and secrets
//! are named without their values.

use super::sources::HandwrittenEntry;
use super::time_key;
use super::touched::{ChangedRecord, change};
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use registrar_aggregates::access_token::AccessTokenEvent;
use registrar_aggregates::checkpoint_key::CheckpointKeyEvent;
use registrar_aggregates::key_ring::KeyRingEvent;
use registrar_aggregates::personal::SECRET;
use serde_json::{Value, json};

impl HandwrittenEntry for KeyRingEvent {
    fn touched(&self, _: &RecordedEvent, _: &WorkingSet) -> Result<ChangedRecord, FoldError> {
        Ok(match self {
            KeyRingEvent::KeyAdded { key } => ChangedRecord::new(
                &key.key_id,
                vec![
                    change("/keyId", Value::Null, json!(key.key_id)),
                    change("/privateKey", Value::Null, json!(SECRET)),
                    change("/publicKey", Value::Null, json!(key.public_key)),
                ],
            ),
            KeyRingEvent::KeyRetired { key_id, verifies_until } => {
                let until = json!(time_key(*verifies_until));
                ChangedRecord::new(key_id, vec![change("/verifiesUntil", Value::Null, until)])
            }
        })
    }
}

impl HandwrittenEntry for CheckpointKeyEvent {
    fn touched(&self, _: &RecordedEvent, _: &WorkingSet) -> Result<ChangedRecord, FoldError> {
        let CheckpointKeyEvent::Established { key } = self;
        let changes = vec![
            change("/name", Value::Null, json!(key.name)),
            change("/privateKey", Value::Null, json!(SECRET)),
            change("/publicKey", Value::Null, json!(key.public_key)),
        ];
        Ok(ChangedRecord::new(&key.name, changes))
    }
}

impl HandwrittenEntry for AccessTokenEvent {
    fn touched(&self, event: &RecordedEvent, _: &WorkingSet) -> Result<ChangedRecord, FoldError> {
        let AccessTokenEvent::Issued { admin_id, expires_at, organization_id, permissions } = self;
        let changes = vec![
            change("/adminId", Value::Null, json!(admin_id)),
            change("/expiresAt", Value::Null, json!(time_key(*expires_at))),
            change("/organizationId", Value::Null, json!(organization_id)),
            change("/permissions", Value::Null, json!(permissions)),
        ];
        Ok(ChangedRecord::new(&event.aggregate_id, changes))
    }
}
