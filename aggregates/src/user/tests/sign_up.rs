use super::*;
use crate::message;
use crate::one_time_code::VALIDITY;
use chrono::{DateTime, TimeDelta, Utc};

const REQUEST: OnboardingRequestId = OnboardingRequestId(Uuid::from_u128(8));

/// Ada's answers.
pub(super) fn enrollment() -> Enrollment {
    Enrollment {
        data: Some(
            [("weight".to_owned(), json!(82)), ("notes".to_owned(), json!(["Likes sums."]))].into_iter().collect(),
        ),
        gender: Some(Gender::Female),
        preferred_name: Some("Gussie".into()),
        notifications: vec![message::Channel::Sms, message::Channel::Email],
    }
}

/// So many seconds after the first sign-up.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
}

fn in_state(state: UserState) -> UserEvent {
    created_with(|creation| (creation.state, creation.contacts.email_verified) = (state, false))
}

fn register(seconds: i64) -> UserCommand {
    UserCommand::Register { hash: "new".into(), onboarding: Some(REQUEST), at: at(seconds) }
}

fn registered(seconds: i64) -> UserEvent {
    UserEvent::Registered { password_hash: "new".into(), onboarding_id: Some(REQUEST), at: at(seconds) }
}

fn told(enrollment: Enrollment) -> UserEvent {
    UserEvent::Enrolled { enrollment }
}

fn enroll(enrollment: Enrollment) -> UserCommand {
    UserCommand::Enroll(Box::new(enrollment))
}

fn corrected(former: &str, to: &str) -> UserEvent {
    UserEvent::SignUpCorrected { former: email(former), email: email(to) }
}

#[test]
fn an_invited_user_signs_up_by_a_first_password() {
    given([in_state(UserState::Init)]).when(register(0)).then_expect_events(vec![registered(0)]);
    let after = profile([in_state(UserState::Init), registered(0)]);
    assert_eq!(
        (after.state, after.onboarding, after.registered_at),
        (UserState::Registered, Some(REQUEST), Some(at(0)))
    );
    assert_eq!((after.password_hash.as_deref(), after.epoch), (Some("new"), 0));
}

#[test]
fn an_invitation_is_used_again_once_the_code_of_the_last_sign_up_has_expired() {
    let history = || [in_state(UserState::Init), registered(0)];
    let validity = VALIDITY.num_seconds();
    given(history()).when(register(validity - 1)).then_expect_error(UserError::SigningUp);
    given(history()).when(register(validity)).then_expect_events(vec![registered(validity)]);
    // An admin has set the first password, so no code is out.
    given([in_state(UserState::Registered)]).when(register(0)).then_expect_events(vec![registered(0)]);
}

#[test]
fn accounts_that_are_in_use_take_no_sign_up() {
    for state in
        [UserState::Confirmed, UserState::ForceResetPassword, UserState::Disabled, UserState::RegisteredDisabled]
    {
        given([in_state(state)]).when(register(0)).then_expect_error(UserError::HasAccount);
    }
    given([created(), archived()]).when(register(0)).then_expect_error(UserError::Archived);
    given([]).when(register(0)).then_expect_error(UserError::NotFound);
}

#[test]
fn a_registered_user_may_sign_in_once_the_sign_up_is_complete() {
    let complete = || UserCommand::CompleteSignUp;
    given([in_state(UserState::Registered)]).when(complete()).then_expect_events(vec![UserEvent::SignUpConfirmed {}]);
    let after = profile([in_state(UserState::Registered), UserEvent::SignUpConfirmed {}]);
    assert_eq!(after.state, UserState::Confirmed);
    for state in [UserState::Confirmed, UserState::ForceResetPassword] {
        given([in_state(state)]).when(complete()).then_expect_events(vec![]);
    }
    for state in [UserState::Init, UserState::Disabled, UserState::RegisteredDisabled] {
        given([in_state(state)]).when(complete()).then_expect_error(UserError::NotRegistered);
    }
}

#[test]
fn answers_of_a_person_are_recorded_once() {
    given([created()]).when(enroll(enrollment())).then_expect_events(vec![told(enrollment())]);
    given([created(), told(enrollment())]).when(enroll(enrollment())).then_expect_events(vec![]);
    given([created()]).when(enroll(Enrollment::default())).then_expect_events(vec![]);
    assert_eq!(profile([created(), told(enrollment())]).enrollment.as_deref(), Some(&enrollment()));
}

