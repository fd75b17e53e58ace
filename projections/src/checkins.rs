//! The `user_checkins` read model: reports of devices, one document each.

use crate::record_document::record_document;
use registrar_aggregates::checkin::{CheckinEvent, Device};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

record_document! {
    /// The report of a device.
    "user_checkins" of CheckinDocument {
        /// The report.
        device: Device
    }
    from Checkin(CheckinEvent::Recorded) of user_id, sealed: false;
    keys {
        /// Finds the check-ins of a kind of device, by its name.
        pub SOURCE: Text = |checkin| checkin.device.source.name().to_owned();
    }
    indexes { [USER_ID, SOURCE, CREATED_AT] }
}
