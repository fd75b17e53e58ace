//! Several callers create or delete one resource concurrently: one succeeds, and the others get a conflict.

use crate::cloud_app::{Cloud, key_of};
use crate::ecg_app::{ADMINS, Answer, App, sample, with};
use crate::on_both_stores;
use crate::site_app::{NOBODYS, ORGANIZATIONS, named, path, refusal};
use futures::future::join_all;
use registrar_aggregates::api_key::Role;
use serde_json::json;

/// Checks that exactly one answer has the status `first` and each other one has one of `others`.
#[track_caller]
fn one_is_first(answers: &[Answer], first: u16, others: &[u16]) {
    let winners = answers.iter().filter(|answer| answer.status.as_u16() == first).count();
    let rest = answers.iter().filter(|answer| answer.status.as_u16() != first);
    assert_eq!(winners, 1, "{answers:?}");
    rest.for_each(|answer| assert!(others.contains(&answer.status.as_u16()), "{answers:?}"));
}

on_both_stores! {
    async fn an_organization_is_created_once_under_one_id(database) {
        let app = App::open(&database).await;
        let before = app.head().await;
        let body = with(&named("Acme"), "/organization/id", json!(NOBODYS));
        let answers = join_all((0..4).map(|_| app.post(ORGANIZATIONS, &body))).await;
        one_is_first(&answers, 201, &[409]);
        assert_eq!(app.head().await, before + 1);
        let lost = answers.iter().find(|answer| answer.status == 409).unwrap();
        let details = &refusal(lost, 409)["details"];
        assert_eq!(*details, json!({"organization.id": "An organization with this id is already registered"}));
    }

    async fn an_organization_is_deleted_once(database) {
        let app = App::open(&database).await;
        for _ in 0..5 {
            let id = app.organize(&named("Acme")).await;
            let before = app.head().await;
            let answers = join_all((0..4).map(|_| app.call("DELETE", &path(&id)).send())).await;
            one_is_first(&answers, 204, &[404, 409]);
            assert_eq!(app.head().await, before + 1);
        }
    }

    async fn a_key_is_deleted_once(database) {
        let cloud = Cloud::open(&database).await;
        for _ in 0..5 {
            let key = key_of(cloud.node(), cloud.acme, Role::Developer).await;
            let before = cloud.head().await;
            let delete = || cloud.call(&cloud.admin, "DELETE", &cloud.path(&format!("/keys/{}", key.id))).send();
            let answers = join_all((0..4).map(|_| delete())).await;
            one_is_first(&answers, 200, &[404, 409]);
            assert_eq!(cloud.head().await, before + 1);
        }
    }

    async fn an_account_is_opened_once_for_one_address(database) {
        let app = App::open(&database).await;
        let before = app.head().await;
        let body = sample();
        let answers = join_all((0..4).map(|_| app.post(ADMINS, &body))).await;
        one_is_first(&answers, 201, &[409]);
        assert_eq!(app.head().await, before + 1);
        let lost = answers.into_iter().find(|answer| answer.status == 409).unwrap();
        let message = lost.refused(409);
        assert!(message.as_str().is_some_and(|message| message.contains("account.email")), "{message}");
    }
}
