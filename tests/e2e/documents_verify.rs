//! `projections verify` finds documents that were altered in the database, and no others.

use crate::on_both_stores;
use crate::process::{fail, registrar, run};
use crate::support::*;
use registrar::executor::RequestContext;
use registrar::followers;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, PersonText};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

fn seeded(database: &Database) {
    run(&database.settings, &["seed", "--users", "40", "--groups", "10"]);
}

async fn generation(database: &Database) -> i64 {
    database.sql().await.number("SELECT generation FROM journal_head").await
}

on_both_stores! {
    async fn unaltered_documents_are_what_history_makes_them(database) {
        seeded(&database);
        let verified = run(&database.settings, &["projections", "verify"]);
        assert!(verified.ends_with("what history makes them\n"), "{verified}");
        assert!(run(&database.settings, &["journal", "verify", "--documents"]).ends_with(&verified));
        // The verification leaves no generation behind, and the serving one is unchanged.
        let status = run(&database.settings, &["projections", "status"]);
        assert_eq!(status.matches("generation ").count(), 1, "{status}");
    }

    async fn every_change_of_a_document_is_found(database) {
        seeded(&database);
        let users = format!("users_g{}", generation(&database).await);
        let id = format!("(SELECT min(id) FROM {users})");
        let named = database.sql().await.texts(&format!("SELECT min(id) FROM {users}")).await.remove(0);
        let backup = format!("CREATE TABLE kept AS SELECT * FROM {users} WHERE id = {id}");
        database.sql().await.run(&backup).await.unwrap();
        let body = format!("UPDATE {users} SET body = replace(body, '\"version\":', '\"version\":1') WHERE id = {id}");
        let key = format!("UPDATE {users} SET email = 'king@example.com' WHERE id = {id}");
        let gone = format!("DELETE FROM {users} WHERE id = '{named}'");
        let digest = format!("UPDATE {users} SET digest = NULL WHERE id = {id}");
        for change in [body, key, digest, gone] {
            assert_eq!(database.sql().await.run(&change).await.unwrap(), 1, "{change}");
            let told = fail(registrar(&database.settings, &["projections", "verify"]));
            assert!(told.contains("1 documents are not") && told.contains(&format!("users/{named}")), "{told}");
            let mut sql = database.sql().await;
            sql.run(&format!("DELETE FROM {users} WHERE id = '{named}'")).await.unwrap();
            sql.run(&format!("INSERT INTO {users} SELECT * FROM kept")).await.unwrap();
        }
        run(&database.settings, &["projections", "verify"]);
    }

    async fn concurrent_commits_are_no_alterations(database) {
        let (node, other) = (database.open().await, database.open().await);
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let writing = tokio::spawn({
            let (node, done) = (Arc::clone(&node), Arc::clone(&done));
            async move {
                let mut written = 0;
                while !done.load(Ordering::Acquire) {
                    let change = AdminChange::PersonText(PersonText::LastName, Some(format!("Name {written}")));
                    let command = AdminCommand::Amend(vec![change], Granter::System);
                    node.executor.execute::<Admin>(&RequestContext::system(), &id.to_string(), command, None).await.unwrap();
                    written += 1;
                }
                written
            }
        });
        for _ in 0..3 {
            assert_eq!(followers::verify(&other, &|_, _| {}).await.unwrap().altered, Vec::<String>::new());
        }
        done.store(true, Ordering::Release);
        assert!(writing.await.unwrap() > 0);
    }
}
