//! Search for a part of names and e-mail addresses.

use super::{found, person};
use crate::on_both_stores;
use crate::support::*;

on_both_stores! {
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
            // The search index refers to row numbers, which VACUUM must not change.
            database.sql().await.run("VACUUM").await.unwrap();
            assert_eq!(found(&node, "hopper").await, ["Grace Hopper"]);
            assert_eq!(found(&node, "augusta").await, ["Augusta Lovelace"]);
        }
    }
}
