//! Questions that are refused: those about other people, and those that are no queries.

use super::{ACCESSORS, BULK, CHECK, INDIVIDUALS, RESOURCES, bulk, individual, question};
use crate::app::{Identity, Person};
use crate::on_both_stores;
use serde_json::{Value, json};
use uuid::Uuid;

impl Identity {
    async fn refused_everywhere(&self, caller: &Person, user: Uuid) -> Vec<Value> {
        let queries = ["individual::read".to_owned()];
        vec![
            self.post_refused(caller, CHECK, &question(user, &queries), 403, "forbidden").await,
            self.post_refused(caller, RESOURCES, &question(user, &queries), 403, "forbidden").await,
            self.get_refused(caller, &format!("{INDIVIDUALS}?operation=read&user-id={user}"), 403, "forbidden").await,
        ]
    }
}

on_both_stores! {
    async fn users_query_their_own_access_and_programs_that_of_any_user(database) {
        let it = Identity::open(&database).await;
        let queries = ["individual::read".to_owned()];
        for caller in [&it.participant, &it.provider, &it.admin] {
            assert_eq!(it.post(caller, CHECK, &question(caller.id, &queries)).await["allow"], true);
        }
        for caller in [&it.service, &it.system] {
            assert_eq!(it.post(caller, CHECK, &question(it.provider.id, &queries)).await["allow"], true);
            assert_eq!(it.post(caller, CHECK, &question(Uuid::now_v7(), &queries)).await["allow"], false);
        }
        let foreign = it.refused_everywhere(&it.admin, it.participant.id).await;
        assert_eq!(foreign, it.refused_everywhere(&it.admin, Uuid::now_v7()).await);
        let body = bulk(&[it.admin.id], &queries, false);
        let accessors = format!("{ACCESSORS}?resource-type=organization&operation=read&resource-id={}", it.acme);
        for caller in [&it.admin, &it.provider] {
            it.post_refused(caller, BULK, &body, 403, "forbidden").await;
            it.get_refused(caller, &accessors, 403, "forbidden").await;
        }
    }

    async fn a_malformed_access_query_is_refused(database) {
        let it = Identity::open(&database).await;
        let id = Uuid::now_v7();
        for wrong in [
            "individual".to_owned(), format!("individual:{id}:contain"), format!("person:{id}:read"),
            "individual:1:read".into(),
            "group::delete".into(), format!("individual:{id}:read:"), "app.:1:read".into(), String::new(),
        ] {
            let queries = ["individual::read".to_owned(), wrong];
            for (path, body, pointer) in [
                (CHECK, question(id, &queries), "/access-query/1"),
                (RESOURCES, question(id, &queries), "/access-query/1"),
                (BULK, bulk(&[id], &queries, true), "/multi-user-ids/access-query/1"),
            ] {
                let error = it.post_refused(&it.service, path, &body, 400, "validation-error").await;
                assert_eq!(error["source"]["pointer"], pointer, "{queries:?}");
            }
        }
        let query = || "individual::read".to_owned();
        let many: Vec<_> = (0..1_001).map(|_| Uuid::now_v7()).collect();
        for (path, body) in [
            (CHECK, question(id, &[])),
            (CHECK, question(id, &vec![query(); 101])),
            (CHECK, json!({ "access-query": ["individual::read"] })),
            (BULK, bulk(&[], &[query()], false)),
            (BULK, bulk(&[id], &[], false)),
            (BULK, bulk(&many, &[query()], false)),
            // Exactly one query must leave its resource open.
            (RESOURCES, question(id, &[individual(id, "read")])),
            (RESOURCES, question(id, &["system::read".into()])),
            (RESOURCES, question(id, &[query(), "group::read".into()])),
        ] {
            it.post_refused(&it.service, path, &body, 400, "validation-error").await;
        }
        let mut long = question(id, &[query()]);
        long["page[limit]"] = json!(100_001);
        it.post_refused(&it.service, RESOURCES, &long, 400, "validation-error").await;
    }
}
