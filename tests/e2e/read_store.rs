//! Documents and queries, alike on both stores. Random data is compared with a model in `properties`.

use crate::on_both_stores;
use crate::support::*;
use futures::FutureExt;
use registrar::node::Node;
use registrar::read_store::LONG;
use registrar::store::sql::SOUGHT_BY_INDEX_MAX;
use registrar_aggregates::admin::{AdminChange, AdminCommand, Granter, ListEdit, Registration};
use registrar_aggregates::text::fold;
use registrar_projections::admins::{BY_NAME, PERSON_ID, POLICIES, SEARCH};
use registrar_projections::audit_trail::{ACTION, BY_ACTION, BY_ENTITY_ID, BY_TIME, RECORDED_AT, TRAIL, time_key};
use registrar_projections::document::HasCollection;
use registrar_projections::{AdminDocument, AuditEntry, Direction, Query};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// Registers an admin with a name and a contact e-mail, if it is not empty.
async fn person(node: &Node, first: &str, last: &str, email: &str) -> Uuid {
    with(node, |registration| {
        registration.person.first_name = first.into();
        registration.person.last_name = last.into();
        registration.person.email_address = (!email.is_empty()).then(|| email.to_owned());
    })
    .await
}

async fn with(node: &Node, change: impl FnOnce(&mut Registration)) -> Uuid {
    let id = Uuid::now_v7();
    let mut registration = registered(id, None);
    change(&mut registration);
    node.admin(id, AdminCommand::Register(Box::new(registration), Granter::System)).await.unwrap();
    id
}

fn by_name() -> Query<AdminDocument> {
    Query::sorted(&BY_NAME, Direction::Ascending)
}

async fn found(node: &Node, term: &str) -> Vec<String> {
    let page = node.documents.page(by_name().search(&SEARCH, term)).await.unwrap().value;
    assert_eq!(page.total, page.items.len() as u64, "{term:?}");
    page.items.iter().map(AdminDocument::full_name).collect()
}

async fn names(node: &Node, query: Query<AdminDocument>) -> Vec<String> {
    node.documents.page(query).await.unwrap().value.items.iter().map(AdminDocument::full_name).collect()
}

