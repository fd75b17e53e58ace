//! Filters by one or several keys.

use super::{by_name, found, names, person, with};
use crate::on_both_stores;
use crate::support::*;
use registrar::store::sql::SOUGHT_BY_INDEX_MAX;
use registrar_projections::admins::{PERSON_ID, POLICIES};
use registrar_projections::audit_trail::{ACTION, BY_ACTION, BY_ENTITY_ID, BY_TIME, RECORDED_AT, TRAIL, time_key};
use registrar_projections::{AdminDocument, AuditEntry, Direction, Query};

on_both_stores! {
    async fn text_that_no_store_keeps_is_compared_like_any_other(database) {
        let node = database.open().await;
        person(&node, "Ada", "Lovelace", "").await;
        for term in ["\0", "ada\0", "a\0da", "\0lov"] {
            assert!(found(&node, term).await.is_empty(), "{term:?}");
        }
        let page = |query| async { node.documents.page::<AuditEntry>(query).await.unwrap().value };
        let all = || Query::<AuditEntry>::sorted(&BY_TIME, Direction::Ascending);
        for (query, count) in [
            (all().equal(&TRAIL, "admin\0"), 0), (all().equal(&TRAIL, "admin").equal(&ACTION, "INSERT\0"), 0),
            (all().at_least(&TRAIL, "admin\0"), 0), (all().at_least(&TRAIL, "admim\0z"), 1),
            (all().at_most(&TRAIL, "admin\0"), 1), (all().below(&TRAIL, "admin\0"), 1), (all().below(&TRAIL, "admim\0"), 0),
        ] {
            let description = format!("{query:?}");
            let page = page(query).await;
            assert_eq!((page.total, page.items.len()), (count, count as usize), "{description}");
        }
        assert_eq!(node.documents.find::<AdminDocument>("\0").await.unwrap().value, None);
        assert_eq!(node.documents.find_by::<AdminDocument>(&PERSON_ID, "a\0b").await.unwrap().value, None);
    }

    async fn a_document_is_found_by_each_value_of_a_multi_valued_key(database) {
        let node = database.open().await;
        let policies = [vec!["p1", "p2"], vec!["p2"], vec![], vec!["p1", "P1", "p,2", "{p}", "\"p\"", "p'3", "NULL"]];
        for (n, policies) in policies.iter().enumerate() {
            with(&node, |registration| {
                registration.person.first_name = n.to_string();
                registration.policies = policies.iter().map(|policy| (*policy).to_owned()).collect();
            }).await;
        }
        for (policy, admins) in [("p1", vec![0, 3]), ("p2", vec![0, 1]), ("P1", vec![3]), ("p,2", vec![3]), ("{p}", vec![3]), ("\"p\"", vec![3]), ("p'3", vec![3]), ("NULL", vec![3]), ("p", vec![]), ("", vec![]), ("%", vec![])] {
            let expected: Vec<String> = admins.iter().map(|n| format!("{n} Lovelace")).collect();
            assert_eq!(names(&node, by_name().contains(&POLICIES, policy)).await, expected, "{policy}");
        }
        let both = by_name().contains(&POLICIES, "p1").contains(&POLICIES, "p2");
        assert_eq!(names(&node, both).await, ["0 Lovelace"]);
        // For any number of alternatives, and repeatedly, since PostgreSQL may switch to a generic plan.
        for others in [0, 1, SOUGHT_BY_INDEX_MAX, 5_000, 5_001, 5_002, 5_003, 5_004, 5_005, 5_006] {
            let any = |with: &str| {
                let sought = (0..others).map(|n| format!("other{n}")).chain([with.to_owned()]).collect();
                by_name().contains_any(&POLICIES, sought)
            };
            assert_eq!(names(&node, any("p2")).await, ["0 Lovelace", "1 Lovelace"], "{others}");
            assert_eq!(names(&node, any("p")).await, Vec::<String>::new(), "{others}");
            let page = node.documents.page(any("p1").page(1, 1)).await.unwrap().value;
            assert_eq!((page.total, page.items.len()), (2, 1));
        }
    }

    async fn the_trail_is_filtered_by_time_and_sorted_as_asked(database) {
        let node = database.open().await;
        let mut times = Vec::new();
        for n in 0..6 {
            let id = person(&node, "Ada", "L", "").await;
            let outcome = node.admin(id, rename(&format!("Ada {n}"))).await.unwrap();
            times.push(outcome.events[0].recorded_at);
            // Ensures distinct times.
            while chrono::Utc::now().timestamp_millis() == outcome.events[0].recorded_at.timestamp_millis() {
                tokio::task::yield_now().await;
            }
        }
        let page = |query: Query<AuditEntry>| async { node.documents.page(query).await.unwrap().value.items };
        let sorted = |sort, direction| Query::<AuditEntry>::sorted(sort, direction).equal(&TRAIL, "admin");
        let all = page(sorted(&BY_TIME, Direction::Ascending)).await;
        assert_eq!(all.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), (1..=12).collect::<Vec<u64>>());
        let (from, to) = (time_key(times[1]), time_key(times[4]));
        let between = page(sorted(&BY_TIME, Direction::Ascending).at_least(&RECORDED_AT, &*from).below(&RECORDED_AT, &*to)).await;
        let expected: Vec<_> = all.iter().filter(|entry| entry.recorded_at >= times[1] && entry.recorded_at < times[4]).cloned().collect();
        assert!(between.len() >= 5 && between.len() < 9);
        assert_eq!(between, expected);
        let upto = page(sorted(&BY_TIME, Direction::Ascending).at_most(&RECORDED_AT, &*to)).await;
        assert_eq!(upto, all.iter().filter(|entry| entry.recorded_at <= times[4]).cloned().collect::<Vec<_>>());
        for (sort, key) in [(&BY_ACTION, (|entry: &AuditEntry| entry.action.name().to_owned()) as fn(&AuditEntry) -> String), (&BY_ENTITY_ID, |entry| entry.entity_id.clone())] {
            let mut expected = all.clone();
            expected.sort_by_key(|entry| (key(entry), entry.sequence));
            assert_eq!(page(sorted(sort, Direction::Ascending)).await, expected);
            expected.reverse();
            assert_eq!(page(sorted(sort, Direction::Descending)).await, expected);
        }
    }
}
