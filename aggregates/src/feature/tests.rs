//! Given, when, then for the catalogue of features and for their settings.

use super::setting::{FeatureSetting, Setting, SettingCommand, SettingError, SettingEvent, Switch, Target, effective};
use super::*;
use crate::samples::Samples;
use crate::values::{FeatureSettingId, OrganizationId, UserId};
use crate::{Claim, ClaimKey};
use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

fn given<A>(events: impl IntoIterator<Item = A::Event>) -> AggregateTestExecutor<A>
where
    A: Aggregate<Services = ()>,
{
    TestFramework::with(()).given(events.into_iter().collect())
}

fn id() -> FeatureId {
    FeatureId::parse("dark-mode").expect("an identifier")
}

fn definition() -> Definition {
    Definition { stage: Stage::Alpha, description: Some("Dark".into()), global_enabled: false, assignable: true }
}

fn created() -> FeatureEvent {
    FeatureEvent::Created { id: id(), definition: definition() }
}

fn create(definition: Definition) -> FeatureCommand {
    FeatureCommand::Create { id: id(), definition }
}

impl Samples for FeatureEvent {
    fn samples() -> Vec<Self> {
        vec![created(), FeatureEvent::Amended { definition: definition() }]
    }
}

#[test]
fn malformed_feature_identifiers_are_refused() {
    let longest = "a".repeat(ID_LENGTH_MAX);
    for text in ["a", "Dark.Mode_2-x", &longest] {
        assert_eq!(FeatureId::parse(text).map(|id| id.to_string()), Ok(text.to_owned()));
    }
    assert_eq!(FeatureId::parse(""), Err(Problem::Blank));
    assert_eq!(FeatureId::parse(&format!("{longest}a")), Err(Problem::TooLong { max: ID_LENGTH_MAX }));
    for text in ["a b", "a/b", "ä", "a\0", "a:b", ".", ".."] {
        assert_eq!(FeatureId::parse(text), Err(Problem::NotAnIdentifier), "{text}");
    }
}

#[test]
fn a_feature_is_created_once() {
    given::<Feature>([]).when(create(definition())).then_expect_events(vec![created()]);
    given::<Feature>([created()]).when(create(definition())).then_expect_error(FeatureError::AlreadyExists);
    for (description, problem) in
        [("a\0".to_owned(), Problem::Nul), ("ä".repeat(1_001), Problem::TooLong { max: DESCRIPTION_LENGTH_MAX })]
    {
        let unfit = Definition { description: Some(description), ..definition() };
        given::<Feature>([]).when(create(unfit)).then_expect_error(FeatureError::UnfitDescription(problem));
    }
}

#[test]
fn only_changed_values_are_recorded() {
    let amend = FeatureCommand::Amend;
    given::<Feature>([created()]).when(amend(Amendment::default())).then_expect_events(vec![]);
    let same = Amendment { stage: Some(Stage::Alpha), assignable: Some(true), ..Amendment::default() };
    given::<Feature>([created()]).when(amend(same)).then_expect_events(vec![]);
    let other = Amendment { stage: Some(Stage::Ga), description: Some(None), ..Amendment::default() };
    let definition = Definition { stage: Stage::Ga, description: None, ..definition() };
    given::<Feature>([created()])
        .when(amend(other.clone()))
        .then_expect_events(vec![FeatureEvent::Amended { definition }]);
    given::<Feature>([]).when(amend(other)).then_expect_error(FeatureError::NotFound);
}

#[test]
fn a_feature_that_is_not_assignable_is_set_only_by_force() {
    let refusing = Definition { assignable: false, ..definition() };
    assert_eq!(refusing.check_assignable(false), Err(FeatureError::NotAssignable));
    assert_eq!(refusing.check_assignable(true), Ok(()));
    assert_eq!(definition().check_assignable(false), Ok(()));
}

fn setting() -> Setting {
    Setting { feature_id: id(), target: Target::User(UserId(Uuid::from_u128(1))), switch: Switch::Enabled }
}

fn set() -> SettingEvent {
    SettingEvent::Created { id: FeatureSettingId(Uuid::from_u128(9)), setting: setting() }
}

fn removed() -> SettingEvent {
    SettingEvent::Removed { setting: setting() }
}

impl Samples for SettingEvent {
    fn samples() -> Vec<Self> {
        vec![set(), SettingEvent::Switched { switch: Switch::DontCare }, removed()]
    }

    fn alternatives() -> Vec<Self> {
        let (user, organization) = (UserId(Uuid::from_u128(1)), OrganizationId(Uuid::from_u128(2)));
        let targets = [Target::Organization(organization), Target::User(user), Target::UserIn(user, organization)];
        let of = |target| {
            let setting = Setting { target, ..setting() };
            [
                SettingEvent::Created { id: FeatureSettingId(Uuid::from_u128(9)), setting: setting.clone() },
                SettingEvent::Removed { setting },
            ]
        };
        targets.into_iter().flat_map(of).collect()
    }
}

#[test]
fn a_setting_is_made_changed_and_taken_away() {
    let make = || SettingCommand::Create { id: FeatureSettingId(Uuid::from_u128(9)), setting: setting() };
    given::<FeatureSetting>([]).when(make()).then_expect_events(vec![set()]);
    given::<FeatureSetting>([set()]).when(make()).then_expect_error(SettingError::AlreadyExists);
    given::<FeatureSetting>([set()]).when(SettingCommand::Set(Switch::Enabled)).then_expect_events(vec![]);
    let switched = || SettingEvent::Switched { switch: Switch::Disabled };
    given::<FeatureSetting>([set()]).when(SettingCommand::Set(Switch::Disabled)).then_expect_events(vec![switched()]);
    given::<FeatureSetting>([set()]).when(SettingCommand::Remove).then_expect_events(vec![removed()]);
    for command in [SettingCommand::Set(Switch::Disabled), SettingCommand::Remove] {
        given::<FeatureSetting>([]).when(command.clone()).then_expect_error(SettingError::NotFound);
        given::<FeatureSetting>([set(), removed()]).when(command).then_expect_error(SettingError::NotFound);
    }
}

#[test]
fn there_is_one_setting_of_a_feature_for_a_target() {
    let (user, organization) = (UserId(Uuid::from_u128(1)), OrganizationId(Uuid::from_u128(1)));
    let key = |target| ClaimKey::feature_setting(&id(), target);
    assert_eq!(set().claims(), [Claim::Take(key(Target::User(user)))]);
    assert_eq!(removed().claims(), [Claim::Release(key(Target::User(user)))]);
    let keys = [Target::User(user), Target::Organization(organization), Target::UserIn(user, organization)].map(key);
    assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), 3);
}

#[test]
fn the_first_setting_that_is_not_dont_care_counts() {
    use Switch::{Disabled, DontCare, Enabled};
    for (said, global, on) in [
        ([None, None], true, true),
        ([None, None], false, false),
        ([Some(Enabled), Some(Disabled)], false, true),
        ([Some(DontCare), Some(Disabled)], true, false),
        ([None, Some(Enabled)], false, true),
        ([Some(DontCare), Some(DontCare)], true, true),
    ] {
        assert_eq!(effective(said, global), on, "{said:?} {global}");
    }
}
