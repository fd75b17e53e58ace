use super::*;
use AdminChange::{LegacyIdentifier, Salutation};

/// A person with every optional text.
fn known() -> AdminEvent {
    registered_with(|r| {
        r.person.salutation = Some(3);
        r.person.suffix = some("Jr.");
        r.person.email_address = some("ada@example.org");
        r.legacy_identifier = some("L-1");
    })
}

fn amended(edit: impl FnOnce(&mut Person)) -> Vec<AdminEvent> {
    let AdminEvent::Registered(registration) = known() else { unreachable!("known() is a registration") };
    let mut person = registration.person;
    edit(&mut person);
    vec![AdminEvent::PersonAmended { person }]
}

fn set(text: PersonText, value: &str) -> AdminChange {
    AdminChange::PersonText(text, some(value))
}

fn clear(text: PersonText) -> AdminChange {
    AdminChange::PersonText(text, None)
}

#[test]
fn a_first_name_is_set() {
    given([known()])
        .when(amend([set(PersonText::FirstName, "Grace")]))
        .then_expect_events(amended(|p| p.first_name = "Grace".into()));
}

#[test]
fn a_last_name_is_set() {
    given([known()])
        .when(amend([set(PersonText::LastName, "Hopper")]))
        .then_expect_events(amended(|p| p.last_name = "Hopper".into()));
}

#[test]
fn a_suffix_is_set() {
    given([known()])
        .when(amend([set(PersonText::Suffix, "Sr.")]))
        .then_expect_events(amended(|p| p.suffix = some("Sr.")));
}

#[test]
fn a_contact_address_is_set_and_need_not_be_an_address() {
    given([known()])
        .when(amend([set(PersonText::EmailAddress, "string")]))
        .then_expect_events(amended(|p| p.email_address = some("string")));
}

#[test]
fn a_salutation_is_set() {
    given([known()]).when(amend([Salutation(Some(4))])).then_expect_events(amended(|p| p.salutation = Some(4)));
}

#[test]
fn a_legacy_identifier_is_set() {
    given([known()])
        .when(amend([LegacyIdentifier(some("L-2"))]))
        .then_expect_events(vec![AdminEvent::PartyAmended { legacy_identifier: some("L-2") }]);
}

#[test]
fn no_value_and_empty_text_remove_a_suffix() {
    for change in [clear(PersonText::Suffix), set(PersonText::Suffix, "")] {
        given([known()]).when(amend([change])).then_expect_events(amended(|p| p.suffix = None));
    }
}

#[test]
fn no_value_and_empty_text_remove_a_contact_address() {
    for change in [clear(PersonText::EmailAddress), set(PersonText::EmailAddress, "")] {
        given([known()]).when(amend([change])).then_expect_events(amended(|p| p.email_address = None));
    }
}

#[test]
fn no_value_and_empty_text_remove_a_legacy_identifier() {
    for value in [None, some("")] {
        given([known()])
            .when(amend([LegacyIdentifier(value)]))
            .then_expect_events(vec![AdminEvent::PartyAmended { legacy_identifier: None }]);
    }
}

#[test]
fn a_salutation_is_taken_away() {
    given([known()]).when(amend([Salutation(None)])).then_expect_events(amended(|p| p.salutation = None));
}

#[test]
fn removing_absent_values_records_nothing() {
    given([registered()])
        .when(amend([
            Salutation(None),
            clear(PersonText::Suffix),
            set(PersonText::EmailAddress, ""),
            LegacyIdentifier(None),
            LegacyIdentifier(some("")),
        ]))
        .then_expect_events(vec![]);
}

#[test]
fn setting_present_values_again_records_nothing() {
    given([known()])
        .when(amend([
            set(PersonText::FirstName, "Ada"),
            set(PersonText::LastName, "Lovelace"),
            set(PersonText::Suffix, "Jr."),
            set(PersonText::EmailAddress, "ada@example.org"),
            Salutation(Some(3)),
            LegacyIdentifier(some("L-1")),
        ]))
        .then_expect_events(vec![]);
}

#[test]
fn empty_texts_of_a_registration_are_none_to_an_amendment() {
    let brought = registration_with(|r| {
        r.person.suffix = some("");
        r.legacy_identifier = some("");
    });
    let events = given([]).when(register(brought)).inspect_result().expect("accepted");
    given(events).when(amend([clear(PersonText::Suffix), LegacyIdentifier(None)])).then_expect_events(vec![]);
}

#[test]
fn a_first_name_cannot_be_taken_away() {
    given([known()]).when(amend([clear(PersonText::FirstName)])).then_expect_error(misplaced(0, Problem::Required));
}

#[test]
fn a_last_name_cannot_be_taken_away() {
    given([known()]).when(amend([clear(PersonText::LastName)])).then_expect_error(misplaced(0, Problem::Required));
}

#[test]
fn a_blank_first_name_is_refused() {
    given([known()]).when(amend([set(PersonText::FirstName, " ")])).then_expect_error(unfit(0, Problem::Blank));
}

#[test]
fn a_blank_last_name_is_refused() {
    given([known()]).when(amend([set(PersonText::LastName, "")])).then_expect_error(unfit(0, Problem::Blank));
}

#[test]
fn texts_that_no_store_keeps_are_refused() {
    for text in [PersonText::FirstName, PersonText::LastName, PersonText::Suffix, PersonText::EmailAddress] {
        given([known()]).when(amend([set(text, "A\0")])).then_expect_error(unfit(0, Problem::Nul));
    }
    given([known()]).when(amend([LegacyIdentifier(some("\0"))])).then_expect_error(unfit(0, Problem::Nul));
}

#[test]
fn a_salutation_of_zero_is_refused() {
    given([known()]).when(amend([Salutation(Some(0))])).then_expect_error(unfit(0, Problem::NotACode));
}

#[test]
fn several_texts_of_the_person_are_one_record() {
    given([known()])
        .when(amend([set(PersonText::FirstName, "Grace"), Salutation(None), set(PersonText::LastName, "Hopper")]))
        .then_expect_events(amended(|p| {
            p.first_name = "Grace".into();
            p.last_name = "Hopper".into();
            p.salutation = None;
        }));
}

#[test]
fn of_two_steps_on_one_text_the_later_holds() {
    given([known()])
        .when(amend([set(PersonText::Suffix, "I"), set(PersonText::Suffix, "II")]))
        .then_expect_events(amended(|p| p.suffix = some("II")));
}

#[test]
fn a_text_that_is_changed_and_changed_back_leaves_no_trace() {
    given([known()])
        .when(amend([set(PersonText::FirstName, "Grace"), set(PersonText::FirstName, "Ada")]))
        .then_expect_events(vec![]);
}

#[test]
fn amending_the_contact_address_does_not_touch_the_account() {
    let with_account = registered_with(|r| r.account = Some(account()));
    let events = given([with_account.clone()])
        .when(amend([set(PersonText::EmailAddress, "other@example.org")]))
        .inspect_result()
        .expect("accepted");
    let state = admin([vec![with_account], events].concat());
    assert_eq!(state.profile().and_then(|profile| profile.account.clone()), Some(account()));
}
