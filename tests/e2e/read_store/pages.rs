//! Pages: their order, their total count and their position.

use super::{by_name, names, person, with};
use crate::on_both_stores;
use crate::support::*;
use registrar::read_store::LONG;
use registrar_aggregates::admin::{AdminChange, AdminCommand, Granter, ListEdit};
use registrar_aggregates::text::fold;
use registrar_projections::admins::{BY_NAME, PERSON_ID, POLICIES};
use registrar_projections::audit_trail::{ACTION, BY_TIME, TRAIL};
use registrar_projections::{AdminDocument, AuditEntry, Direction, Query};
use std::sync::atomic::{AtomicBool, Ordering};

on_both_stores! {
    async fn names_sort_by_code_point_of_their_folded_form(database) {
        let node = database.open().await;
        // By language the order is a, Á, ä, b, ... without blanks; the server's default collation sorts so.
        let firsts = ["b", "B2", "a", "ä", "Á", "z", "Z-", "Zoe", "zo e", "é", "_", "-", "1", "10", "2", "ｚ", "𝄞", "\u{ffff}", "ß", "st"];
        for (n, first) in firsts.iter().enumerate() {
            person(&node, first, ["Y", "x"][n % 2], "").await;
        }
        let mut expected: Vec<String> = firsts.iter().enumerate().map(|(n, first)| format!("{first} {}", ["Y", "x"][n % 2])).collect();
        expected.sort_by_key(|name| {
            let (first, last) = name.rsplit_once(' ').unwrap();
            (fold(first), fold(last))
        });
        assert_eq!(names(&node, by_name()).await, expected);
        expected.reverse();
        assert_eq!(names(&node, Query::sorted(&BY_NAME, Direction::Descending)).await, expected);
    }

    async fn equal_names_go_by_identifier_and_pages_are_disjoint_and_complete(database) {
        let node = database.open().await;
        let mut ids = Vec::new();
        for n in 0..23 {
            ids.push(person(&node, ["Ada", "ADA", "Bea"][n % 3], "Same", "").await.to_string());
        }
        for direction in [Direction::Ascending, Direction::Descending] {
            let query = || Query::<AdminDocument>::sorted(&BY_NAME, direction);
            let whole: Vec<String> = node.documents.page(query()).await.unwrap().value.items.iter().map(|admin| admin.id.to_string()).collect();
            let mut expected = ids.clone();
            expected.sort_by_key(|id| (ids.iter().position(|other| other == id).unwrap() % 3 == 2, id.clone()));
            if direction == Direction::Descending {
                expected.reverse();
            }
            assert_eq!(whole, expected);
            for take in [1, 4, 7, 23, 100] {
                let mut seen = Vec::new();
                for skip in (0..30).step_by(take) {
                    let page = node.documents.page(query().page(skip, take as u64)).await.unwrap().value;
                    assert_eq!(page.total, 23);
                    seen.extend(page.items.iter().map(|admin| admin.id.to_string()));
                }
                assert_eq!(seen, whole, "pages of {take}");
            }
        }
        let beyond = node.documents.page(by_name().page(1_000_000, 10)).await.unwrap().value;
        assert_eq!((beyond.total, beyond.items.len()), (23, 0));
        let none = node.documents.page(by_name().page(0, 0)).await.unwrap().value;
        assert_eq!((none.total, none.items.len()), (23, 0));
    }

    async fn the_total_of_a_long_list_is_always_that_of_now(database) {
        let node = database.open().await;
        let registered = (0..LONG).map(|n| with(&node, move |registration| {
            registration.person.first_name = format!("{n:04}");
            registration.policies = vec!["p".to_owned()];
        }));
        let ids = futures::future::join_all(registered).await;
        let totals = async || {
            let mut found = Vec::new();
            // Pages in turn, an uncached read, and a node with an empty cache.
            for (documents, skip) in [(&node.documents, 0), (&node.documents, 500), (&node.documents.of_now(), 10), (&database.open().await.documents, 0)] {
                let page = documents.page(by_name().contains(&POLICIES, "p").page(skip, 2)).await.unwrap().value;
                assert_eq!(page.items.len(), 2);
                let listed = documents.ids(by_name().contains(&POLICIES, "p").page(skip, 1)).await.unwrap().value;
                assert_eq!(listed.items[0], page.items[0].id.to_string());
                found.extend([page.total, listed.total]);
            }
            found.dedup();
            found
        };
        assert_eq!(totals().await, [LONG]);
        with(&node, |registration| registration.policies = vec!["q".to_owned()]).await;
        assert_eq!(totals().await, [LONG]);
        with(&node, |registration| registration.policies = vec!["p".to_owned()]).await;
        assert_eq!(totals().await, [LONG + 1]);
        // This node has not seen the commit of the other one.
        let other = database.open().await;
        with(&other, |registration| registration.policies = vec!["p".to_owned()]).await;
        assert_eq!(totals().await, [LONG + 2]);
        let unlisted = AdminCommand::Amend(vec![AdminChange::Policies(ListEdit::Set(vec![]))], Granter::System);
        other.admin(ids[0], unlisted).await.unwrap();
        assert_eq!(totals().await, [LONG + 1]);
    }

    async fn totals_are_the_number_of_documents(database) {
        let node = database.open().await;
        let ids = [person(&node, "Ada", "L", "").await, person(&node, "Grace", "H", "").await, person(&node, "Bea", "L", "").await];
        node.admin(ids[0], rename("Augusta")).await.unwrap();
        node.admin(ids[1], AdminCommand::Deactivate(Granter::System)).await.unwrap();
        node.append(vec![(access_stream("r"), registrar::committer::ExpectedVersion::Any, vec![trail_read("t")])]).await.unwrap();
        let mut sql = database.sql().await;
        let page = |query| async { node.documents.page::<AuditEntry>(query).await.unwrap().value };
        let all = || Query::<AuditEntry>::sorted(&BY_TIME, Direction::Ascending);
        for (query, condition) in [
            (all().equal(&TRAIL, "admin"), "trail = 'admin'"),
            (all().equal(&TRAIL, "audit-access"), "trail = 'audit-access'"),
            (all().equal(&TRAIL, "nothing"), "false"),
            (all().equal(&TRAIL, "admin").equal(&ACTION, "UPDATE"), "trail = 'admin' AND action = 'UPDATE'"),
            (all().equal(&ACTION, "INSERT").equal(&TRAIL, "admin"), "trail = 'admin' AND action = 'INSERT'"),
            (all().equal(&TRAIL, "admin").equal(&ACTION, "DELETE"), "false"),
            (all(), "true"),
        ] {
            let count = sql.number(&format!("SELECT count(*) FROM audit_entries_g1 WHERE {condition}")).await;
            let page = page(query).await;
            assert_eq!((page.total as i64, page.items.len() as i64), (count, count), "{condition}");
        }
        let counted = sql.number("SELECT count(*) FROM admins_g1").await;
        assert_eq!(counted, 3);
        assert_eq!(node.documents.page(by_name().page(0, 1)).await.unwrap().value.total, 3);
    }

    async fn items_total_and_position_of_a_page_are_of_one_moment(database) {
        let node = database.open().await;
        let done = AtomicBool::new(false);
        let write = async {
            for _ in 0..80 {
                person(&node, "Ada", "L", "").await;
            }
            done.store(true, Ordering::Release);
        };
        let read = async {
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                let page = node.documents.page(by_name()).await.unwrap();
                // Every event so far is a registration.
                assert_eq!((page.value.items.len() as u64, page.value.total), (page.position, page.position));
                assert!(page.position >= last);
                last = page.position;
            }
        };
        futures::join!(write, read);
    }

    async fn every_answer_tells_the_position_that_it_reflects(database) {
        let node = database.open().await;
        let missing = node.documents.find::<AdminDocument>("none").await.unwrap();
        assert_eq!((missing.position, missing.value), (0, None));
        assert_eq!(node.documents.page(by_name()).await.unwrap().position, 0);
        let id = person(&node, "Ada", "L", "").await;
        assert_eq!(node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap().position, 1);
        assert_eq!(node.documents.page(by_name().page(5, 5)).await.unwrap().position, 1);
        let person_id = node.find(id).await.person_id.to_string();
        let by_person = node.documents.find_by::<AdminDocument>(&PERSON_ID, &person_id).await.unwrap();
        assert_eq!((by_person.position, by_person.value.map(|admin| admin.id.0)), (1, Some(id)));
    }

    async fn the_documents_tables_compare_by_code_point(database) {
        let node = database.open().await;
        let mut sql = database.sql().await;
        if let Sql::Postgres(_) = sql {
            // Another server on this machine would pass too, but would prove nothing.
            let collation = sql.texts("SELECT datlocprovider::text FROM pg_database WHERE datname = current_database()").await;
            assert_eq!(collation, ["i"], "the private server sorts by language");
            let others = "SELECT table_name || '.' || column_name FROM information_schema.columns \
                 WHERE table_schema = 'public' AND data_type IN ('text', 'ARRAY') AND collation_name IS DISTINCT FROM 'C' \
                 AND table_name LIKE '%\\_g1'";
            assert_eq!(sql.texts(others).await, Vec::<String>::new());
        }
        drop(node);
    }
}
