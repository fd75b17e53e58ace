//! Documents of a single event without later changes, which need no stamp.

/// Declares such a document: the identifier of its stream, the payload and the time of the event. The fold inserts it.
macro_rules! record_document {
    (
        $(#[$doc:meta])*
        $document:ident { $(#[$about:meta])* $payload:ident: $Payload:ty }
        from $Aggregate:ident($Event:ident::$Recorded:ident)
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $document {
            /// Identifier of the stream.
            pub id: String,
            $(#[$about])*
            pub $payload: $Payload,
            /// Time of the event.
            pub created_at: chrono::DateTime<chrono::Utc>,
        }

        /// Folds one event.
        pub(crate) fn fold(
            event: &$crate::recorded::RecordedEvent,
            documents: &mut $crate::working_set::WorkingSet,
        ) -> Result<(), $crate::working_set::FoldError> {
            use registrar_aggregates::DomainEvent;
            let DomainEvent::$Aggregate($Event::$Recorded($payload)) = &*event.event else { return Ok(()) };
            let (id, created_at) = (event.aggregate_id.clone(), event.recorded_at);
            documents.insert($document { id, $payload: $payload.clone(), created_at })
        }
    };
}
pub(crate) use record_document;
