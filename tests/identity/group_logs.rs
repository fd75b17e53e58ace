//! The log of people who joined and left groups, and its visibility.

use crate::app::{Identity, Person};
use crate::ecg_app::NOBODY;
use crate::groups::{V1, new_group_with, system_group};
use crate::on_both_stores;
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};

const LOGS: &str = "/v1/individual-group-logs/";

/// The rows of a page of the log: event, subject, individual or user, actor.
fn log_rows(list: &Value) -> Vec<(String, String, Value, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = list["data"].as_array().unwrap().iter().map(|row| &row["attributes"]);
    rows.map(|row| {
        let (individual, user) = (&row["individual-id"], &row["user-id"]);
        assert!(individual.is_null() != user.is_null(), "{row}");
        let who = if individual.is_null() { user } else { individual };
        (text(&row["event"]), text(&row["subject"]), who.clone(), row["created-by"]["id"].clone())
    })
    .collect()
}

impl Identity {
    async fn log(&self, caller: &Person, query: &str) -> Value {
        self.get(caller, &format!("{LOGS}?{query}")).await
    }

    async fn log_forbidden(&self, caller: &Person, query: &str) {
        self.get_refused(caller, &format!("{LOGS}?{query}"), 403, "forbidden").await;
    }

    async fn log_not_found(&self, caller: &Person, query: &str) {
        self.get_refused(caller, &format!("{LOGS}?{query}"), 404, "not-found").await;
    }
}

on_both_stores! {
    async fn every_coming_and_leaving_is_a_row_newest_first(database) {
        let identity = Identity::open(&database).await;
        let (own, provider) = (identity.participant.individual.unwrap(), json!(identity.provider.id));
        let (admin, nobody) = (json!(identity.admin.id), json!("00000000-0000-0000-0000-000000000000"));
        let people = json!({"individual-ids": [own], "leader-ids": [provider]});
        let ward = identity.new_node("Ward 7", &people).await;
        for (act, body) in [
            ("add-members", json!({"user-ids": [admin]})),
            ("remove-members", json!({"user-ids": [admin]})),
            ("remove-leaders", json!({"user-ids": [provider]})),
            ("remove-individuals", json!({"individual-ids": [own]})),
        ] {
            identity.staffed(&ward, act, &body).await;
        }
        let row = |event: &str, subject: &str, who: &Value, by: &Value| {
            (event.to_owned(), subject.to_owned(), who.clone(), by.clone())
        };
        let own = &json!(own);
        let expected = [
            row("remove", "individual", own, &admin),
            row("remove", "leader", &provider, &admin),
            row("remove", "member", &admin, &admin),
            row("add", "member", &admin, &admin),
            row("add", "leader", &provider, &admin),
            row("add", "individual", own, &admin),
        ];
        let log = identity.log(&identity.admin, &format!("individual-group-id={ward}")).await;
        assert_eq!(log_rows(&log), expected);
        let first = &log["data"][0];
        assert_eq!(first["type"], "individual-group-logs");
        assert_eq!(first["attributes"]["individual-group-id"], json!(ward));
        assert_eq!(first["attributes"]["created-time"].as_str().unwrap().len(), "2024-01-01 00:00:00".len());
        let part = format!("individual-group-id={ward}&page[limit]=2&page[offset]=1");
        let page = identity.log(&identity.admin, &part).await;
        assert_eq!(log_rows(&page), expected[1..3]);
        assert_eq!(page["meta"], json!({"page[limit]": 2, "page[offset]": 1, "page[total]": 6}));

        let unassigned = system_group(SystemGroup::Unassigned, identity.acme);
        let log = identity.log(&identity.admin, &format!("individual-group-id={unassigned}")).await;
        let by_system = ["add", "remove", "add"].map(|event| row(event, "individual", own, &nobody));
        assert_eq!(log_rows(&log), by_system);
        let log = identity.log(&identity.admin, &format!("individual-id={own}", own = own.as_str().unwrap())).await;
        assert_eq!(log_rows(&log).len(), 6);
        let both = format!("filter[individual-id]={own}&individual-group-id={ward}", own = own.as_str().unwrap());
        assert_eq!(log_rows(&identity.log(&identity.admin, &both).await), [expected[0].clone(), expected[5].clone()]);
        let log = identity.log(&identity.admin, &format!("organization-id={}", identity.acme)).await;
        assert_eq!(log_rows(&log).len(), 10);
    }

    async fn the_log_is_for_leaders_and_admins(database) {
        let identity = Identity::open(&database).await;
        let closed = identity.organization("Closed", Authorization::Restricted).await;
        let admin = identity.person("closed-admin", closed, Some(Role::Admin)).await;
        let leader = identity.person("leader", closed, Some(Role::Provider)).await;
        let member = identity.person("member", closed, Some(Role::Provider)).await;
        let individual = identity.individual(closed).await;
        let create = async |name: &str, more: Value| {
            let body = new_group_with(closed, name, &more);
            identity.post(&admin, V1, &body).await["data"]["id"].as_str().unwrap().to_owned()
        };
        let ward = create("Ward 7", json!({"leader-ids": [leader.id], "individual-ids": [individual]})).await;
        let other = create("Ward 8", json!({"individual-ids": [individual]})).await;
        identity.post(&admin, &format!("{V1}{ward}/add-members/"), &json!({"user-ids": [member.id]})).await;

        let group = format!("individual-group-id={ward}");
        let of_individual = format!("individual-id={individual}");
        let organization = format!("organization-id={closed}");
        for caller in [&admin, &leader, &identity.system] {
            assert_eq!(log_rows(&identity.log(caller, &group).await).len(), 3);
            assert_eq!(log_rows(&identity.log(caller, &format!("{group}&{organization}&{of_individual}")).await).len(), 1);
        }
        assert_eq!(log_rows(&identity.log(&admin, &of_individual).await).len(), 5);
        // For an individual, a leader sees the events of the groups that they lead.
        assert_eq!(log_rows(&identity.log(&leader, &of_individual).await).len(), 1);
        assert_eq!(log_rows(&identity.log(&leader, &format!("{of_individual}&{organization}")).await).len(), 1);
        identity.log_forbidden(&leader, &organization).await;
        identity.log_not_found(&leader, &format!("individual-group-id={other}")).await;
        for query in [&group, &of_individual, &organization] {
            identity.log_forbidden(&member, query).await;
            for caller in [&identity.admin, &identity.participant] {
                identity.log_not_found(caller, query).await;
            }
        }
        identity.log_not_found(&admin, &format!("organization-id={NOBODY}")).await;
        for unknown in ["individual-group-id", "individual-id", "filter[individual-id]"] {
            identity.log_not_found(&admin, &format!("{unknown}={NOBODY}")).await;
            identity.log_not_found(&admin, &format!("{organization}&{unknown}={NOBODY}")).await;
        }
        identity.get_refused(&admin, LOGS, 400, "validation-error").await;
        identity.get_refused(&admin, &format!("{LOGS}?page[limit]=5"), 400, "validation-error").await;
        identity.get_refused(&admin, &format!("{LOGS}?organization-id=x"), 400, "validation-error").await;
    }
}
