//! Sealing of personal values in events with the keys of their people.

use crate::committer::{ExpectedVersion, NewEvent};
use crate::journal::{JournalError, JournalResult, PAYLOAD_BYTES_MAX, StreamId, SubjectKeyStep, codec};
use crate::vault::{SubjectKey, Vault};
use registrar_aggregates::personal::{ERASED, replace};
use registrar_aggregates::{Claim, DomainEvent, Metadata};
use std::collections::HashMap;
use std::sync::Arc;

/// Seals the events of one command, and collects the keys that they and the documents are sealed with.
pub(super) struct Sealing<'v> {
    vault: &'v Vault,
    /// Keys by subject; `None` for erased people and for subjects without a key.
    pub(super) known: HashMap<String, Option<Arc<SubjectKey>>>,
    /// Keys that are made with the command.
    pub(super) new: Vec<SubjectKeyStep>,
}

impl<'v> Sealing<'v> {
    pub(super) fn by(vault: &'v Vault) -> Self {
        Sealing { vault, known: HashMap::new(), new: Vec::new() }
    }

    /// The metadata as text.
    pub(super) async fn metadata(&mut self, metadata: &Metadata) -> JournalResult<String> {
        let mut value = serde_json::to_value(metadata).map_err(JournalError::corrupt)?;
        if let Some(actor) = metadata.subject() {
            match self.existing(actor).await? {
                Some(key) => key.seal(&mut value, Metadata::PERSONAL, &metadata.request_id)?,
                // Without a key, personal values are erased rather than stored in the clear.
                None => replace(&mut value, Metadata::PERSONAL, ERASED),
            }
        }
        codec::canonical(&value)
    }

    /// The stored form of an event.
    pub(super) async fn event(
        &mut self,
        stream: &StreamId,
        expected: ExpectedVersion,
        event: DomainEvent,
    ) -> JournalResult<NewEvent> {
        if expected != ExpectedVersion::Exact(0)
            && let Some(subject) = event.subject(&stream.aggregate_id)
        {
            // An event without personal values may still make an audit entry with former ones.
            self.existing(&subject).await?;
        }
        Ok(NewEvent {
            event_type: event.event_type(),
            event_version: event.event_version(),
            claims: event.claims().into_iter().map(|claim| self.digested(claim)).collect(),
            payload: self.payload(stream, expected, &event).await?,
            event: Arc::new(event),
        })
    }

    /// Keys that count once the command is stored, by their subjects.
    pub(super) fn made(&self) -> Vec<(String, Arc<SubjectKey>)> {
        let made = self.new.iter().map(|step| &step.subject_id);
        made.filter_map(|subject| Some((subject.clone(), self.known.get(subject)?.clone()?))).collect()
    }

    fn digested(&self, claim: Claim) -> (Claim, String) {
        let (Claim::Take(key) | Claim::Release(key)) = &claim;
        let digest = self.vault.claim(key);
        (claim, digest)
    }

    async fn payload(
        &mut self,
        stream: &StreamId,
        expected: ExpectedVersion,
        event: &DomainEvent,
    ) -> JournalResult<String> {
        let mut payload = event.to_payload().map_err(JournalError::corrupt)?;
        let personal = event.disclosure().personal(&payload);
        if let Some(subject) = event.subject(&stream.aggregate_id).filter(|_| !personal.is_empty()) {
            let own = subject == stream.aggregate_id;
            let key = self.key(&subject, own && expected == ExpectedVersion::Exact(0)).await?;
            let key = key.ok_or_else(|| JournalError::corrupt("the person was erased"))?;
            key.seal(&mut payload, &personal, &event.event_type())?;
        } else {
            debug_assert!(personal.is_empty(), "{} does not list {personal:?}", event.event_type());
        }
        let payload = codec::canonical(&payload)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(JournalError::EventTooLarge { event_type: event.event_type(), bytes: payload.len() });
        }
        Ok(payload)
    }

    async fn existing(&mut self, subject_id: &str) -> JournalResult<Option<Arc<SubjectKey>>> {
        if let Some(key) = self.known.get(subject_id) {
            return Ok(key.clone());
        }
        let key = self.vault.subject_key(subject_id).await?.flatten();
        self.known.insert(subject_id.to_owned(), key.clone());
        Ok(key)
    }

    /// The key of a person, created now if there never was one. `None` for an erased person.
    async fn key(&mut self, subject_id: &str, certainly_new: bool) -> JournalResult<Option<Arc<SubjectKey>>> {
        if let Some(Some(key)) = self.known.get(subject_id) {
            return Ok(Some(Arc::clone(key)));
        }
        if !certainly_new && let Some(key) = self.vault.subject_key(subject_id).await? {
            self.known.insert(subject_id.to_owned(), key.clone());
            return Ok(key);
        }
        let (key, step) = self.vault.new_subject(subject_id)?;
        self.new.push(step);
        self.known.insert(subject_id.to_owned(), Some(Arc::clone(&key)));
        Ok(Some(key))
    }
}
