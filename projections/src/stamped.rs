//! Documents that are the state of an aggregate with its stamps, and nothing else: what is declared of one is its keys,
//! and how its events make it, which is what the aggregate itself does with them.

use crate::collection::{Collection, Document, KeyValue};
use crate::document::HasCollection;
use crate::recorded::RecordedEvent;
use crate::state_document::StateDocument;
use chrono::{DateTime, SecondsFormat, Utc};
use registrar_aggregates::OfDomain;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::ops::Deref;
use uuid::Uuid;

/// Identifiers of rows begin with this and end with position and number.
const ROW_PREFIX: u128 = 0x5d1c_0a94_7be3_8c21_8000_0000_0000_0000;

/// Identifier of the `number`th row that the event at `position` makes: a UUID of version 8 (RFC 9562, section 5.8), the
/// same after every rebuild, in the order of positions.
#[must_use]
pub fn row_id(position: u64, number: u16) -> Uuid {
    Uuid::from_u128(ROW_PREFIX | u128::from(position & (u64::MAX >> 18)) << 16 | u128::from(number))
}

/// A time as keys compare it: UTC, milliseconds, fixed width.
#[must_use]
pub fn time_key(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A number as keys hold it.
pub(crate) fn ordinal(number: u64) -> KeyValue {
    KeyValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The state of an aggregate as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamped<S> {
    /// The state.
    pub state: S,
    /// Version of the stream that it reflects.
    pub version: u64,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl<S> Deref for Stamped<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

impl<S> Stamped<S> {
    /// The key that orders by creation.
    #[must_use]
    pub fn created_key(&self) -> KeyValue {
        KeyValue::Text(time_key(self.created_at))
    }

    /// The key that orders by the last change.
    #[must_use]
    pub fn updated_key(&self) -> KeyValue {
        KeyValue::Text(time_key(self.updated_at))
    }
}

/// A state that is kept as it is.
pub trait Kept: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    /// Events of the aggregate.
    type Event: OfDomain + Clone;
    /// What the documents declare.
    const COLLECTION: &'static Collection;
    /// See [`StateDocument::PERSONAL`].
    const PERSONAL: &'static [&'static str] = &[];
    /// See [`StateDocument::UNLISTED`].
    const UNLISTED: &'static [&'static str] = &[];

    /// Identifier of the document, which is that of the stream.
    fn id(&self) -> String;

    /// Values of the collection's keys, in their order.
    fn keys(document: &Stamped<Self>) -> Vec<KeyValue>;

    /// Whether the event creates it.
    fn creates(event: &Self::Event) -> bool;

    /// What it is by the event that creates it.
    fn create(event: &Self::Event) -> Option<Self>;

    /// What becomes of it by another event; nothing if it is gone.
    fn change(self, event: &Self::Event) -> Option<Self>;
}

impl<S: Kept> Document for Stamped<S>
where
    Stamped<S>: HasCollection,
{
    const COLLECTION: &'static Collection = S::COLLECTION;

    fn id(&self) -> String {
        self.state.id()
    }

    fn keys(&self) -> Vec<KeyValue> {
        S::keys(self)
    }
}

impl<S: Kept> StateDocument for Stamped<S>
where
    Stamped<S>: HasCollection,
{
    type Event = S::Event;
    const PERSONAL: &'static [&'static str] = S::PERSONAL;
    const UNLISTED: &'static [&'static str] = S::UNLISTED;

    fn creates(change: &S::Event) -> bool {
        S::creates(change)
    }

    fn create(event: &RecordedEvent, change: &S::Event) -> Option<Self> {
        Some(Stamped {
            state: S::create(change)?,
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
        })
    }

    fn change(self, event: &RecordedEvent, change: &S::Event) -> Option<Self> {
        let Stamped { state, created_at, .. } = self;
        Some(Stamped {
            state: state.change(change)?,
            version: event.sequence,
            created_at,
            updated_at: event.recorded_at,
        })
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.state)
    }
}
