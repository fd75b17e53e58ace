use super::*;

/// Numbers 1 and 2.
fn reachable() -> AdminEvent {
    registered_with(|r| r.phone_numbers = vec![phone_number(1), phone_number(2)])
}

fn change(edits: impl IntoIterator<Item = PhoneNumberEdit>) -> AdminCommand {
    AdminCommand::Amend(edits.into_iter().map(AdminChange::PhoneNumbers).collect(), Granter::System)
}

fn insert(at: impl Into<Option<usize>>, phone_number: PhoneNumber) -> PhoneNumberEdit {
    PhoneNumberEdit::Insert { at: at.into(), phone_number }
}

fn replace(at: usize, phone_number: PhoneNumber) -> PhoneNumberEdit {
    PhoneNumberEdit::Replace { at, phone_number }
}

fn remove(at: usize) -> PhoneNumberEdit {
    PhoneNumberEdit::Remove { at }
}

fn set(at: usize, text: PhoneNumberText, value: &str) -> PhoneNumberEdit {
    PhoneNumberEdit::Text { at, text, value: some(value) }
}

fn clear(at: usize, text: PhoneNumberText) -> PhoneNumberEdit {
    PhoneNumberEdit::Text { at, text, value: None }
}

fn kind(at: usize, phone_type: u32) -> PhoneNumberEdit {
    PhoneNumberEdit::Kind { at, phone_type }
}

fn added(phone_number: PhoneNumber, index: usize) -> AdminEvent {
    AdminEvent::PhoneNumberAdded { phone_number, index }
}

fn amended(number: u128, edit: impl FnOnce(&mut PhoneNumberDetails)) -> AdminEvent {
    AdminEvent::PhoneNumberAmended { phone_number: phone_number_with(number, edit) }
}

fn removed(number: u128) -> AdminEvent {
    AdminEvent::PhoneNumberRemoved { phone_number_id: phone_number(number).id }
}

#[test]
fn a_number_without_a_place_is_appended() {
    given([reachable()])
        .when(change([insert(None, phone_number(3))]))
        .then_expect_events(vec![added(phone_number(3), 2)]);
}

#[test]
fn a_number_is_inserted_before_a_place() {
    given([reachable()]).when(change([insert(0, phone_number(3))])).then_expect_events(vec![added(phone_number(3), 0)]);
}

#[test]
fn a_number_is_inserted_at_the_place_behind_the_last() {
    given([reachable()]).when(change([insert(2, phone_number(3))])).then_expect_events(vec![added(phone_number(3), 2)]);
}

#[test]
fn a_replaced_number_is_gone_and_another_stands_in_its_place() {
    given([reachable()])
        .when(change([replace(0, phone_number(3))]))
        .then_expect_events(vec![removed(1), added(phone_number(3), 0)]);
}

#[test]
fn a_number_is_removed() {
    given([reachable()]).when(change([remove(0)])).then_expect_events(vec![removed(1)]);
}

#[test]
fn all_numbers_are_removed_one_event_each() {
    given([reachable()]).when(change([PhoneNumberEdit::Clear])).then_expect_events(vec![removed(1), removed(2)]);
}

#[test]
fn clearing_no_numbers_records_nothing() {
    given([registered()]).when(change([PhoneNumberEdit::Clear])).then_expect_events(vec![]);
}

#[test]
fn the_number_itself_is_set() {
    given([reachable()])
        .when(change([set(0, PhoneNumberText::PhoneNumber, "+44 20 7946 0000")]))
        .then_expect_events(vec![amended(1, |n| n.phone_number = some("+44 20 7946 0000"))]);
}

#[test]
fn an_extension_is_set() {
    given([reachable()])
        .when(change([set(1, PhoneNumberText::Extension, "7")]))
        .then_expect_events(vec![amended(2, |n| n.extension = some("7"))]);
}