#[test]
fn answers_of_a_person_are_written_in_one_way() {
    let given_form = [("weight".to_owned(), json!(82.0))].into_iter().collect();
    let channels = vec![message::Channel::Sms, message::Channel::Sms];
    let loose = Enrollment {
        data: Some(given_form),
        gender: None,
        preferred_name: Some(" Gussie ".into()),
        notifications: channels,
    };
    let checked = loose.checked().expect("it is fit");
    let form: serde_json::Map<_, _> = [("weight".to_owned(), json!(82))].into_iter().collect();
    assert_eq!(checked.data, Some(form));
    assert_eq!((checked.preferred_name.as_deref(), checked.notifications.len()), (Some("Gussie"), 1));
    let empty = Enrollment { data: Some(serde_json::Map::new()), ..Enrollment::default() };
    assert_eq!(empty.checked(), Ok(Enrollment::default()));
}

#[test]
fn every_unfit_answer_of_a_person_is_named() {
    let of_form = |form: serde_json::Value| {
        let form = form.as_object().expect("an object").clone();
        Enrollment { data: Some(form), preferred_name: Some("A\u{202E}da".into()), ..Enrollment::default() }
    };
    let deep = (0..16).fold(json!({}), |inner, _| json!({ "a": inner }));
    let many: serde_json::Map<_, _> = (0..1_001).map(|number| (number.to_string(), json!(1))).collect();
    for (form, problem) in [
        (json!({ "a": "x".repeat(65_536) }), Problem::TooLarge { max: 65_536 }),
        (deep, Problem::TooDeep { max: 16 }),
        (many.into(), Problem::TooManyMembers { max: 1_000 }),
        (json!({ "a": 9_007_199_254_740_993_u64 }), Problem::InexactNumber),
        (json!({ "a": [{ "b": "\0" }] }), Problem::Nul),
        (json!({ "a\u{202E}": 1 }), Problem::Override),
    ] {
        let findings = vec![problem.of("enrollmentData"), Problem::Invisible.of("preferredName")];
        given([created()]).when(enroll(of_form(form))).then_expect_error(UserError::Invalid(findings));
    }
}

#[test]
fn the_address_of_an_open_sign_up_is_corrected() {
    let correct = |to: &str| UserCommand::CorrectEmail(email(to));
    let open = || in_state(UserState::Registered);
    let event = || corrected("ada@example.com", "king@example.com");
    given([open()]).when(correct("king@example.com")).then_expect_events(vec![event()]);
    given([open()]).when(correct("ADA@example.com")).then_expect_events(vec![]);
    let after = profile([open(), event()]);
    assert_eq!((after.contacts.email, after.contacts.email_verified), (Some(email("king@example.com")), false));
    assert_eq!(after.corrections, 1);
    let keys = ["ada@example.com", "king@example.com"].map(|address| ClaimKey::account_email(&email(address)));
    let [former, new] = keys;
    assert_eq!(event().claims(), [Claim::Release(former), Claim::Take(new)]);
}

#[test]
fn an_address_is_corrected_three_times_at_most() {
    let addresses = ["ada@example.com", "a@example.com", "b@example.com", "c@example.com"];
    let corrections = addresses.windows(2).map(|pair| corrected(pair[0], pair[1]));
    let history: Vec<_> = std::iter::once(in_state(UserState::Registered)).chain(corrections).collect();
    given(history)
        .when(UserCommand::CorrectEmail(email("d@example.com")))
        .then_expect_error(UserError::TooManyCorrections);
}

#[test]
fn only_an_address_of_an_open_sign_up_by_code_is_corrected() {
    let correct = || UserCommand::CorrectEmail(email("king@example.com"));
    for state in [UserState::Init, UserState::Confirmed, UserState::RegisteredDisabled] {
        given([in_state(state)]).when(correct()).then_expect_error(UserError::NotRegistered);
    }
    let by_phone = created_with(|creation| {
        (creation.state, creation.username) = (UserState::Registered, Username::Phone);
        creation.contacts.phone = Some(phone("+12025550123"));
    });
    given([by_phone]).when(correct()).then_expect_error(UserError::NotRegistered);
    // The organization chose this address.
    given([in_state(UserState::Init), registered(0)]).when(correct()).then_expect_error(UserError::NotRegistered);
}
