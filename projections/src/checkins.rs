//! The `user_checkins` read model: reports of devices, one document each.

use crate::record_document::record_document;
use crate::stamped::time_key;
use registrar_aggregates::checkin::{CheckinEvent, Device};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

crate::collection! {
    "user_checkins" of CheckinDocument, hot: false, id: |checkin| checkin.id.clone();
    keys {
        /// Finds the check-ins of a user.
        pub USER_ID: Text = |checkin| checkin.device.user_id.to_string();
        /// Finds the check-ins of a kind of device, by its name.
        pub SOURCE: Text = |checkin| checkin.device.source.name().to_owned();
        CREATED_AT: Text = |checkin| time_key(checkin.created_at);
    }
    indexes { [USER_ID, CREATED_AT], [USER_ID, SOURCE, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

record_document! {
    /// The report of a device.
    CheckinDocument {
        /// The report.
        device: Device
    }
    from Checkin(CheckinEvent::Recorded)
}
