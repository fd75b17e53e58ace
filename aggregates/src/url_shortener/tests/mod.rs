//! Given, when, then for short links and their visits.

mod targets;

use super::visits::{RecordVisits, UrlVisits, VisitsEvent};
use super::*;
use crate::samples::Samples;
use chrono::TimeDelta;
use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

const ID: UrlShortenerId = UrlShortenerId(Uuid::from_u128(12));

fn given<A>(events: impl IntoIterator<Item = A::Event>) -> AggregateTestExecutor<A>
where
    A: Aggregate<Services = ()>,
{
    TestFramework::with(()).given(events.into_iter().collect())
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn later() -> DateTime<Utc> {
    now() + TimeDelta::days(1)
}

fn hosts() -> LinkHosts {
    LinkHosts::parse("links.example.org, App.Example.org:8443,").expect("hosts")
}

fn limits() -> Limits {
    Limits { hosts: hosts(), now: now() }
}

fn new() -> NewLink {
    NewLink {
        id: ID,
        organization_id: OrganizationId(Uuid::from_u128(10)),
        netloc: "links.example.org".into(),
        full_path: "/visits/7?from=letter#top".into(),
        expires_at: Some(later()),
    }
}

fn create(new: NewLink) -> UrlShortenerCommand {
    UrlShortenerCommand::Create { new, code: ShortCode::of(1), limits: limits() }
}

fn target(netloc: &str, full_path: &str) -> Target {
    Target { netloc: netloc.into(), full_path: full_path.into() }
}

fn link() -> Link {
    let NewLink { organization_id, netloc, full_path, expires_at, .. } = new();
    Link { organization_id, code: ShortCode::of(1), target: Target { netloc, full_path }, expires_at }
}

fn created() -> UrlShortenerEvent {
    UrlShortenerEvent::Created { id: ID, link: link() }
}

fn amend(amendment: Amendment) -> UrlShortenerCommand {
    UrlShortenerCommand::Amend { amendment, limits: limits() }
}

fn invalid(findings: impl IntoIterator<Item = (&'static str, Problem)>) -> UrlShortenerError {
    UrlShortenerError::Invalid(findings.into_iter().map(|(field, problem)| problem.of(field)).collect())
}

impl Samples for UrlShortenerEvent {
    fn samples() -> Vec<Self> {
        let amended = target("app.example.org:8443", "/");
        vec![created(), UrlShortenerEvent::Amended { target: amended, expires_at: Some(later()) }]
    }
}

impl Samples for VisitsEvent {
    fn samples() -> Vec<Self> {
        vec![VisitsEvent::Counted { visits: 3, since: now() }]
    }
}

#[test]
fn a_link_is_created_once() {
    given::<UrlShortener>([]).when(create(new())).then_expect_events(vec![created()]);
    given::<UrlShortener>([created()]).when(create(new())).then_expect_error(UrlShortenerError::AlreadyExists);
}

#[test]
fn a_code_is_taken_for_good() {
    assert_eq!(created().claims(), [Claim::Take(ClaimKey::short_code(&ShortCode::of(1)))]);
    let amended = UrlShortenerEvent::Amended { target: link().target, expires_at: None };
    assert!(amended.claims().is_empty());
}

#[test]
fn everything_that_is_wrong_with_a_new_link_is_named() {
    let wrong = NewLink { netloc: "evil.example".into(), full_path: "a".into(), expires_at: Some(now()), ..new() };
    let findings = [("netloc", Problem::UnlistedHost), ("fullPath", Problem::NotAPath), ("expiresAt", Problem::Past)];
    given::<UrlShortener>([]).when(create(wrong)).then_expect_error(invalid(findings));
}

#[test]
fn a_link_ends_in_the_future_or_never() {
    let ending = |expires_at| create(NewLink { expires_at, ..new() });
    let created = |expires_at| UrlShortenerEvent::Created { id: ID, link: Link { expires_at, ..link() } };
    for end in [None, Some(now() + TimeDelta::milliseconds(1))] {
        given::<UrlShortener>([]).when(ending(end)).then_expect_events(vec![created(end)]);
    }
    for end in [now(), now() - TimeDelta::days(1)] {
        let refusal = invalid([("expiresAt", Problem::Past)]);
        given::<UrlShortener>([]).when(ending(Some(end))).then_expect_error(refusal);
    }
    assert!(!link().is_expired(later() - TimeDelta::milliseconds(1)) && link().is_expired(later()));
    assert!(!Link { expires_at: None, ..link() }.is_expired(later()));
}

#[test]
fn only_changes_of_a_link_are_recorded() {
    let amended = |target, expires_at| vec![UrlShortenerEvent::Amended { target, expires_at }];
    let path = link().target.full_path;
    for (amendment, events) in [
        (Amendment::default(), vec![]),
        (Amendment { netloc: Some("LINKS.example.org".into()), ..Amendment::default() }, vec![]),
        (Amendment { expires_at: Some(Some(later())), ..Amendment::default() }, vec![]),
        (Amendment { expires_at: Some(None), ..Amendment::default() }, amended(link().target, None)),
        (
            Amendment { full_path: Some("/b".into()), ..Amendment::default() },
            amended(target("links.example.org", "/b"), Some(later())),
        ),
        (
            Amendment { netloc: Some("app.example.org:8443".into()), ..Amendment::default() },
            amended(target("app.example.org:8443", &path), Some(later())),
        ),
    ] {
        given::<UrlShortener>([created()]).when(amend(amendment)).then_expect_events(events);
    }
    given::<UrlShortener>([]).when(amend(Amendment::default())).then_expect_error(UrlShortenerError::NotFound);
}

#[test]
fn an_amendment_is_checked_like_a_new_link() {
    let wrong = Amendment {
        netloc: Some("evil.example".into()),
        full_path: Some("//evil.example".into()),
        expires_at: Some(Some(now())),
    };
    let findings = [("netloc", Problem::UnlistedHost), ("fullPath", Problem::NotAPath), ("expiresAt", Problem::Past)];
    given::<UrlShortener>([created()]).when(amend(wrong)).then_expect_error(invalid(findings));
}

#[test]
fn a_host_that_is_no_longer_listed_gets_no_other_path() {
    let amend = |amendment| {
        let limits = Limits { hosts: LinkHosts::default(), now: now() };
        given::<UrlShortener>([created()]).when(UrlShortenerCommand::Amend { amendment, limits })
    };
    let other_path = Amendment { full_path: Some("/b".into()), ..Amendment::default() };
    amend(other_path).then_expect_error(invalid([("netloc", Problem::UnlistedHost)]));
    let ended = UrlShortenerEvent::Amended { target: link().target, expires_at: None };
    amend(Amendment { expires_at: Some(None), ..Amendment::default() }).then_expect_events(vec![ended]);
}

#[test]
fn visits_are_recorded_as_often_as_they_are_counted() {
    let counted = || VisitsEvent::Counted { visits: 3, since: now() };
    let record = |visits| RecordVisits { visits, since: now() };
    given::<UrlVisits>([]).when(record(3)).then_expect_events(vec![counted()]);
    given::<UrlVisits>([counted()]).when(record(3)).then_expect_events(vec![counted()]);
    given::<UrlVisits>([]).when(record(0)).then_expect_events(vec![]);
}

#[test]
fn a_code_has_eight_characters_that_are_told_apart() {
    assert_eq!(ShortCode::of(0).as_str(), "11111111");
    assert_eq!(ShortCode::of(57).as_str(), "z1111111");
    for text in ["", "1111111", "111111111", "1111111O", "1111111l", "1111111I", "11111110", "1111111-", "1111111ä"] {
        assert_eq!(ShortCode::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn a_code_is_read_back_in_its_own_letter_case(number in any::<u64>()) {
        let code = ShortCode::of(number);
        prop_assert_eq!(ShortCode::parse(code.as_str()), Some(code.clone()));
        let lower = code.as_str().to_lowercase();
        prop_assert_eq!(ShortCode::parse(&lower).as_ref() == Some(&code), lower == code.as_str());
    }

    #[test]
    fn neighbouring_numbers_have_codes_of_their_own(number in 0..u64::MAX - 100) {
        let codes: BTreeSet<_> = (number..number + 100).map(|number| ShortCode::of(number).to_string()).collect();
        prop_assert_eq!(codes.len(), 100);
    }
}
