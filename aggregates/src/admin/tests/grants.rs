use super::*;
use AdminChange::{CustomPermissions, Policies};

/// Policies p1, p2, p3 and the permission c1.
fn granted() -> AdminEvent {
    registered_with(|r| {
        r.policies = texts(&["p1", "p2", "p3"]);
        r.custom_permissions = texts(&["c1"]);
    })
}

fn amended(policies: &[&str], custom_permissions: &[&str]) -> Vec<AdminEvent> {
    vec![AdminEvent::GrantsAmended { policies: texts(policies), custom_permissions: texts(custom_permissions) }]
}

fn set(entries: &[&str]) -> ListEdit {
    ListEdit::Set(texts(entries))
}

fn insert(at: impl Into<Option<usize>>, entry: &str) -> ListEdit {
    ListEdit::Insert { at: at.into(), entry: entry.to_owned() }
}

fn replace(at: usize, entry: &str) -> ListEdit {
    ListEdit::Replace { at, entry: entry.to_owned() }
}

fn remove(at: usize) -> ListEdit {
    ListEdit::Remove { at }
}

#[test]
fn a_whole_list_is_set() {
    given([granted()]).when(amend([Policies(set(&["p4", "p1"]))])).then_expect_events(amended(&["p4", "p1"], &["c1"]));
}

#[test]
fn setting_a_list_to_no_entries_empties_it() {
    given([granted()]).when(amend([Policies(set(&[]))])).then_expect_events(amended(&[], &["c1"]));
}

#[test]
fn an_entry_is_inserted_before_a_place() {
    given([granted()])
        .when(amend([Policies(insert(1, "p4"))]))
        .then_expect_events(amended(&["p1", "p4", "p2", "p3"], &["c1"]));
}

#[test]
fn an_entry_is_inserted_at_the_place_behind_the_last() {
    given([granted()])
        .when(amend([Policies(insert(3, "p4"))]))
        .then_expect_events(amended(&["p1", "p2", "p3", "p4"], &["c1"]));
}

#[test]
fn an_entry_without_a_place_is_appended() {
    given([granted()])
        .when(amend([Policies(insert(None, "p4"))]))
        .then_expect_events(amended(&["p1", "p2", "p3", "p4"], &["c1"]));
}

#[test]
fn an_entry_is_replaced() {
    given([granted()])
        .when(amend([Policies(replace(1, "p4"))]))
        .then_expect_events(amended(&["p1", "p4", "p3"], &["c1"]));
}

#[test]
fn an_entry_is_removed() {
    given([granted()]).when(amend([Policies(remove(0))])).then_expect_events(amended(&["p2", "p3"], &["c1"]));
}

#[test]
fn permissions_are_edited_like_policies() {
    let edits: [(ListEdit, &[&str]); 5] = [
        (set(&["c2", "c3"]), &["c2", "c3"]),
        (insert(0, "c2"), &["c2", "c1"]),
        (insert(None, "c2"), &["c1", "c2"]),
        (replace(0, "c2"), &["c2"]),
        (remove(0), &[]),
    ];
    for (edit, permissions) in edits {
        given([granted()])
            .when(amend([CustomPermissions(edit)]))
            .then_expect_events(amended(&["p1", "p2", "p3"], permissions));
    }
}

#[test]
fn policies_and_permissions_are_one_record() {
    given([granted()])
        .when(amend([Policies(remove(2)), CustomPermissions(remove(0)), Policies(remove(1))]))
        .then_expect_events(amended(&["p1"], &[]));
}

#[test]
fn an_insertion_beyond_the_end_is_misplaced() {
    given([granted()]).when(amend([Policies(insert(4, "p4"))])).then_expect_error(misplaced(0, none_there(3)));
}

#[test]
fn a_replacement_behind_the_last_entry_is_misplaced() {
    given([granted()]).when(amend([Policies(replace(3, "p4"))])).then_expect_error(misplaced(0, none_there(3)));
}

#[test]
fn a_removal_behind_the_last_entry_is_misplaced() {
    given([granted()]).when(amend([Policies(remove(3))])).then_expect_error(misplaced(0, none_there(3)));
}

#[test]
fn permissions_have_places_of_their_own() {
    given([granted()]).when(amend([CustomPermissions(remove(1))])).then_expect_error(misplaced(0, none_there(1)));
}

#[test]
fn an_entry_that_no_store_keeps_is_refused_in_every_edit() {
    for edit in [set(&["p1", "\0"]), insert(None, "\0"), insert(0, "\0"), replace(0, "\0")] {
        given([granted()]).when(amend([Policies(edit.clone())])).then_expect_error(unfit(0, Problem::Nul));
        given([granted()]).when(amend([CustomPermissions(edit)])).then_expect_error(unfit(0, Problem::Nul));
    }
}

#[test]
fn a_repeated_entry_is_kept_once_at_its_first_place() {
    given([granted()])
        .when(amend([Policies(set(&["p4", "p5", "p4"]))]))
        .then_expect_events(amended(&["p4", "p5"], &["c1"]));
    given([granted()])
        .when(amend([CustomPermissions(set(&["c2", "c2"]))]))
        .then_expect_events(amended(&["p1", "p2", "p3"], &["c2"]));
}

#[test]
fn appending_an_existing_grant_records_nothing() {
    given([granted()]).when(amend([Policies(insert(None, "p1"))])).then_expect_events(vec![]);
}

#[test]
fn inserting_an_existing_grant_at_the_front_moves_it_there() {
    given([granted()])
        .when(amend([Policies(insert(0, "p3"))]))
        .then_expect_events(amended(&["p3", "p1", "p2"], &["c1"]));
}

#[test]
fn places_count_repeated_entries_until_the_last_step_is_done() {
    given([granted()])
        .when(amend([Policies(insert(0, "p1")), Policies(replace(3, "p4"))]))
        .then_expect_events(amended(&["p1", "p2", "p4"], &["c1"]));
}

#[test]
fn setting_a_list_to_its_present_entries_records_nothing() {
    given([granted()])
        .when(amend([Policies(set(&["p1", "p2", "p3"])), CustomPermissions(set(&["c1"]))]))
        .then_expect_events(vec![]);
}

#[test]
fn setting_a_list_to_its_present_entries_with_repetitions_records_nothing() {
    given([granted()]).when(amend([Policies(set(&["p1", "p1", "p2", "p3", "p2"]))])).then_expect_events(vec![]);
}

#[test]
fn an_entry_that_is_added_and_removed_again_leaves_no_trace() {
    given([granted()]).when(amend([Policies(insert(0, "p4")), Policies(remove(0))])).then_expect_events(vec![]);
}

#[test]
fn the_order_of_entries_is_part_of_the_record() {
    given([granted()])
        .when(amend([Policies(set(&["p3", "p2", "p1"]))]))
        .then_expect_events(amended(&["p3", "p2", "p1"], &["c1"]));
}
