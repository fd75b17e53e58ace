//! Documents of records (`record!` in the domain): of a single event without later changes, so that they need no stamp.

use registrar_aggregates::DomainEvent;

/// Declares such a document, its collection and its fold, which inserts it: the identifier of the stream, the payload
/// and the time of the event. The payload is a member of one word, so that JSON has the same name. Documents are found
/// by the user of the record and sorted by their time; further keys, indexes and counts are written as in
/// [`collection!`](crate::collection!).
///
/// `sealed`: whether the texts that the event does not list as clear are stored sealed. Keys never are.
macro_rules! record_document {
    (
        $(#[$doc:meta])*
        $name:literal of $document:ident { $(#[$about:meta])* $payload:ident: $Payload:ty }
        from $Aggregate:ident($Event:ident::$Recorded:ident) of $user:ident, sealed: $sealed:literal;
        $(keys { $($keys:tt)* })?
        $(indexes { $($indexes:tt)* })?
        $(counts { $($counts:tt)* })?
    ) => {
        $crate::collection! {
            $name of $document, hot: false, id: |document| document.id.clone(), sealed: sealed_fields;
            keys {
                /// Finds the documents of a user.
                pub USER_ID: Text = |document| document.$payload.$user.to_string();
                $($($keys)*)?
                CREATED_AT: Text = |document| $crate::stamped::time_key(document.created_at);
            }
            indexes { [USER_ID, CREATED_AT], $($($indexes)*)? }
            $(counts { $($counts)* })?
            sorts {
                /// Oldest first.
                pub BY_CREATION = [CREATED_AT];
            }
        }

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

        fn sealed_fields(document: &$document) -> Vec<(String, Vec<String>)> {
            if $sealed {
                let event = $Event::$Recorded(document.$payload.clone()).into();
                $crate::record_document::personal_texts(&event, &document.id, stringify!($payload))
            } else {
                Vec::new()
            }
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

/// Pointers to the personal texts of `event` in a document that has its payload as `member`, with the person whose key
/// seals them.
pub(crate) fn personal_texts(event: &DomainEvent, aggregate_id: &str, member: &str) -> Vec<(String, Vec<String>)> {
    // An event that is no JSON has no document either: its commit fails.
    let texts = event.to_payload().map(|payload| event.disclosure().personal(&payload)).unwrap_or_default();
    let pointers = texts.into_iter().map(|text| format!("/{member}{text}")).collect();
    event.subject(aggregate_id).map(|subject| (subject, pointers)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use registrar_aggregates::checkin::{CheckinEvent, Device, Source};
    use registrar_aggregates::values::UserId;
    use uuid::Uuid;

    #[test]
    fn texts_that_an_event_does_not_disclose_are_personal_to_its_user() {
        let user_id = UserId(Uuid::from_u128(1));
        let [app_version, model, os_version] = ["1.0", "phone", "17"].map(str::to_owned);
        let device = Device { user_id, source: Source::Ios, app_version, model, os_version };
        let personal = personal_texts(&CheckinEvent::Recorded(device).into(), "stream", "device");
        let pointers = ["/device/appVersion", "/device/model", "/device/osVersion"].map(str::to_owned);
        assert_eq!(personal, [(user_id.to_string(), pointers.to_vec())]);
    }
}