on_both_stores! {
    async fn a_look_up_that_was_given_up_is_no_answer_to_the_next(database) {
        let node = database.open().await;
        let people = [person(&node, "Ada", "Same", "").await, person(&node, "Grace", "Same", "").await];
        let [given_up, asked] = people.map(|id| id.to_string());
        let generation = node.read_store.moment().await.unwrap().generation;
        for steps in (0..12).cycle().take(120) {
            {
                let wanted = [given_up.as_str()];
                let mut look_up = node.read_store.look_up(generation, AdminDocument::ID, "id", &wanted);
                for _ in 0..steps {
                    if futures::poll!(&mut look_up).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            let found = node.read_store.look_up(generation, AdminDocument::ID, "id", &[&asked]).await.unwrap().unwrap();
            assert_eq!(found.found.keys().collect::<Vec<_>>(), [&asked]);
            assert_eq!(node.read_store.moment().await.unwrap(), found.moment);
        }
        node.close().await;
    }

    async fn everyone_who_looks_something_up_at_once_gets_what_they_asked_for(database) {
        const PEOPLE: usize = 20;
        let node = database.open().await;
        let mut ids = Vec::new();
        for n in 0..PEOPLE {
            ids.push(person(&node, &format!("N{n}"), "Same", "").await.to_string());
        }
        let look_up = |n: usize| {
            let (node, id) = (Arc::clone(&node), ids[n % PEOPLE].clone());
            tokio::spawn(async move {
                match n % 10 {
                    // Nobody has such an id, and no text in PostgreSQL.
                    7 => assert_eq!(node.documents.find::<AdminDocument>("\0").await.unwrap().value, None),
                    8 => assert_eq!(node.documents.find::<AdminDocument>(&format!("{id}x")).await.unwrap().value, None),
                    // The id of one collection is none of another.
                    9 => assert_eq!(node.documents.find::<AuditEntry>(&id).await.unwrap().value, None),
                    _ => {
                        let found = node.documents.find::<AdminDocument>(&id).await.unwrap();
                        assert_eq!((found.value.unwrap().id.to_string(), found.position), (id, PEOPLE as u64));
                    }
                }
            })
        };
        for round in futures::future::join_all((0..400).map(look_up)).await {
            round.unwrap();
        }
    }

    async fn who_gives_up_a_look_up_takes_it_from_nobody_else(database) {
        let node = database.open().await;
        let id = person(&node, "Ada", "Lovelace", "").await.to_string();
        for _ in 0..20 {
            let impatient = (0..20).map(|_| node.documents.find::<AdminDocument>(&id));
            // Each is asked once for its answer, which begins the statement, and dropped, mostly before it has one.
            impatient.for_each(|find| drop(find.now_or_never()));
            assert!(node.documents.find::<AdminDocument>(&id).await.unwrap().value.is_some());
        }
    }

    async fn no_look_up_is_answered_with_what_was_so_before_it_was_asked(database) {
        let node = database.open().await;
        let id = person(&node, "Ada", "Lovelace", "").await;
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (node, done) = (Arc::clone(&node), Arc::clone(&done));
                tokio::spawn(async move {
                    while !done.load(Ordering::Acquire) {
                        node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap();
                    }
                })
            })
            .collect();
        for n in 0..100 {
            let written = node.admin(id, rename(&format!("Ada{n}"))).await.unwrap().position;
            let read = node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap();
            assert!(read.position >= written);
            assert_eq!(read.value.unwrap().person.first_name, format!("Ada{n}"));
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.await.unwrap();
        }
    }

    async fn a_term_is_found_anywhere_in_names_and_e_mail_letter_case_aside(database) {
        let node = database.open().await;
        person(&node, "Ada", "Lovelace", "ada.king@example.org").await;
        person(&node, "Grace", "Hopper", "").await;
        for term in ["a", "da", "ada", "ADA", "ovel", "lovelace", "Ada L", "a l", "ada lovelace", "KING@", "ada.king@example.org", "  ada  "] {
            assert!(found(&node, term).await.contains(&"Ada Lovelace".to_owned()), "{term:?}");
        }
        for term in ["q", "zz", "adb", "lovelace ada", "ada  lovelace", "hopper@", "adalovelace"] {
            assert!(found(&node, term).await.is_empty(), "{term:?}");
        }
        for blank in ["", " ", "\t\n"] {
            assert_eq!(found(&node, blank).await.len(), 2, "{blank:?}");
        }
    }

    async fn no_term_matches_across_name_and_e_mail(database) {
        let node = database.open().await;
        person(&node, "Ada", "King", "ada@example.org").await;
        for term in ["kingada", "king ada@", "g\u{1}a", "king\u{1}ada", "\u{1}", "g a"] {
            assert!(found(&node, term).await.is_empty(), "{term:?}");
        }
    }

    async fn signs_of_pattern_languages_stand_for_themselves(database) {
        let node = database.open().await;
        let odd = ["100%", "a_b", "quo\"te", "apo'strophe", "back\\slash", "star*", "que?y", "[set]", "AND OR NOT", "(paren)", "-minus", "col:on", "^caret", "$1", "x\\%y", "NEAR(a b)"];
        for name in odd {
            person(&node, name, "Plain", "").await;
        }
        for name in odd {
            assert_eq!(found(&node, name).await, [format!("{name} Plain")], "{name}");
        }
        for (term, count) in [("%", 2), ("_", 1), ("\"", 1), ("'", 1), ("\\", 2), ("*", 1), ("?", 1), ("%%", 0), ("a%", 0), ("a_", 1), ("\\%", 1), ("\"\"", 0), ("\\\\", 0), ("a.b", 0), ("x_y", 0)] {
            assert_eq!(found(&node, term).await.len(), count, "{term}");
        }
    }

    async fn short_terms_and_terms_beyond_ascii_are_found(database) {
        let node = database.open().await;
        person(&node, "Jürgen", "Müller", "").await;
        person(&node, "Åsa", "Öström", "").await;
        person(&node, "李", "小龍", "").await;
        person(&node, "Straße", "Weiß", "").await;
        person(&node, "Zoe\u{301}", "𝄞𝄞𝄞𝄞", "").await;
        for (term, name) in [
            ("ü", "Jürgen Müller"), ("ÜL", "Jürgen Müller"), ("müller", "Jürgen Müller"), ("MU\u{308}LL", "Jürgen Müller"), ("n m", "Jürgen Müller"),
            ("å", "Åsa Öström"), ("A\u{30a}SA", "Åsa Öström"), ("öst", "Åsa Öström"), ("李", "李 小龍"), ("李 小", "李 小龍"), ("小龍", "李 小龍"),
            ("STRASSE", "Straße Weiß"), ("weiss", "Straße Weiß"), ("ss", "Straße Weiß"), ("zoé", "Zoe\u{301} 𝄞𝄞𝄞𝄞"), ("𝄞", "Zoe\u{301} 𝄞𝄞𝄞𝄞"), ("𝄞𝄞𝄞", "Zoe\u{301} 𝄞𝄞𝄞𝄞"),
        ] {
            assert_eq!(found(&node, term).await, [name], "{term}");
        }
        for none in ["u", "muller", "osa", "ze"] {
            assert!(found(&node, none).await.is_empty(), "{none}");
        }
    }

    async fn an_address_is_found_by_any_part_and_as_a_whole(database) {
        let node = database.open().await;
        person(&node, "Hopper", "G", "grace@example.com").await;
        person(&node, "Grace", "H", "hopper@example.com").await;
        person(&node, "Hopper", "J", "hopper@example.org").await;
        person(&node, "Bea", "Shopper", "shopper@example.com").await;
        for (term, names) in [
            ("hopper@example.com", vec!["Bea Shopper", "Grace H"]),
            ("HOPPER@", vec!["Bea Shopper", "Grace H", "Hopper J"]),
            ("shopper@example.com", vec!["Bea Shopper"]),
            ("opper@e", vec!["Bea Shopper", "Grace H", "Hopper J"]),
            ("r@example.org", vec!["Hopper J"]),
            ("@example.org", vec!["Hopper J"]),
            ("hopper@@", vec![]), ("hopper@example.c%", vec![]), ("hopp_r@example.com", vec![]), ("hopper@example.comm", vec![]),
        ] {
            assert_eq!(found(&node, term).await, names, "{term}");
        }
    }

    async fn a_search_goes_with_what_the_document_says_now(database) {
        let node = database.open().await;
        let id = person(&node, "Ada", "Lovelace", "").await;
        person(&node, "Grace", "Hopper", "").await;
        node.admin(id, rename("Augusta")).await.unwrap();
        assert!(found(&node, "ada").await.is_empty());
        assert_eq!(found(&node, "augusta").await, ["Augusta Lovelace"]);
        if database.settings.database_url.is_none() {
            // The index goes by row number, which a repacked file must not change.
            database.sql().await.run("VACUUM").await.unwrap();
            assert_eq!(found(&node, "hopper").await, ["Grace Hopper"]);
            assert_eq!(found(&node, "augusta").await, ["Augusta Lovelace"]);
        }
    }

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

    async fn names_sort_by_code_point_of_their_folded_form(database) {
        let node = database.open().await;
        // By language: a, Á, ä, b, ... and blanks ignored; the server's default collation is of that kind.
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
        // However many values may be the one, and however often the store is asked.
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

    async fn the_total_of_a_long_list_is_always_that_of_now(database) {
        let node = database.open().await;
        let registered = (0..LONG).map(|n| with(&node, move |registration| {
            registration.person.first_name = format!("{n:04}");
            registration.policies = vec!["p".to_owned()];
        }));
        let ids = futures::future::join_all(registered).await;
        let totals = async || {
            let mut found = Vec::new();
            // Page by page, once more, and by somebody who remembers nothing.
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
        // Of what another node does nothing is known here.
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

    async fn the_trail_is_filtered_by_time_and_sorted_as_asked(database) {
        let node = database.open().await;
        let mut times = Vec::new();
        for n in 0..6 {
            let id = person(&node, "Ada", "L", "").await;
            let outcome = node.admin(id, rename(&format!("Ada {n}"))).await.unwrap();
            times.push(outcome.events[0].recorded_at);
            // So that there are different times to tell apart.
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
            // A server of the machine would do, too, but would prove nothing.
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
