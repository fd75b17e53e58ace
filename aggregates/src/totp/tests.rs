//! Given, when, then for second factors.

use super::*;
use crate::samples::Samples;
use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

fn given(events: impl IntoIterator<Item = TotpEvent>) -> AggregateTestExecutor<Totp> {
    TestFramework::with(()).given(events.into_iter().collect())
}

fn user_id() -> UserId {
    UserId(Uuid::from_u128(2))
}

fn id() -> TotpId {
    TotpId(Uuid::from_u128(1))
}

fn created() -> TotpEvent {
    TotpEvent::Created { id: id(), user_id: user_id(), secret: "JBSWY3DP".into() }
}

fn create() -> TotpCommand {
    TotpCommand::Create { id: id(), user_id: user_id(), secret: "JBSWY3DP".into() }
}

fn enabled(step: u64) -> TotpEvent {
    TotpEvent::Enabled { user_id: user_id(), step, recovery_digests: vec!["d0".into(), "d1".into()] }
}

fn enable(steps: [u64; 2]) -> TotpCommand {
    TotpCommand::Enable { steps, recovery_digests: vec!["d0".into(), "d1".into()] }
}

fn recovered(number: usize) -> TotpEvent {
    TotpEvent::RecoveryCodeUsed { number }
}

fn disabled() -> TotpEvent {
    TotpEvent::Disabled { user_id: user_id() }
}

fn deleted() -> TotpEvent {
    TotpEvent::Deleted { user_id: Some(user_id()) }
}

impl Samples for TotpEvent {
    fn samples() -> Vec<Self> {
        vec![created(), enabled(11), TotpEvent::CodeUsed { step: 12 }, recovered(1), disabled(), deleted()]
    }
}

#[test]
fn two_consecutive_codes_enable_a_configuration() {
    given([]).when(create()).then_expect_events(vec![created()]);
    given([created()]).when(create()).then_expect_error(TotpError::AlreadyExists);
    given([created()]).when(enable([10, 11])).then_expect_events(vec![enabled(11)]);
    for steps in [[10, 10], [11, 10], [10, 12], [u64::MAX, 0]] {
        given([created()]).when(enable(steps)).then_expect_error(TotpError::NotConsecutive);
    }
    given([]).when(enable([10, 11])).then_expect_error(TotpError::NotFound);
}

#[test]
fn no_code_is_accepted_twice_nor_one_before_it() {
    let in_force = || vec![created(), enabled(11)];
    for step in [9, 10, 11] {
        given(in_force()).when(TotpCommand::Use { step }).then_expect_error(TotpError::UsedCode);
    }
    let used = |step| TotpEvent::CodeUsed { step };
    given(in_force()).when(TotpCommand::Use { step: 12 }).then_expect_events(vec![used(12)]);
    given([in_force(), vec![used(12)]].concat())
        .when(TotpCommand::Use { step: 12 })
        .then_expect_error(TotpError::UsedCode);
    given([created()]).when(TotpCommand::Use { step: 12 }).then_expect_error(TotpError::NotEnabled);
    // The step stays used after the factor was disabled in between.
    let again = [in_force(), vec![used(12), disabled()]].concat();
    given(again.clone()).when(enable([12, 13])).then_expect_error(TotpError::UsedCode);
    given(again).when(enable([13, 14])).then_expect_events(vec![enabled(14)]);
}

#[test]
fn a_recovery_code_is_good_once_and_until_there_are_others() {
    let recover = |digest: &str| TotpCommand::Recover { digest: digest.into() };
    let in_force = || vec![created(), enabled(11)];
    given(in_force()).when(recover("d1")).then_expect_events(vec![recovered(1)]);
    given(in_force()).when(recover("d2")).then_expect_error(TotpError::UsedCode);
    let used = [in_force(), vec![recovered(1)]].concat();
    given(used.clone()).when(recover("d1")).then_expect_error(TotpError::UsedCode);
    given(used.clone()).when(recover("d0")).then_expect_events(vec![recovered(0)]);
    given([used.clone(), vec![disabled()]].concat()).when(recover("d0")).then_expect_error(TotpError::NotEnabled);
    let others = TotpEvent::Enabled { user_id: user_id(), step: 21, recovery_digests: vec!["d9".into()] };
    let again = [used, vec![disabled(), others]].concat();
    given(again.clone()).when(recover("d0")).then_expect_error(TotpError::UsedCode);
    given(again).when(recover("d9")).then_expect_events(vec![recovered(0)]);
    given([created()]).when(recover("d0")).then_expect_error(TotpError::NotEnabled);
}

#[test]
fn an_enabled_configuration_is_disabled_before_it_is_deleted() {
    let in_force = || vec![created(), enabled(11)];
    given(in_force()).when(TotpCommand::Delete).then_expect_error(TotpError::Enabled);
    given(in_force()).when(TotpCommand::Disable).then_expect_events(vec![disabled()]);
    given([created()]).when(TotpCommand::Disable).then_expect_events(vec![]);
    given([created()]).when(TotpCommand::Delete).then_expect_events(vec![deleted()]);
    let former = [in_force(), vec![disabled()]].concat();
    given(former).when(TotpCommand::Delete).then_expect_events(vec![TotpEvent::Deleted { user_id: None }]);
    given([created(), deleted()]).when(TotpCommand::Delete).then_expect_error(TotpError::NotFound);
}

#[test]
fn a_user_has_one_enabled_configuration() {
    let key = || ClaimKey::enabled_totp(user_id());
    assert!(enabled(11).claims().contains(&Claim::Take(key())));
    assert_eq!(disabled().claims(), [Claim::Release(key())]);
}

#[test]
fn a_user_has_one_pending_configuration() {
    let key = || ClaimKey::pending_totp(user_id());
    assert_eq!(created().claims(), [Claim::Take(key())]);
    assert!(enabled(11).claims().contains(&Claim::Release(key())));
    assert_eq!(deleted().claims(), [Claim::Release(key())]);
    let former: TotpEvent = serde_json::from_str(r#"{"type":"totp-configuration.deleted"}"#).expect("the former shape");
    assert_eq!(former.claims(), []);
}

#[test]
fn neither_debug_output_nor_snapshots_show_a_secret() {
    let mut state = Totp::default();
    state.apply(created());
    state.apply(enabled(11));
    let printed = format!("{:?} {state:?} {:?} {:?}", created(), create(), enable([10, 11]));
    let written = serde_json::to_string(&state).expect("JSON");
    for secret in ["JBSW", "d0"] {
        assert!(!printed.contains(secret) && !written.contains(secret), "{printed} {written}");
    }
}