#[test]
fn no_value_and_empty_text_remove_the_texts_of_a_number() {
    let full = || {
        registered_with(|r| {
            r.phone_numbers = vec![phone_number_with(1, |n| {
                n.phone_number = some("0");
                n.extension = some("7");
            })];
        })
    };
    use PhoneNumberText::{Extension, PhoneNumber};
    for edit in [clear(0, PhoneNumber), set(0, PhoneNumber, "")] {
        given([full()]).when(change([edit])).then_expect_events(vec![amended(1, |n| n.extension = some("7"))]);
    }
    for edit in [clear(0, Extension), set(0, Extension, "")] {
        given([full()]).when(change([edit])).then_expect_events(vec![amended(1, |n| n.phone_number = some("0"))]);
    }
}

#[test]
fn the_kind_of_a_number_is_set() {
    given([reachable()]).when(change([kind(1, 4)])).then_expect_events(vec![amended(2, |n| n.phone_type = 4)]);
}

#[test]
fn setting_present_values_again_records_nothing() {
    given([reachable()])
        .when(change([kind(0, 1), clear(0, PhoneNumberText::PhoneNumber), set(1, PhoneNumberText::Extension, "")]))
        .then_expect_events(vec![]);
}

#[test]
fn an_empty_text_of_a_brought_number_is_recorded_as_none() {
    let empty = || {
        phone_number_with(3, |n| {
            n.phone_number = some("");
            n.extension = some("");
        })
    };
    given([reachable()]).when(change([insert(None, empty())])).then_expect_events(vec![added(phone_number(3), 2)]);
    given([reachable()])
        .when(change([replace(1, empty())]))
        .then_expect_events(vec![removed(2), added(phone_number(3), 1)]);
}

#[test]
fn places_behind_the_last_number_are_misplaced() {
    for edit in [
        replace(2, phone_number(3)),
        remove(2),
        set(2, PhoneNumberText::Extension, "7"),
        clear(2, PhoneNumberText::Extension),
        kind(2, 1),
    ] {
        given([reachable()]).when(change([edit])).then_expect_error(misplaced(0, none_there(2)));
    }
    given([reachable()]).when(change([insert(3, phone_number(3))])).then_expect_error(misplaced(0, none_there(2)));
}

#[test]
fn a_phone_type_of_zero_is_refused() {
    let wrong = || phone_number_with(3, |n| n.phone_type = 0);
    for edit in [kind(0, 0), insert(None, wrong()), replace(0, wrong())] {
        given([reachable()]).when(change([edit])).then_expect_error(unfit(0, Problem::NotACode));
    }
}

#[test]
fn texts_that_no_store_keeps_are_refused() {
    let wrong = || phone_number_with(3, |n| n.extension = some("\0"));
    for edit in [
        set(0, PhoneNumberText::PhoneNumber, "\0"),
        set(0, PhoneNumberText::Extension, "\0"),
        insert(None, wrong()),
        replace(0, wrong()),
    ] {
        given([reachable()]).when(change([edit])).then_expect_error(unfit(0, Problem::Nul));
    }
}

#[test]
fn places_count_the_list_as_earlier_steps_left_it() {
    given([reachable()])
        .when(change([remove(0), kind(0, 2), insert(0, phone_number(3)), kind(1, 3)]))
        .then_expect_events(vec![removed(1), added(phone_number(3), 0), amended(2, |n| n.phone_type = 3)]);
}

#[test]
fn a_place_that_a_step_before_has_emptied_is_misplaced() {
    given([reachable()]).when(change([remove(0), kind(1, 2)])).then_expect_error(misplaced(1, none_there(1)));
}

#[test]
fn a_number_that_is_added_and_removed_again_leaves_no_trace() {
    given([reachable()]).when(change([insert(0, phone_number(3)), kind(0, 2), remove(0)])).then_expect_events(vec![]);
}

#[test]
fn an_added_number_is_recorded_as_the_last_step_leaves_it() {
    given([reachable()])
        .when(change([insert(1, phone_number(3)), kind(1, 2)]))
        .then_expect_events(vec![added(phone_number_with(3, |n| n.phone_type = 2), 1)]);
}
