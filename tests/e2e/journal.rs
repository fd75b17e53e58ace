//! Guarantees of the journal, tested on both stores by one suite.

use crate::on_both_stores;
use crate::support::{context, registration};
use registrar::executor::ExecuteError;
use registrar::journal::JournalError;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, AdminError, Granter, PersonText};
use registrar_projections::admins::{BY_NAME, PERSON_ID, POLICIES, SEARCH};
use registrar_projections::{AdminDocument, Direction, Query};
use uuid::Uuid;

fn rename(to: &str) -> AdminCommand {
    AdminCommand::Amend(vec![AdminChange::PersonText(PersonText::FirstName, Some(to.into()))], Granter::System)
}

on_both_stores! {
    async fn a_command_is_in_the_read_model_when_it_is_answered(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        let outcome = node.executor.execute::<Admin>(&context(), &id.to_string(), registration(id, None), None).await.unwrap();
        assert_eq!(outcome.position, 1);
        let answered = outcome.document::<AdminDocument>().unwrap();
        let read = node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap();
        assert_eq!((read.position, read.value.as_deref()), (1, Some(answered)));
        let outcome = node.executor.execute::<Admin>(&context(), &id.to_string(), rename("Augusta"), None).await.unwrap();
        assert_eq!(outcome.document::<AdminDocument>().unwrap().person.first_name, "Augusta");
        let query = || Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending).page(0, 10);
        for found in [query(), query().search(&SEARCH, "USTA love"), query().search(&SEARCH, "a"), query().contains(&POLICIES, "p1")] {
            let page = node.documents.page(found).await.unwrap();
            assert_eq!((page.value.total, page.value.items.len(), page.position), (1, 1, 2));
        }
        for none in [query().search(&SEARCH, "Ada Lov"), query().search(&SEARCH, "%"), query().contains(&POLICIES, "p2")] {
            assert_eq!(node.documents.page(none).await.unwrap().value.total, 0);
        }
        let person = answered.person_id.to_string();
        assert!(node.documents.find_by::<AdminDocument>(&PERSON_ID, &person).await.unwrap().value.is_some());
    }

    async fn one_of_two_registrations_of_one_e_mail_wins(database) {
        let node = database.open().await;
        let tries = (0..8).map(|_| async {
            let id = Uuid::now_v7();
            node.executor.execute::<Admin>(&context(), &id.to_string(), registration(id, Some("Ada@example.org")), None).await
        });
        let answers = futures::future::join_all(tries).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for answer in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(answer, ExecuteError::Journal(JournalError::ClaimTaken { field: "account.email" })), "{answer:?}");
        }
        assert_eq!(node.journal.head().await.unwrap().position, 1);
    }

    async fn nodes_that_open_an_empty_database_at_once_all_serve_it(database) {
        let database = database.empty().await;
        let nodes = futures::future::join_all((0..4).map(|_| database.open())).await;
        for (n, node) in (1..).zip(&nodes) {
            let id = Uuid::now_v7();
            let outcome = node.executor.execute::<Admin>(&context(), &id.to_string(), registration(id, None), None).await.unwrap();
            assert_eq!((outcome.position, node.status().generation), (n, 1));
        }
        assert_eq!(nodes[0].read_store.generations().await.unwrap().len(), 1);
    }

    async fn a_refusal_stores_nothing(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        let refused = node.executor.execute::<Admin>(&context(), &id.to_string(), rename("X"), None).await;
        assert!(matches!(refused, Err(ExecuteError::Refused(AdminError::NotFound))));
        assert_eq!(node.journal.head().await.unwrap().position, 0);
    }
}
