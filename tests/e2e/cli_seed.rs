//! Seeded databases, their partitions and their rebuild, by command line.

use crate::cli::{token, total};
use crate::on_both_stores;
use crate::process::{PATIENCE, Server, fail, registrar, run};
use serde_json::{Value, json};
use std::time::Duration;

on_both_stores! {
    async fn seeded_users_are_in_all_organizations_alike(database) {
        let seed = || run(&database.settings, &["seed", "--organizations", "4", "--users", "12", "--groups", "5"]);
        assert!(seed().starts_with("First administrator: "));
        let verified = || run(&database.settings, &["journal", "verify"]);
        let before = verified();
        assert_eq!(seed(), "");
        assert_eq!(verified(), before);
        let server = Server::start(&database.settings);
        let token = token(&database, &[]);
        let ask = async |path: &str| -> Value {
            let answer = reqwest::Client::new().get(format!("{}{path}", server.url)).bearer_auth(&token).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            answer.json().await.unwrap()
        };
        let organizations = ask("/v1/organizations/").await;
        let organizations = organizations["data"].as_array().unwrap();
        assert_eq!(organizations.len(), 4);
        for organization in organizations {
            let id = organization["id"].as_str().unwrap();
            let users = ask(&format!("/v1/users/?organization-id={id}&filter%5Binclude-participants%5D=true")).await;
            assert_eq!(users["meta"]["page[total]"], 3, "{organization}");
        }
    }

    async fn numbers_beyond_their_bounds_are_refused(database) {
        for (option, number) in [
            ("--admins", "10000001"),
            ("--users", "18446744073709551615"),
            ("--organizations", "1000001"),
            ("--groups", "100001"),
            ("--groups", "1.5"),
        ] {
            let output = registrar(&database.settings, &["seed", option, number]).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{option} {number}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(option), "{option} {number}");
        }
        for size in ["0", "255", "300", "-256", "2147483648", "many"] {
            let output = registrar(&database.settings, &["migrate", &format!("--partition-size={size}")]).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{size}");
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains("must be a multiple of 256 from 256 to 1073741824"), "{told}");
        }
    }

    async fn the_size_of_partitions_is_set_before_they_are_filled(database) {
        let database = database.empty().await;
        let set = |size: &str| registrar(&database.settings, &["migrate", &format!("--partition-size={size}")]);
        if database.settings.database_url.is_none() {
            assert!(fail(set("512")).contains("the embedded database has no partitions"));
            return;
        }
        assert!(set("512").output().unwrap().status.success());
        let mut sql = database.sql().await;
        let sizes = "SELECT DISTINCT (last_position - first_position + 1)::text FROM event_partitions ORDER BY 1";
        assert_eq!(sql.texts(sizes).await, ["512"]);
        run(&database.settings, &["seed", "--admins", "5"]);
        // Wrapper scripts pass an unset variable on as an empty one.
        assert!(registrar(&database.settings, &["migrate"]).env("REGISTRAR_PARTITION_SIZE", "").output().unwrap().status.success());
        assert_eq!(sql.texts(sizes).await, ["512"]);
        assert!(set("1024").output().unwrap().status.success());
        assert_eq!(sql.texts(sizes).await, ["1024", "512"], "one has events");
        assert_eq!(sql.number("SELECT count(*) FROM event_partitions WHERE last_position - first_position = 511").await, 1);
        run(&database.settings, &["seed", "--admins", "10"]);
        run(&database.settings, &["journal", "verify"]);
    }

    async fn seeded_admins_are_listed_and_survive_a_rebuild(database) {
        let seed = || run(&database.settings, &["seed", "--admins", "300"]);
        assert!(seed().starts_with("First administrator: "));
        assert_eq!(seed(), "");
        let server = Server::start(&database.settings);
        assert_eq!(server.printed.len(), 1);
        let token = token(&database, &[]);
        assert_eq!(total(&server, &token).await, 301);
        assert!(server.stop().0.success());

        assert_eq!(run(&database.settings, &["projections", "rebuild"]), "");
        let status = run(&database.settings, &["projections", "status"]);
        assert!(status.contains("generation 2: live"), "{status}");
        let server = Server::start(&database.settings);
        assert_eq!(total(&server, &token).await, 301);
    }

    async fn data_seeded_by_an_earlier_release_is_rebuilt_and_served(database) {
        run(&database.settings, &["seed", "--admins", "20"]);
        database.sql().await.run("UPDATE generations SET signature = 'admins:0'").await.unwrap();
        let server = Server::start(&database.settings);
        let ready = async || reqwest::get(format!("{}/readyz", server.url)).await.unwrap().status() == 200;
        tokio::time::timeout(PATIENCE, async {
            while !ready().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }).await.unwrap();
        assert_eq!(total(&server, &token(&database, &[])).await, 21);
    }

    async fn seeded_users_stand_in_a_tree_of_groups(database) {
        let seed = || run(&database.settings, &["seed", "--users", "60", "--groups", "40"]);
        assert!(seed().starts_with("First administrator: "));
        let verified = || run(&database.settings, &["journal", "verify"]);
        let before = verified();
        assert_eq!(seed(), "");
        assert_eq!(verified(), before);
        let server = Server::start(&database.settings);
        let token = token(&database, &[]);
        let ask = async |request: reqwest::RequestBuilder| -> Value {
            let answer = request.bearer_auth(&token).send().await.unwrap();
            let (status, body) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success(), "{status} {body}");
            serde_json::from_str(&body).unwrap()
        };
        let client = reqwest::Client::new();
        let list = |path: &str| client.get(format!("{}{path}?page%5Blimit%5D=100", server.url));
        let users = ask(list("/v1/users/").query(&[("filter[include-participants]", "true")])).await;
        assert_eq!(users["meta"]["page[total]"], 60);
        let groups = ask(list("/v2/individual-groups/")).await;
        let groups = groups["data"].as_array().unwrap();
        let of_type = |node_type: &str| groups.iter().filter(|group| group["attributes"]["node-type"] == node_type).count();
        assert_eq!((of_type("division"), of_type("group")), (7, 33));
        let division = groups.iter().find(|group| group["attributes"]["name"] == "Division 0").unwrap();
        let division = ("individual-group-id", division["id"].as_str().unwrap());
        let leaders = ask(list("/v1/individual-group-leaders/").query(&[division])).await;
        let leader = &leaders["data"][0]["attributes"]["leader"]["id"];
        let question = json!({ "user-id": leader, "access-query": ["individual::read"] });
        let seen = ask(client.post(format!("{}/v1/authz-get-accessible-resources/", server.url)).json(&question)).await;
        let seen = seen["meta"]["page[total]"].as_u64().unwrap();
        assert!((1..53).contains(&seen), "{seen}");
    }
}
