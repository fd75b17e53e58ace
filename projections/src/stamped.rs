//! The usual shape of a document with the state of one aggregate: the state with its stamps. A read model of that shape
//! consists of its keys and an [`AggregateState`].

use crate::collection::Document;
use crate::recorded::RecordedEvent;
use crate::state_document::StateDocument;
use chrono::{DateTime, SecondsFormat, Utc};
use registrar_aggregates::FromDomainEvent;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::ops::Deref;
use uuid::Uuid;

/// Prefix of the identifiers of rows; position and number follow.
const ROW_PREFIX: u128 = 0x5d1c_0a94_7be3_8c21_8000_0000_0000_0000;

/// Identifier of the `number`th row of the event at `position`: a UUID of version 8 (RFC 9562, section 5.8), the same
/// after every rebuild, ordered by position.
#[must_use]
pub fn row_id(position: u64, number: u16) -> Uuid {
    Uuid::from_u128(ROW_PREFIX | u128::from(position & (u64::MAX >> 18)) << 16 | u128::from(number))
}

/// A time as keys compare it: UTC, milliseconds, fixed width.
#[must_use]
pub fn time_key(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The present state of an aggregate, with its stamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamped<S> {
    /// The state. Its members are accessible as the document's own.
    pub state: S,
    /// Stream version that the state reflects.
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

/// The state of one aggregate, as derived from its events.
pub trait AggregateState: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Events of the aggregate.
    type Event: FromDomainEvent;
    /// See [`StateDocument::PERSONAL`].
    const PERSONAL: &'static [&'static str] = &[];
    /// See [`StateDocument::UNLISTED`].
    const UNLISTED: &'static [&'static str] = &[];

    /// The state created by an event; `None` for any other event.
    fn create(event: &RecordedEvent, change: &Self::Event) -> Option<Self>;

    /// The state after another event; `None` after a deletion.
    fn change(self, event: &RecordedEvent, change: &Self::Event) -> Option<Self>;

    /// See [`StateDocument::concerned`].
    #[must_use]
    fn concerned(&self, _: &Self::Event) -> Self {
        self.clone()
    }
}

impl<S: AggregateState> StateDocument for Stamped<S>
where
    Stamped<S>: Document,
{
    type Event = S::Event;
    const PERSONAL: &'static [&'static str] = S::PERSONAL;
    const UNLISTED: &'static [&'static str] = S::UNLISTED;

    fn create(event: &RecordedEvent, change: &S::Event) -> Option<Self> {
        let (version, created_at) = (event.sequence, event.recorded_at);
        Some(Stamped { state: S::create(event, change)?, version, created_at, updated_at: created_at })
    }

    fn change(self, event: &RecordedEvent, change: &S::Event) -> Option<Self> {
        let (version, updated_at) = (event.sequence, event.recorded_at);
        Some(Stamped { state: self.state.change(event, change)?, version, updated_at, created_at: self.created_at })
    }

    fn concerned(&self, change: &S::Event) -> Self {
        Stamped { state: self.state.concerned(change), ..*self }
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.state)
    }
}
