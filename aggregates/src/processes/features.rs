//! Settings of a feature for several users at once.

use super::{MissingStream, Step, Streams};
use crate::feature::FeatureId;
use crate::feature::setting::{FeatureSetting, Setting, SettingCommand, Switch, Target};
use crate::values::{FeatureSettingId, UserId};

/// A user to whom a feature is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignee {
    /// The user.
    pub user: UserId,
    /// The user's setting of the feature, if one is known.
    pub known: Option<FeatureSettingId>,
    /// Identifier for a setting that has to be created.
    pub new: FeatureSettingId,
}

/// Sets a feature to `switch` for users in all organizations: existing settings are switched, missing ones created.
///
/// # Errors
/// Refusals of the settings.
pub fn assign(streams: &mut Streams, feature: &FeatureId, assignees: &[Assignee], switch: Switch) -> Step<()> {
    prefetch(streams, assignees.iter().filter_map(|assignee| assignee.known))?;
    for assignee in assignees {
        let present = match assignee.known {
            Some(id) => streams.state::<FeatureSetting>(id)?.is_present().then_some(id),
            None => None,
        };
        let (id, command) = match present {
            Some(id) => (id, SettingCommand::Set(switch)),
            None => {
                let target = Target::User(assignee.user);
                let setting = Setting { feature_id: feature.clone(), target, switch };
                (assignee.new, SettingCommand::Create { id: assignee.new, setting })
            }
        };
        streams.execute::<FeatureSetting>(id, command)?;
    }
    Ok(())
}

/// Removes settings; removed ones are skipped.
///
/// # Errors
/// Refusals of the settings.
pub fn remove(streams: &mut Streams, settings: &[FeatureSettingId]) -> Step<()> {
    prefetch(streams, settings.iter().copied())?;
    for id in settings {
        if streams.state::<FeatureSetting>(id)?.is_present() {
            streams.execute::<FeatureSetting>(id, SettingCommand::Remove)?;
        }
    }
    Ok(())
}

fn prefetch(streams: &Streams, settings: impl Iterator<Item = FeatureSettingId>) -> Step<()> {
    Ok(streams.prefetch(settings.map(MissingStream::of::<FeatureSetting>))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::setting::SettingEvent;
    use crate::processes::testing::*;
    use uuid::Uuid;

    const KNOWN: FeatureSettingId = FeatureSettingId(Uuid::from_u128(0x21));
    const NEW: FeatureSettingId = FeatureSettingId(Uuid::from_u128(0x22));

    fn feature() -> FeatureId {
        FeatureId::parse("dark-mode").expect("an identifier")
    }

    fn setting(switch: Switch) -> Setting {
        Setting { feature_id: feature(), target: Target::User(ADA), switch }
    }

    fn created(id: FeatureSettingId, switch: Switch) -> SettingEvent {
        SettingEvent::Created { id, setting: setting(switch) }
    }

    fn history(id: FeatureSettingId, happened: impl IntoIterator<Item = SettingEvent>) -> History {
        events::<FeatureSetting>(id, happened)
    }

    fn assign_on(streams: impl IntoIterator<Item = History>, known: Option<FeatureSettingId>) -> ProcessOutcome {
        let assignees = [Assignee { user: ADA, known, new: NEW }];
        given(streams).when(|streams| assign(streams, &feature(), &assignees, Switch::Enabled))
    }

    #[test]
    fn a_user_without_a_setting_gets_one() {
        assign_on([], None).then([history(NEW, [created(NEW, Switch::Enabled)])]);
    }

    #[test]
    fn a_setting_that_is_there_is_switched() {
        let before = || history(KNOWN, [created(KNOWN, Switch::Disabled)]);
        assign_on([before()], Some(KNOWN)).then([history(KNOWN, [SettingEvent::Switched { switch: Switch::Enabled }])]);
        assign_on([history(KNOWN, [created(KNOWN, Switch::Enabled)])], Some(KNOWN)).then_nothing();
    }

    #[test]
    fn a_setting_that_was_removed_meanwhile_is_made_anew() {
        let removed = [created(KNOWN, Switch::Disabled), SettingEvent::Removed { setting: setting(Switch::Disabled) }];
        assign_on([history(KNOWN, removed)], Some(KNOWN)).then([history(NEW, [created(NEW, Switch::Enabled)])]);
    }

    #[test]
    fn settings_are_removed_once() {
        let removed = || SettingEvent::Removed { setting: setting(Switch::Disabled) };
        given([
            history(KNOWN, [created(KNOWN, Switch::Disabled)]),
            history(NEW, [created(NEW, Switch::Disabled), removed()]),
        ])
        .when(|streams| remove(streams, &[KNOWN, NEW]))
        .then([history(KNOWN, [removed()])]);
    }
}
