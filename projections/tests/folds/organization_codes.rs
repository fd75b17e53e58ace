//! Sign-up codes, and the people who sign up by them.

use crate::given::{Recorder, history, time};
use crate::users;
use registrar_aggregates::organization_code::{CodeSpelling, OrganizationCodeEvent, OrganizationCodeId, Terms};
use registrar_aggregates::user::UserEvent;
use registrar_aggregates::values::{OrganizationId, UserId};
use registrar_projections::organization_codes::{OrganizationCodeDocument, SignUpCountDocument};
use registrar_projections::{DocumentKey, RecordedEvent, UserDocument};
use uuid::Uuid;

const CODE: &str = "spring-2026";

fn terms() -> Terms {
    let organization_id = OrganizationId(Uuid::from_u128(10));
    Terms { organization_id, individual_group_id: None, expires_at: None, enrollment_schema: None }
}

fn code() -> OrganizationCodeEvent {
    let spelling = CodeSpelling::parse("Spring-2026").expect("a code");
    OrganizationCodeEvent::Created { id: spelling.id(), spelling, terms: terms() }
}

fn person(number: u128, code: Option<&str>) -> (String, UserEvent) {
    let id = UserId(Uuid::from_u128(number));
    let created = users::created_with(|creation| {
        creation.id = id;
        creation.sign_up_code = code.map(|code| OrganizationCodeId::parse(code).expect("a code"));
    });
    (id.to_string(), created)
}

/// Two people who sign up by a code, which is amended in between, one by another code, and one by none.
fn happened() -> Vec<RecordedEvent> {
    let mut recorder = Recorder::default();
    let [first, second, other, invited] =
        [person(1, Some(CODE)), person(2, Some("SPRING-2026")), person(3, Some("autumn")), person(4, None)];
    let amended = OrganizationCodeEvent::Amended { terms: Terms { expires_at: Some(time(9)), ..terms() } };
    vec![
        recorder.record(CODE, code()),
        recorder.record(&first.0, first.1),
        recorder.record(CODE, amended),
        recorder.record(&second.0, second.1),
        recorder.record(&other.0, other.1),
        recorder.record(&invited.0, invited.1),
    ]
}

#[test]
fn people_count_for_the_code_by_which_they_signed_up() {
    let after = |number: usize| {
        let count = history(happened()[..number].to_vec()).get::<SignUpCountDocument>(CODE);
        count.map(|count| count.sign_ups)
    };
    assert_eq!([1, 2, 3, 4, 6].map(after), [None, Some(1), Some(1), Some(2), Some(2)]);
}

#[test]
fn a_sign_up_leaves_the_stamps_of_its_code() {
    let after = |number: usize| history(happened()[..number].to_vec()).get::<OrganizationCodeDocument>(CODE).unwrap();
    let stamps = |found: &OrganizationCodeDocument| (found.version, found.created_at, found.updated_at);
    assert_eq!(stamps(&after(2)), (1, time(1), time(1)));
    let last = after(6);
    assert_eq!(stamps(&last), (2, time(1), time(3)));
    assert_eq!((last.spelling.to_string(), last.terms.expires_at), ("Spring-2026".to_owned(), Some(time(9))));
}

#[test]
fn only_a_person_with_a_code_is_folded_upon_its_count() {
    let wanted = |code| {
        let (id, created) = person(1, code);
        registrar_projections::wants(&Recorder::default().record(&id, created))
    };
    let count = DocumentKey::of::<SignUpCountDocument>(CODE);
    assert!(wanted(Some(CODE)).contains(&count));
    assert!(!wanted(None).contains(&count));
}

#[test]
fn a_person_keeps_the_code() {
    let (id, created) = person(1, Some("Spring-2026"));
    let user: UserDocument = history([Recorder::default().record(&id, created)]).get(&id).unwrap();
    assert_eq!(user.sign_up_code.as_ref().map(OrganizationCodeId::as_str), Some(CODE));
}
