use super::*;
use serde_json::{Value, from_str};

fn wish(channel: Channel, wishes: &Value) -> UserCommand {
    let wishes = wishes.as_object().expect("an object").clone();
    UserCommand::Amend(Box::new(Amendment {
        preferences: Some(Preferences::from([(channel, wishes)])),
        ..Amendment::default()
    }))
}

fn wished(channel: Channel, wishes: &Value) -> UserEvent {
    UserEvent::PreferencesAmended {
        preferences: Preferences::from([(channel, wishes.as_object().expect("an object").clone())]),
    }
}

fn is_refused(wishes: &Value, problem: Problem) {
    let finding = Finding { field: "communicationPreferences".into(), problem };
    given([created()]).when(wish(Channel::Sms, wishes)).then_expect_error(UserError::Invalid(vec![finding]));
}

fn is_kept(wishes: &Value) {
    given([created()]).when(wish(Channel::Sms, wishes)).then_expect_events(vec![wished(Channel::Sms, wishes)]);
}

/// As many members as requested.
fn members(number: usize) -> Value {
    (0..number).map(|number| (format!("m{number}"), json!(true))).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn preferences_hold_sixteen_kibibytes_at_most() {
    let frame = r#"{"sms":{"a":""}}"#.len();
    is_kept(&json!({ "a": "x".repeat(PREFERENCES_BYTES_MAX - frame) }));
    let large = json!({ "a": "x".repeat(PREFERENCES_BYTES_MAX - frame + 1) });
    is_refused(&large, Problem::TooLarge { max: PREFERENCES_BYTES_MAX });
    // Present members count as well.
    let half = json!({ "a": "x".repeat(PREFERENCES_BYTES_MAX / 2) });
    let finding =
        Finding { field: "communicationPreferences".into(), problem: Problem::TooLarge { max: PREFERENCES_BYTES_MAX } };
    given([created(), wished(Channel::Sms, &half)])
        .when(wish(Channel::Email, &half))
        .then_expect_error(UserError::Invalid(vec![finding]));
}

#[test]
fn preferences_have_a_hundred_members_at_most_in_all() {
    is_kept(&members(PREFERENCES_MEMBERS_MAX - 1));
    is_refused(&members(PREFERENCES_MEMBERS_MAX), Problem::TooManyMembers { max: PREFERENCES_MEMBERS_MAX });
    let nested = json!({ "list": [members(50), members(50)] });
    is_refused(&nested, Problem::TooManyMembers { max: PREFERENCES_MEMBERS_MAX });
}

#[test]
fn preferences_are_eight_levels_deep_at_most() {
    let nested = |levels: usize| (0..levels).fold(json!(true), |inner, _| json!({ "a": inner }));
    is_kept(&nested(PREFERENCES_DEPTH_MAX - 1));
    is_refused(&nested(PREFERENCES_DEPTH_MAX), Problem::TooDeep { max: PREFERENCES_DEPTH_MAX });
    let lists = (0..PREFERENCES_DEPTH_MAX).fold(json!([]), |inner, _| json!([inner]));
    is_refused(&json!({ "a": lists }), Problem::TooDeep { max: PREFERENCES_DEPTH_MAX });
}

#[test]
fn numbers_are_kept_as_every_reader_has_them() {
    for (given_as, kept) in [
        ("1e2", "100"),
        ("100.0", "100"),
        ("-0.0", "0"),
        ("-0", "0"),
        ("-7", "-7"),
        ("0.5", "0.5"),
        ("1e-7", "1e-7"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740992", "-9007199254740992"),
        ("9007199254740992.0", "9007199254740992"),
    ] {
        let wishes: Value = from_str(&format!(r#"{{"a": [{given_as}]}}"#)).expect("JSON");
        let plain: Value = from_str(&format!(r#"{{"a": [{kept}]}}"#)).expect("JSON");
        given([created()]).when(wish(Channel::Web, &wishes)).then_expect_events(vec![wished(Channel::Web, &plain)]);
    }
    for beyond in ["9007199254740993", "-9007199254740993", "18446744073709551615", "1e300", "9007199254740994.0"] {
        is_refused(&from_str(&format!(r#"{{"a": {beyond}}}"#)).expect("JSON"), Problem::InexactNumber);
    }
}

#[test]
fn another_spelling_of_the_same_numbers_is_no_change() {
    given([created(), wished(Channel::Sms, &json!({ "a": 100 }))])
        .when(wish(Channel::Sms, &json!({ "a": 100.0 })))
        .then_expect_events(vec![]);
}

proptest::proptest! {
    #[test]
    fn a_fraction_is_read_as_it_is_written(number in proptest::prop_oneof![-1e15..1e15_f64, -1.0..1.0, proptest::num::f64::NORMAL]) {
        let user = User::Present(Box::new(profile([created()])));
        let decided = crate::Decide::decide(&user, wish(Channel::Sms, &json!({ "a": number })));
        proptest::prop_assert_eq!(decided.is_ok(), number.abs() <= 9_007_199_254_740_992.0);
        let events = decided.unwrap_or_default();
        let written = serde_json::to_string(&events).expect("JSON");
        let read: Vec<UserEvent> = from_str(&written).expect("its own shape");
        proptest::prop_assert!(read == events, "{}", written);
    }
}
