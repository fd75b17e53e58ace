//! Reports of a user's device: events without influence on any decision.

use crate::decide::record;
use crate::values::{Finding, UserId, check_free_text};
use serde::{Deserialize, Serialize};

/// Longest text, in characters.
pub const TEXT_LENGTH_MAX: usize = 255;

/// Kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A telephone with Android.
    Android,
    /// A telephone with iOS.
    Ios,
    /// A browser.
    Web,
}

impl Source {
    /// The name as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::Android => "android",
            Source::Ios => "ios",
            Source::Web => "web",
        }
    }
}

/// Report of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// User of the device.
    pub user_id: UserId,
    /// Kind of the device.
    pub source: Source,
    /// Version of the application on the device.
    pub app_version: String,
    /// Model of the device.
    pub model: String,
    /// Version of the operating system.
    pub os_version: String,
}

impl Device {
    fn check(&self) -> Result<(), Finding> {
        let texts = [("appVersion", &self.app_version), ("model", &self.model), ("osVersion", &self.os_version)];
        for (field, text) in texts {
            check_free_text(text, TEXT_LENGTH_MAX).map_err(|problem| problem.of(field))?;
        }
        Ok(())
    }
}

record! {
    /// A check-in; it has no state.
    Checkin "user-checkin" of user_id;
    /// A device checked in.
    CheckinEvent::Recorded(Device) "user-checkin.recorded" @ "1.0", clear ["/userId", "/source"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use crate::values::Problem;
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    fn device(model: &str) -> Device {
        Device {
            user_id: UserId(Uuid::from_u128(1)),
            source: Source::Ios,
            app_version: "1.0".into(),
            model: model.into(),
            os_version: "17".into(),
        }
    }

    impl Samples for CheckinEvent {
        fn samples() -> Vec<Self> {
            vec![CheckinEvent::Recorded(device("phone"))]
        }
    }

    #[test]
    fn a_device_model_is_recorded_unless_it_is_unfit() {
        let given = || TestFramework::<Checkin>::with(()).given(vec![]);
        given().when(device("phone")).then_expect_events(CheckinEvent::samples());
        given().when(device("a\0b")).then_expect_error(Problem::Nul.of("model"));
        given().when(device(&"x".repeat(256))).then_expect_error(Problem::TooLong { max: 255 }.of("model"));
    }
}
